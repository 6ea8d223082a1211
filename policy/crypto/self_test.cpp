// Known-answer tests, run at every start. Vectors: FIPS 180-4 (SHA-256), RFC 4231 (HMAC), RFC 5869 (HKDF),
// RFC 7914 §11 (PBKDF2), the GCM submission's case 14, RFC 6979 A.2.5 (ECDSA).
#include <algorithm>

#include "openssl.hpp"

namespace jiphyeon::crypto {

namespace {

std::string from_hex(std::string_view text)
{
    const auto value = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
    std::string out;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        out += static_cast<char>(value(text[i]) * 16 + value(text[i + 1]));
    return out;
}

std::span<const std::uint8_t> octets(std::string_view text)
{
    return {bytes_of(text), text.size()};
}

void expect(bool holds, const char* algorithm)
{
    if (!holds)
        throw CryptoError(CryptoError::Kind::failed,
                          std::string("the self-test of ") + algorithm + " does not hold");
}

void test_hashes()
{
    expect(hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
           "SHA-256");
    // HMAC pads a key with zeros, so the vector's 20 bytes are these 32.
    const SecretKey key = SecretKey::from_bytes(octets(std::string(20, '\x0b') + std::string(12, '\0')));
    expect(hex(mac(key, "Hi There")) == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
           "HMAC-SHA-256");
}

void test_derivation()
{
    std::array<std::uint8_t, 42> out{};
    hkdf(std::string(22, '\x0b'), from_hex("000102030405060708090a0b0c"), from_hex("f0f1f2f3f4f5f6f7f8f9"),
         out);
    expect(hex(out) == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
           "HKDF-SHA-256");
    expect(hex(key_from_passphrase("passwd", octets("salt"), 1).bytes()) ==
               "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
           "PBKDF2-HMAC-SHA-256");
}

void test_sealing()
{
    const std::string zeros(32, '\0');
    const SecretKey key = SecretKey::from_bytes(octets(zeros));
    const std::string nonce(12, '\0');
    const std::string box = gcm_encrypt(key.bytes(), nonce, zeros.substr(0, 16), {});
    expect(hex(octets(box)) == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
           "AES-256-GCM");
    expect(gcm_decrypt(key.bytes(), nonce, box, {}) == zeros.substr(0, 16), "AES-256-GCM");
    std::string changed = box;
    changed[0] = static_cast<char>(changed[0] ^ 1);
    bool refused = false;
    try {
        gcm_decrypt(key.bytes(), nonce, changed, {});
    } catch (const CryptoError& e) {
        refused = e.kind == CryptoError::Kind::not_authentic;
    }
    expect(refused, "AES-256-GCM");
}

void test_signatures()
{
    const std::string public_key = from_hex(
        "3059301306072a8648ce3d020106082a8648ce3d030107034200"
        "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
    const std::string signature = from_hex(
        "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
    expect(verify(public_key, "sample", signature) && !verify(public_key, "simple", signature),
           "ECDSA P-256");
    const SigningKey key = SigningKey::generate();
    expect(verify(key.public_key_der(), "sample", key.sign("sample")), "ECDSA P-256");
}

void test_shares()
{
    // f(x) = 0x2a ^ 7x at x = 1 and 2 in every byte; the check at the end is computed, not part of the
    // vector.
    const auto line = [](std::string_view x, std::string_view byte) {
        std::string digits = "02" + std::string(x) + "00000000";
        for (int i = 0; i < 32; ++i) digits += byte;
        return "JS1-" + digits + hex(sha256("jiphyeon share " + digits)).substr(0, 8);
    };
    const std::vector<std::string> known = {line("01", "2d"), line("02", "24")};
    expect(hex(join_key(known).bytes()) == hex(octets(std::string(32, '\x2a'))), "key shares");
    const SecretKey key = SecretKey::random();
    const std::vector<std::string> shares = split_key(key, 5, 3);
    const std::vector<std::string> three = {shares[4], shares[0], shares[2]};
    expect(std::ranges::equal(join_key(three).bytes(), key.bytes()), "key shares");
}

}  // namespace

void self_test()
{
    test_hashes();
    test_derivation();
    test_sealing();
    test_signatures();
    test_shares();
    std::array<std::uint8_t, 32> first{}, second{};
    random(first);
    random(second);
    expect(first != second, "the random generator");
    expect(base64("foob") == "Zm9vYg==" && from_base64("Zm9vYg==") == "foob", "base64");
}

}  // namespace jiphyeon::crypto
