// Sealing, hashing, key derivation and random bytes on OpenSSL's EVP interface. Every algorithm is fetched by
// the library's default provider at each call: a few hundred nanoseconds, and no state shared by threads.
#include "jiphyeon/crypto.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <fstream>

#include "openssl.hpp"

namespace jiphyeon {

SecretKey SecretKey::random()
{
    SecretKey key;
    crypto::random(key.bytes_);
    return key;
}

SecretKey SecretKey::from_bytes(std::span<const std::uint8_t> bytes)
{
    SecretKey key;
    if (bytes.size() != key.bytes_.size())
        throw CryptoError(CryptoError::Kind::bad_key,
                          "a key has 32 bytes, not " + std::to_string(bytes.size()));
    std::copy(bytes.begin(), bytes.end(), key.bytes_.begin());
    return key;
}

SecretKey::SecretKey(SecretKey&& other) noexcept : bytes_(other.bytes_)
{
    OPENSSL_cleanse(other.bytes_.data(), other.bytes_.size());
}

SecretKey& SecretKey::operator=(SecretKey&& other) noexcept
{
    if (this == &other) return *this;
    bytes_ = other.bytes_;
    OPENSSL_cleanse(other.bytes_.data(), other.bytes_.size());
    return *this;
}

SecretKey::~SecretKey()
{
    OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

SecretKey SecretKey::clone() const
{
    return from_bytes(bytes_);
}

namespace crypto {

namespace {

constexpr char kAes256Gcm = 1;  // the first byte of a sealed blob
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
static_assert(kSealBytes == 1 + kNonceBytes + kTagBytes);

// EVP counts in int: what is larger belongs into pieces.
int checked_length(std::string_view bytes)
{
    if (bytes.size() > static_cast<std::size_t>(INT_MAX) - 64)
        throw CryptoError(CryptoError::Kind::failed, "more than 2 GiB in one sealed blob");
    return static_cast<int>(bytes.size());
}

Digest pbkdf2(std::string_view password, std::span<const std::uint8_t> salt, std::uint32_t iterations)
{
    if (iterations == 0 || iterations > INT_MAX)
        throw CryptoError(CryptoError::Kind::failed, "a count of iterations that PBKDF2 does not take");
    Digest out{};
    require(PKCS5_PBKDF2_HMAC(password.data(), checked_length(password), salt.data(),
                              static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                              static_cast<int>(out.size()), out.data()) == 1,
            "PBKDF2");
    return out;
}

}  // namespace

void throw_failed(const char* what)
{
    std::string detail = what;
    while (const unsigned long code = ERR_get_error()) {
        char words[256];
        ERR_error_string_n(code, words, sizeof words);
        detail += std::string(": ") + words;
    }
    throw CryptoError(CryptoError::Kind::failed, detail);
}

std::string gcm_encrypt(std::span<const std::uint8_t, 32> key, std::string_view nonce, std::string_view plain,
                        std::string_view context)
{
    const CipherContextPtr cipher(EVP_CIPHER_CTX_new());
    require(cipher && EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(),
                                         bytes_of(nonce)) == 1,
            "AES-256-GCM");
    int done = 0;
    require(EVP_EncryptUpdate(cipher.get(), nullptr, &done, bytes_of(context), checked_length(context)) == 1,
            "AES-256-GCM, context");
    std::string out(plain.size() + kTagBytes, '\0');
    require(
        EVP_EncryptUpdate(cipher.get(), bytes_of(out), &done, bytes_of(plain), checked_length(plain)) == 1,
        "AES-256-GCM, text");
    int last = 0;
    require(EVP_EncryptFinal_ex(cipher.get(), bytes_of(out) + done, &last) == 1, "AES-256-GCM, end");
    require(
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, out.data() + plain.size()) == 1,
        "AES-256-GCM, tag");
    return out;
}

std::string gcm_decrypt(std::span<const std::uint8_t, 32> key, std::string_view nonce, std::string_view box,
                        std::string_view context)
{
    if (box.size() < kTagBytes)
        throw CryptoError(CryptoError::Kind::not_authentic, "a sealed blob cut short");
    const std::string_view text = box.substr(0, box.size() - kTagBytes);
    std::string tag(box.substr(text.size()));
    const CipherContextPtr cipher(EVP_CIPHER_CTX_new());
    require(cipher && EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(),
                                         bytes_of(nonce)) == 1,
            "AES-256-GCM");
    int done = 0;
    require(EVP_DecryptUpdate(cipher.get(), nullptr, &done, bytes_of(context), checked_length(context)) == 1,
            "AES-256-GCM, context");
    std::string out(text.size(), '\0');
    require(EVP_DecryptUpdate(cipher.get(), bytes_of(out), &done, bytes_of(text), checked_length(text)) == 1,
            "AES-256-GCM, text");
    require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1,
            "AES-256-GCM, tag");
    int last = 0;
    if (EVP_DecryptFinal_ex(cipher.get(), bytes_of(out) + done, &last) != 1) {
        OPENSSL_cleanse(out.data(), out.size());
        ERR_clear_error();
        throw CryptoError(CryptoError::Kind::not_authentic, "a sealed blob does not fit its key and context");
    }
    return out;
}

