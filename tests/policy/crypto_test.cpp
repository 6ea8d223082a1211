// Goal: sealing, signing, hashing and shares do what crypto.hpp says. Known answers are in self_test(), which
// the product runs as well; here are the properties, the refusals and the one door.
#include "jiphyeon/crypto.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "support/temp_dir.hpp"

using namespace jiphyeon;

namespace {

CryptoError::Kind kind_thrown(const std::function<void()>& act)
{
    try {
        act();
    } catch (const CryptoError& e) {
        return e.kind;
    }
    ADD_FAILURE() << "nothing was thrown";
    return CryptoError::Kind::failed;
}

std::string text_of(const SecretKey& key)
{
    return {reinterpret_cast<const char*>(key.bytes().data()), key.bytes().size()};
}

}  // namespace

TEST(Crypto, SelfTestHolds)
{
    crypto::self_test();
}

TEST(Crypto, SealedTextOpensOnlyUnderItsKeyAndContext)
{
    const SecretKey key = SecretKey::random();
    for (const std::string& plain : {std::string(), std::string("한글 본문"), std::string(100'000, '\x7f')}) {
        const std::string box = crypto::seal(key, plain, "document:42");
        EXPECT_EQ(box.size(), 1 + 12 + plain.size() + 16);
        EXPECT_EQ(crypto::open(key, box, "document:42"), plain);
        EXPECT_EQ(kind_thrown([&] { crypto::open(key, box, "document:43"); }),
                  CryptoError::Kind::not_authentic);
        EXPECT_EQ(kind_thrown([&] { crypto::open(SecretKey::random(), box, "document:42"); }),
                  CryptoError::Kind::not_authentic);
    }
    EXPECT_NE(crypto::seal(key, "same", ""), crypto::seal(key, "same", ""));  // a fresh nonce each time
}

TEST(Crypto, EveryChangedOrMissingByteOfABoxIsNoticed)
{
    const SecretKey key = SecretKey::random();
    const std::string box = crypto::seal(key, "열두 글자의 비밀문서", "c");
    for (std::size_t i = 0; i < box.size(); ++i) {
        std::string changed = box;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        EXPECT_EQ(kind_thrown([&] { crypto::open(key, changed, "c"); }), CryptoError::Kind::not_authentic)
            << i;
        EXPECT_EQ(kind_thrown([&] { crypto::open(key, box.substr(0, i), "c"); }),
                  CryptoError::Kind::not_authentic)
            << i;
    }
}

TEST(Crypto, HashInPiecesIsTheHashOfTheWhole)
{
    const test::TempDir dir;
    std::string text;
    for (int i = 0; i < 300'000; ++i) text += static_cast<char>(i * 7 + i / 255);
    text += text + text + text;
    crypto::Sha256 hash;
    hash.update(std::string_view(text).substr(0, 63));
    hash.update(std::string_view(text).substr(63));
    const Digest whole = crypto::sha256(text);
    EXPECT_EQ(hash.finish(), whole);
    std::ofstream(dir.path() / "f", std::ios::binary) << text;
    EXPECT_EQ(crypto::sha256_file(dir.path() / "f"), whole);
    std::ofstream(dir.path() / "empty", std::ios::binary).close();
    EXPECT_EQ(crypto::sha256_file(dir.path() / "empty"), crypto::sha256(""));
    EXPECT_EQ(kind_thrown([&] { crypto::sha256_file(dir.path() / "missing"); }), CryptoError::Kind::failed);
    EXPECT_EQ(kind_thrown([&] { crypto::sha256_file(dir.path()); }), CryptoError::Kind::failed);
}

TEST(Crypto, DerivedKeysDifferByPurposeAndMasterAndStayTheSame)
{
    const SecretKey master = SecretKey::random();
    EXPECT_EQ(text_of(crypto::derive(master, "originals")),
              text_of(crypto::derive(master.clone(), "originals")));
    EXPECT_NE(text_of(crypto::derive(master, "originals")), text_of(crypto::derive(master, "audit")));
    EXPECT_NE(text_of(crypto::derive(master, "originals")),
              text_of(crypto::derive(SecretKey::random(), "originals")));
}

TEST(Crypto, MovedFromKeyHoldsNothing)
{
    SecretKey key = SecretKey::random();
    const std::string before = text_of(key);
    const SecretKey moved = std::move(key);
    EXPECT_EQ(text_of(moved), before);
    EXPECT_EQ(text_of(key), std::string(32, '\0'));  // NOLINT(bugprone-use-after-move): the point of the test
    EXPECT_EQ(kind_thrown([] { SecretKey::from_bytes(std::array<std::uint8_t, 31>{}); }),
              CryptoError::Kind::bad_key);
}

TEST(Crypto, PasswordIsVerifiedAndSaltedAfresh)
{
    const crypto::PasswordHash stored = crypto::hash_password("비밀번호-1234", 1000);
    EXPECT_TRUE(crypto::verify_password("비밀번호-1234", stored));
    EXPECT_FALSE(crypto::verify_password("비밀번호-1235", stored));
    EXPECT_FALSE(crypto::verify_password("", stored));
    EXPECT_NE(crypto::hash_password("비밀번호-1234", 1000).hash, stored.hash);
    crypto::PasswordHash other = stored;
    other.iterations = 1001;
    EXPECT_FALSE(crypto::verify_password("비밀번호-1234", other));
    EXPECT_EQ(crypto::PasswordHash{}.iterations, 600'000u);
}

TEST(Crypto, SignatureHoldsForItsBytesAndKeyAlone)
{
    const crypto::SigningKey key = crypto::SigningKey::generate();
    const std::string signature = key.sign("checkpoint");
    EXPECT_TRUE(crypto::verify(key.public_key_der(), "checkpoint", signature));
    EXPECT_FALSE(crypto::verify(key.public_key_der(), "checkpoinT", signature));
    EXPECT_FALSE(crypto::verify(crypto::SigningKey::generate().public_key_der(), "checkpoint", signature));
    EXPECT_FALSE(crypto::verify(key.public_key_der(), "checkpoint", "not DER"));
    EXPECT_FALSE(crypto::verify(key.public_key_der(), "checkpoint", ""));
    EXPECT_EQ(kind_thrown([&] { crypto::verify("not DER", "checkpoint", signature); }),
              CryptoError::Kind::bad_key);
    EXPECT_EQ(kind_thrown([&] { crypto::verify(key.public_key_der() + "x", "checkpoint", signature); }),
              CryptoError::Kind::bad_key);
}

TEST(Crypto, SigningKeySurvivesPem)
{
    const crypto::SigningKey key = crypto::SigningKey::generate();
    const crypto::SigningKey read = crypto::SigningKey::from_pem(key.to_pem());
    EXPECT_EQ(read.public_key_der(), key.public_key_der());
    EXPECT_TRUE(crypto::verify(key.public_key_der(), "x", read.sign("x")));
    EXPECT_EQ(kind_thrown([] { crypto::SigningKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n"); }),
              CryptoError::Kind::bad_key);
}

TEST(Crypto, CertificateNamesWhatItIsAskedToAndNothingSmuggled)
{
    const crypto::SigningKey key = crypto::SigningKey::generate();
    const std::string pem =
        key.self_signed_certificate("집현", {"localhost", "jiphyeon.internal"}, {"127.0.0.1"}, 30);
    EXPECT_TRUE(pem.starts_with("-----BEGIN CERTIFICATE-----\n"));
    EXPECT_NE(pem,
              key.self_signed_certificate("집현", {"localhost", "jiphyeon.internal"}, {"127.0.0.1"}, 30));
    EXPECT_EQ(kind_thrown([&] { key.self_signed_certificate("x", {"a,DNS:evil.example"}, {}, 1); }),
              CryptoError::Kind::failed);
    EXPECT_EQ(kind_thrown([&] { key.self_signed_certificate("x", {}, {"not an address"}, 1); }),
              CryptoError::Kind::failed);
}

TEST(Crypto, EveryChoiceOfEnoughSharesGivesTheKeyBack)
{
    const SecretKey key = SecretKey::random();
    const std::vector<std::string> shares = crypto::split_key(key, 5, 3);
    for (unsigned mask = 0; mask < 32; ++mask) {
        std::vector<std::string> chosen;
        for (unsigned i = 0; i < 5; ++i)
            if ((mask >> i) & 1) chosen.push_back(shares[i]);
        if (chosen.size() >= 3) {
            EXPECT_EQ(text_of(crypto::join_key(chosen)), text_of(key)) << mask;
        } else {
            EXPECT_EQ(kind_thrown([&] { crypto::join_key(chosen); }), CryptoError::Kind::bad_key) << mask;
        }
    }
}

TEST(Crypto, ShareIsForgivenItsSpacingButNotItsDigits)
{
    const SecretKey key = SecretKey::random();
    std::vector<std::string> shares = crypto::split_key(key, 2, 2);
    std::string typed = shares[0];
    std::replace(typed.begin(), typed.end(), '-', ' ');
    std::transform(typed.begin(), typed.end(), typed.begin(),
                   [](unsigned char c) { return std::toupper(c); });
    EXPECT_EQ(text_of(crypto::join_key(std::vector{typed, shares[1]})), text_of(key));
    EXPECT_EQ(kind_thrown([&] {
                  crypto::join_key(std::vector{shares[0], shares[0]});
              }),
              CryptoError::Kind::bad_key);
    const std::vector<std::string> others = crypto::split_key(key, 2, 2);
    EXPECT_EQ(kind_thrown([&] {
                  crypto::join_key(std::vector{shares[0], others[1]});
              }),
              CryptoError::Kind::bad_key);
    for (std::size_t i = 4; i < shares[0].size(); ++i) {
        std::string slip = shares[0];
        if (slip[i] == '-') continue;
        slip[i] = slip[i] == '7' ? '1' : '7';
        EXPECT_EQ(kind_thrown([&] {
                      crypto::join_key(std::vector{slip, shares[1]});
                  }),
                  CryptoError::Kind::bad_key)
            << i;
    }
}

// With one share too few every key is still possible: the shares of two different keys look alike, and the
// value of a single share is spread evenly.
TEST(Crypto, SharesBelowTheThresholdAreSpreadEvenly)
{
    const SecretKey key = SecretKey::from_bytes(std::array<std::uint8_t, 32>{});
    std::set<std::string> values;
    std::array<int, 16> digits{};
    for (int i = 0; i < 200; ++i) {
        std::string line = crypto::split_key(key, 2, 2)[0].substr(18, 71);
        std::erase(line, '-');
        values.insert(line);
        for (const char c : line) ++digits[static_cast<std::size_t>(c <= '9' ? c - '0' : c - 'a' + 10)];
    }
    EXPECT_EQ(values.size(), 200u);
    for (const int count : digits) {
        EXPECT_GT(count, 600);  // 800 expected, standard deviation 27
        EXPECT_LT(count, 1000);
    }
}

TEST(Crypto, TextCodingsRefuseWhatTheyWouldNotWrite)
{
    for (const std::string& plain : {std::string(), std::string("f"), std::string("fo"), std::string("foo"),
                                     std::string("\xff\xfe\0\1", 4)})
        EXPECT_EQ(crypto::from_base64(crypto::base64(plain)), plain);
    EXPECT_EQ(crypto::base64("foobar"), "Zm9vYmFy");
    for (const char* bad : {"Zg=", "Zg", "Z===", "Zm9v\n", "Zh==", "Zm=v", "Zm9vY*==", "===="})
        EXPECT_EQ(kind_thrown([&] { crypto::from_base64(bad); }), CryptoError::Kind::failed) << bad;
    EXPECT_EQ(crypto::hex(std::array<std::uint8_t, 3>{0, 0xab, 0x0f}), "00ab0f");
}

TEST(Crypto, RandomTextUsesEveryLetterAndNoneThatIsMistaken)
{
    const std::string text = crypto::random_text(20'000);
    const std::set<char> used(text.begin(), text.end());
    EXPECT_EQ(used.size(), 32u);
    for (const char c : {'i', 'l', 'o', '1', 'O', 'I'}) EXPECT_FALSE(used.contains(c)) << c;
}

TEST(Crypto, ComparesWholeTexts)
{
    EXPECT_TRUE(crypto::equal("", ""));
    EXPECT_TRUE(crypto::equal("token", "token"));
    EXPECT_FALSE(crypto::equal("token", "tokem"));
    EXPECT_FALSE(crypto::equal("token", "toke"));
}

// The one door: outside policy/crypto no source names OpenSSL. TLS itself is the exception: Poco's contexts
// in gateway, which may set options of an SSL_CTX.
TEST(Crypto, NoOtherSourceCallsTheLibrary)
{
    namespace fs = std::filesystem;
    const fs::path root = JIPHYEON_SOURCE_DIR;
    const auto names_library = [](const std::string& line) {
        for (const char* word :
             {"openssl/", "EVP_", "RAND_bytes", "HMAC(", "SHA256_", "ECDSA_", "OpenSSL::Crypto"})
            if (line.find(word) != std::string::npos) return true;
        return false;
    };
    int looked_at = 0;
    for (const char* top : {"app", "gateway", "index", "ingest", "llm_engine", "policy", "retriever"}) {
        for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / top)) {
            const std::string path = fs::relative(entry.path(), root).string();
            const std::string extension = entry.path().extension().string();
            if (!entry.is_regular_file() || path.starts_with("policy/crypto/")) continue;
            if (extension != ".cpp" && extension != ".hpp" && extension != ".txt") continue;
            std::ifstream in(entry.path());
            std::string line;
            for (int number = 1; std::getline(in, line); ++number) {
                if (path.starts_with("gateway/") && line.find("openssl/ssl.h") != std::string::npos) continue;
                EXPECT_FALSE(names_library(line)) << path << ":" << number << ": " << line;
            }
            ++looked_at;
        }
    }
    EXPECT_GT(looked_at, 20);
    EXPECT_TRUE(names_library("    EVP_MD_CTX_new()"));  // the search itself can find
}
