// The one door to cryptography. No other code calls a cryptographic library (a test looks). Back end today:
// OpenSSL 3; a validated module can stand behind the same functions. A leaf library, linked by any module.
//
// Algorithms: AES-256-GCM (random 96-bit nonce), SHA-256, HMAC-SHA-256, HKDF-SHA-256, PBKDF2-HMAC-SHA-256,
// ECDSA P-256 with SHA-256 (signatures in DER), random from the operating system's generator through OpenSSL.
// Each sealed blob starts with one byte that names its algorithm, so that another can follow.
//
// Example:
//     const SecretKey master = SecretKey::random();
//     const std::string box = crypto::seal(master, "plain text", "document:42");
//     const std::string text = crypto::open(master, box, "document:42");
//
// Threads: all functions may be called from any thread. Throws CryptoError on every failure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon {

class CryptoError : public std::runtime_error {
public:
    enum class Kind {
        not_authentic,  // wrong key, wrong context, or changed bytes: these cannot be told apart
        bad_key,        // a key or certificate that cannot be read
        failed,         // the library refused; detail holds its words
    };
    CryptoError(Kind k, const std::string& detail) : std::runtime_error(detail), kind(k) {}
    Kind kind;
};

using Digest = std::array<std::uint8_t, 32>;

// 32 secret bytes, wiped when they go; neither copied by accident nor printed.
class SecretKey {
public:
    static SecretKey random();
    static SecretKey from_bytes(std::span<const std::uint8_t> bytes);  // exactly 32
    SecretKey(SecretKey&&) noexcept;
    SecretKey& operator=(SecretKey&&) noexcept;
    SecretKey(const SecretKey&) = delete;  // clone() says that a copy is meant
    SecretKey& operator=(const SecretKey&) = delete;
    ~SecretKey();
    SecretKey clone() const;
    std::span<const std::uint8_t, 32> bytes() const { return bytes_; }

private:
    SecretKey() = default;
    std::array<std::uint8_t, 32> bytes_{};
};

namespace crypto {

// What a sealed blob has more than its text: algorithm, nonce and tag.
inline constexpr std::size_t kSealBytes = 1 + 12 + 16;

// `context` is authenticated but not stored: the same words must be given to open. Output: n + kSealBytes.
std::string seal(const SecretKey& key, std::string_view plain, std::string_view context);
std::string open(const SecretKey& key, std::string_view box, std::string_view context);

Digest sha256(std::string_view bytes);
class Sha256 {  // for what does not lie in memory at once
public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    void update(std::string_view bytes);
    Digest finish();       // once
    Sha256 clone() const;  // goes on by itself

private:
    struct State;
    std::unique_ptr<State> state_;
};
Digest sha256_file(const std::filesystem::path& file);
Digest mac(const SecretKey& key, std::string_view bytes);
bool equal(std::string_view a, std::string_view b);  // in time that depends on the length alone

void random(std::span<std::uint8_t> out);
std::string random_text(
    std::size_t characters);  // from 32 letters and digits that are not mistaken for one another

SecretKey derive(const SecretKey& key, std::string_view purpose);  // HKDF
struct PasswordHash {
    std::uint32_t iterations = 600'000;  // OWASP ASVS 5.0, appendix C
    std::array<std::uint8_t, 16> salt{};
    Digest hash{};
};
PasswordHash hash_password(std::string_view password, std::uint32_t iterations = 600'000);  // fresh salt
bool verify_password(std::string_view password, const PasswordHash& stored);
SecretKey key_from_passphrase(std::string_view passphrase, std::span<const std::uint8_t> salt,
                              std::uint32_t iterations);

// ECDSA P-256.
class SigningKey {
public:
    static SigningKey generate();
    static SigningKey from_pem(std::string_view pem);
    SigningKey(SigningKey&&) noexcept;
    SigningKey& operator=(SigningKey&&) noexcept;
    ~SigningKey();
    std::string to_pem() const;          // PKCS#8, in clear: seal it before it touches a disk
    std::string public_key_der() const;  // SubjectPublicKeyInfo
    std::string sign(std::string_view bytes) const;

    // A self-signed X.509 certificate (PEM) for the names and addresses an intranet server answers to.
    std::string self_signed_certificate(std::string_view common_name,
                                        const std::vector<std::string>& dns_names,
                                        const std::vector<std::string>& addresses, int days) const;

private:
    struct Handle;
    explicit SigningKey(std::unique_ptr<Handle> handle);
    std::unique_ptr<Handle> handle_;
};
bool verify(std::string_view public_key_der, std::string_view bytes, std::string_view signature);

// Shamir's scheme over GF(256): `threshold` of `count` shares give the key back, fewer say nothing.
std::vector<std::string> split_key(const SecretKey& key, unsigned count,
                                   unsigned threshold);  // printable lines
SecretKey join_key(std::span<const std::string> shares);

std::string base64(std::string_view bytes);
std::string from_base64(std::string_view text);
std::string hex(std::span<const std::uint8_t> bytes);

// Known-answer tests of everything above; throws `failed` naming the first that does not hold.
void self_test();

}  // namespace crypto
}  // namespace jiphyeon