std::string seal(const SecretKey& key, std::string_view plain, std::string_view context)
{
    std::string nonce(kNonceBytes, '\0');
    random({bytes_of(nonce), nonce.size()});
    return kAes256Gcm + nonce + gcm_encrypt(key.bytes(), nonce, plain, context);
}

std::string open(const SecretKey& key, std::string_view box, std::string_view context)
{
    if (box.size() < kSealBytes)
        throw CryptoError(CryptoError::Kind::not_authentic, "a sealed blob cut short");
    if (box[0] != kAes256Gcm)
        throw CryptoError(CryptoError::Kind::not_authentic,
                          "a sealed blob of an algorithm that is not known here");
    return gcm_decrypt(key.bytes(), box.substr(1, kNonceBytes), box.substr(1 + kNonceBytes), context);
}

struct Sha256::State {
    DigestContextPtr context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>())
{
    require(state_->context && EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1,
            "SHA-256");
}

Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes)
{
    require(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1, "SHA-256");
}

Digest Sha256::finish()
{
    Digest out{};
    require(EVP_DigestFinal_ex(state_->context.get(), out.data(), nullptr) == 1, "SHA-256");
    return out;
}

Sha256 Sha256::clone() const
{
    Sha256 copy;
    require(EVP_MD_CTX_copy_ex(copy.state_->context.get(), state_->context.get()) == 1, "SHA-256");
    return copy;
}

Digest sha256(std::string_view bytes)
{
    Digest out{};
    require(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha256(), nullptr) == 1,
            "SHA-256");
    return out;
}

Digest sha256_file(const std::filesystem::path& file)
{
    std::ifstream in(file, std::ios::binary);
    if (!in) throw CryptoError(CryptoError::Kind::failed, "cannot read " + file.string());
    Sha256 hash;
    std::string buffer(1 << 20, '\0');
    while (in) {
        in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        hash.update(std::string_view(buffer).substr(0, static_cast<std::size_t>(in.gcount())));
    }
    // A directory opens and then fails to be read; its hash would be that of nothing.
    if (in.bad() || !in.eof()) throw CryptoError(CryptoError::Kind::failed, "cannot read " + file.string());
    return hash.finish();
}

Digest mac(const SecretKey& key, std::string_view bytes)
{
    Digest out{};
    std::size_t written = 0;
    require(EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.bytes().data(), key.bytes().size(),
                      bytes_of(bytes), bytes.size(), out.data(), out.size(), &written) != nullptr &&
                written == out.size(),
            "HMAC-SHA-256");
    return out;
}

