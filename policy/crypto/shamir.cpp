// Shamir's secret sharing, byte by byte over GF(256) (AES's polynomial). The key is the value at 0 of a
// random polynomial of degree threshold - 1; share x is its value at x. Multiplication has no tables and no
// branches on secrets, so that it takes the same time for every key.
//
// A share is a line that can be typed from paper:
//     JS1-<threshold><x>-<set>-<8 groups of 8>-<check>     all hexadecimal
// `set` is random and the same in all shares of one splitting; `check` is the start of SHA-256 over what is
// before it, so that a slip of the pen is found in the share that has it.
#include <openssl/crypto.h>

#include <algorithm>
#include <set>

#include "openssl.hpp"

namespace jiphyeon::crypto {

namespace {

constexpr std::string_view kPrefix = "JS1-";
constexpr std::size_t kShareDigits = 4 + 8 + 64;  // threshold, x, set, value

struct Share {
    unsigned threshold = 0;
    std::uint8_t x = 0;
    std::string set;  // 8 digits
    std::array<std::uint8_t, 32> value{};
    ~Share() { OPENSSL_cleanse(value.data(), value.size()); }
};

std::uint8_t multiply(std::uint8_t a, std::uint8_t b)
{
    unsigned product = 0;
    unsigned x = a;
    for (unsigned bit = 0; bit < 8; ++bit) {
        product ^= x & (0u - ((static_cast<unsigned>(b) >> bit) & 1u));
        x = (x << 1) ^ (0x11bu & (0u - (x >> 7)));
    }
    return static_cast<std::uint8_t>(product);
}

std::uint8_t invert(std::uint8_t a)  // a^254
{
    std::uint8_t result = 1;
    for (int bit = 0; bit < 8; ++bit) {
        result = multiply(result, result);
        if (bit != 7) result = multiply(result, a);  // 254 = 0b11111110
    }
    return result;
}

std::string check_of(std::string_view digits)
{
    return hex(sha256("jiphyeon share " + std::string(digits))).substr(0, 8);
}

std::string print(const Share& share)
{
    const std::array<std::uint8_t, 2> head = {static_cast<std::uint8_t>(share.threshold), share.x};
    const std::string value = hex(share.value);
    const std::string digits = hex(head) + share.set + value;
    std::string line = std::string(kPrefix) + hex(head) + "-" + share.set;
    for (std::size_t i = 0; i < value.size(); i += 8) line += "-" + value.substr(i, 8);
    return line + "-" + check_of(digits);
}

int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

Share parse(std::string_view line)
{
    const auto refuse = [](const char* why) { return CryptoError(CryptoError::Kind::bad_key, why); };
    std::string digits;
    for (const char c : line) {
        if (c == '-' || c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
        digits += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    if (!digits.starts_with("js1")) throw refuse("not a share of a key");
    digits.erase(0, 3);
    if (digits.size() != kShareDigits + 8 ||
        std::any_of(digits.begin(), digits.end(), [](char c) { return digit_value(c) < 0; }))
        throw refuse("a share has characters too many, too few or wrong ones");
    if (check_of(digits.substr(0, kShareDigits)) != digits.substr(kShareDigits))
        throw refuse("a share is mistyped: its check does not fit");
    const auto byte_at = [&digits](std::size_t i) {
        return static_cast<std::uint8_t>(digit_value(digits[2 * i]) * 16 + digit_value(digits[2 * i + 1]));
    };
    Share share{.threshold = byte_at(0), .x = byte_at(1), .set = digits.substr(4, 8), .value = {}};
    for (std::size_t i = 0; i < share.value.size(); ++i) share.value[i] = byte_at(6 + i);
    if (share.threshold < 1 || share.x == 0) throw refuse("a share that no splitting makes");
    return share;
}

}  // namespace

std::vector<std::string> split_key(const SecretKey& key, unsigned count, unsigned threshold)
{
    if (threshold < 1 || threshold > count || count > 255)
        throw CryptoError(CryptoError::Kind::failed, "shares: 1 <= threshold <= count <= 255");
    std::vector<std::array<std::uint8_t, 32>> coefficients(threshold - 1);
    for (auto& row : coefficients) random(row);
    std::array<std::uint8_t, 4> set{};
    random(set);

    std::vector<std::string> lines;
    for (unsigned x = 1; x <= count; ++x) {
        Share share{.threshold = threshold, .x = static_cast<std::uint8_t>(x), .set = hex(set), .value = {}};
        for (std::size_t i = 0; i < share.value.size(); ++i) {
            std::uint8_t sum = 0;  // Horner, from the highest coefficient down to the key
            for (auto row = coefficients.rbegin(); row != coefficients.rend(); ++row)
                sum = multiply(static_cast<std::uint8_t>(sum ^ (*row)[i]), share.x);
            share.value[i] = sum ^ key.bytes()[i];
        }
        lines.push_back(print(share));
    }
    for (auto& row : coefficients) OPENSSL_cleanse(row.data(), row.size());
    return lines;
}

SecretKey join_key(std::span<const std::string> lines)
{
    std::vector<Share> shares;
    std::set<std::uint8_t> seen;
    for (const std::string& line : lines) {
        Share share = parse(line);
        if (!shares.empty() && (share.set != shares[0].set || share.threshold != shares[0].threshold))
            throw CryptoError(CryptoError::Kind::bad_key, "shares of different keys");
        if (seen.insert(share.x).second) shares.push_back(share);
    }
    if (shares.empty() || shares.size() < shares[0].threshold)
        throw CryptoError(CryptoError::Kind::bad_key,
                          "too few shares: " + std::to_string(shares.size()) + " of " +
                              std::to_string(shares.empty() ? 1 : shares[0].threshold));
    shares.resize(shares[0].threshold);

    std::array<std::uint8_t, 32> bytes{};
    for (const Share& share : shares) {
        std::uint8_t weight = 1;  // Lagrange at 0; subtraction is exclusive or
        for (const Share& other : shares) {
            if (other.x == share.x) continue;
            weight =
                multiply(weight, multiply(other.x, invert(static_cast<std::uint8_t>(other.x ^ share.x))));
        }
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] ^= multiply(weight, share.value[i]);
    }
    SecretKey key = SecretKey::from_bytes(bytes);
    OPENSSL_cleanse(bytes.data(), bytes.size());
    return key;
}

}  // namespace jiphyeon::crypto