bool equal(std::string_view a, std::string_view b)
{
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void random(std::span<std::uint8_t> out)
{
    require(out.size() <= INT_MAX && RAND_bytes(out.data(), static_cast<int>(out.size())) == 1,
            "random bytes");
}

std::string random_text(std::size_t characters)
{
    static constexpr std::string_view kAlphabet = "abcdefghjkmnpqrstuvwxyz023456789";
    static_assert(kAlphabet.size() == 32);
    std::string out(characters, '\0');
    random({bytes_of(out), out.size()});
    for (char& c : out) c = kAlphabet[static_cast<unsigned char>(c) % kAlphabet.size()];
    return out;
}

void hkdf(std::string_view secret, std::string_view salt, std::string_view info, std::span<std::uint8_t> out)
{
    const KdfPtr kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    const KdfContextPtr context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
    require(context != nullptr, "HKDF");
    const auto octets = [](const char* name, std::string_view value) {
        return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(value.data()), value.size());
    };
    std::string digest = "SHA256";
    std::array<OSSL_PARAM, 5> parameters{};
    std::size_t n = 0;
    parameters[n++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0);
    parameters[n++] = octets(OSSL_KDF_PARAM_KEY, secret);
    if (!salt.empty()) parameters[n++] = octets(OSSL_KDF_PARAM_SALT, salt);
    if (!info.empty()) parameters[n++] = octets(OSSL_KDF_PARAM_INFO, info);
    parameters[n] = OSSL_PARAM_construct_end();
    require(EVP_KDF_derive(context.get(), out.data(), out.size(), parameters.data()) == 1, "HKDF");
}

SecretKey derive(const SecretKey& key, std::string_view purpose)
{
    std::array<std::uint8_t, 32> out{};
    const auto secret = key.bytes();
    hkdf({reinterpret_cast<const char*>(secret.data()), secret.size()}, {}, purpose, out);
    SecretKey derived = SecretKey::from_bytes(out);
    OPENSSL_cleanse(out.data(), out.size());
    return derived;
}

PasswordHash hash_password(std::string_view password, std::uint32_t iterations)
{
    PasswordHash out{.iterations = iterations};
    random(out.salt);
    out.hash = pbkdf2(password, out.salt, iterations);
    return out;
}

bool verify_password(std::string_view password, const PasswordHash& stored)
{
    const Digest hash = pbkdf2(password, stored.salt, stored.iterations);
    return CRYPTO_memcmp(hash.data(), stored.hash.data(), hash.size()) == 0;
}

SecretKey key_from_passphrase(std::string_view passphrase, std::span<const std::uint8_t> salt,
                              std::uint32_t iterations)
{
    Digest bytes = pbkdf2(passphrase, salt, iterations);
    SecretKey key = SecretKey::from_bytes(bytes);
    OPENSSL_cleanse(bytes.data(), bytes.size());
    return key;
}

std::string base64(std::string_view bytes)
{
    std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // the library ends with a NUL
    out.resize(
        static_cast<std::size_t>(EVP_EncodeBlock(bytes_of(out), bytes_of(bytes), checked_length(bytes))));
    return out;
}

std::string from_base64(std::string_view text)
{
    const auto refuse = [] { return CryptoError(CryptoError::Kind::failed, "not base64"); };
    // EVP_DecodeBlock forgives white space and does not say how much of the last group was padding.
    const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
               c == '/' || c == '=';
    });
    const std::size_t end = std::min(text.find('='), text.size());
    const std::size_t padding = text.size() - end;
    if (!plain || text.size() % 4 != 0 || padding > 2 ||
        text.substr(end).find_first_not_of('=') != std::string_view::npos)
        throw refuse();
    std::string out(text.size() / 4 * 3, '\0');
    if (EVP_DecodeBlock(bytes_of(out), bytes_of(text), checked_length(text)) < 0) throw refuse();
    out.resize(out.size() - padding);
    // One text for each value: bits left over in the last character must be zero.
    if (base64(out) != text) throw refuse();
    return out;
}

std::string hex(std::span<const std::uint8_t> bytes)
{
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::uint8_t b : bytes) {
        out += kDigits[b >> 4];
        out += kDigits[b & 15];
    }
    return out;
}

}  // namespace crypto
}  // namespace jiphyeon
