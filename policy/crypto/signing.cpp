// ECDSA P-256 keys, signatures and the self-signed certificate of a new data folder.
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "openssl.hpp"

namespace jiphyeon::crypto {

struct SigningKey::Handle {
    KeyPtr key;
};

namespace {

bool is_p256(const EVP_PKEY* key)
{
    char group[32] = "";
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 &&
           std::string_view(group) == "prime256v1";
}

std::string drain(BIO* bio)
{
    char* data = nullptr;
    const long length = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(length)};
}

// A passphrase is never asked for on the terminal.
int no_passphrase(char*, int, int, void*)
{
    return 0;
}

void add_extension(X509* certificate, int nid, const std::string& value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, OpensslDeleter<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    require(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "certificate extension");
}

// The library's little language takes commas and colons as its own.
void check_name(const std::string& name)
{
    if (name.empty() || name.find_first_of(",;\n\r\\") != std::string::npos)
        throw CryptoError(CryptoError::Kind::failed, "not a name for a certificate: " + name);
}

std::string alternative_names(const std::vector<std::string>& dns_names,
                              const std::vector<std::string>& addresses)
{
    std::string out;
    const auto add = [&out](const char* kind, const std::string& name) {
        check_name(name);
        out += (out.empty() ? "" : ",") + std::string(kind) + name;
    };
    for (const std::string& name : dns_names) add("DNS:", name);
    for (const std::string& address : addresses) add("IP:", address);
    return out;
}

void set_random_serial(X509* certificate)
{
    std::array<std::uint8_t, 16> serial{};
    random(serial);
    serial[0] = static_cast<std::uint8_t>((serial[0] & 0x7f) | 0x40);  // positive and of one length
    const std::unique_ptr<BIGNUM, OpensslDeleter<BN_free>> number(
        BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
    require(number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)),
            "certificate serial");
}

}  // namespace

SigningKey::SigningKey(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

SigningKey SigningKey::generate()
{
    KeyPtr key(EVP_EC_gen("P-256"));
    require(key != nullptr, "new P-256 key");
    return SigningKey(std::make_unique<Handle>(Handle{std::move(key)}));
}

SigningKey SigningKey::from_pem(std::string_view pem)
{
    const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    KeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr) : nullptr);
    if (!key || !is_p256(key.get())) {
        ERR_clear_error();
        throw CryptoError(CryptoError::Kind::bad_key, "not a P-256 private key in PEM");
    }
    return SigningKey(std::make_unique<Handle>(Handle{std::move(key)}));
}

std::string SigningKey::to_pem() const
{
    const BioPtr bio(BIO_new(BIO_s_secmem()));
    require(bio && PEM_write_bio_PKCS8PrivateKey(bio.get(), handle_->key.get(), nullptr, nullptr, 0, nullptr,
                                                 nullptr) == 1,
            "private key to PEM");
    return drain(bio.get());
}

std::string SigningKey::public_key_der() const
{
    unsigned char* der = nullptr;
    const int length = i2d_PUBKEY(handle_->key.get(), &der);
    require(length > 0, "public key to DER");
    std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(length));
    OPENSSL_free(der);
    return out;
}

std::string SigningKey::sign(std::string_view bytes) const
{
    const DigestContextPtr context(EVP_MD_CTX_new());
    require(
        context && EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, handle_->key.get()) == 1,
        "ECDSA");
    std::size_t length = 0;
    require(EVP_DigestSign(context.get(), nullptr, &length, bytes_of(bytes), bytes.size()) == 1, "ECDSA");
    std::string out(length, '\0');
    require(EVP_DigestSign(context.get(), bytes_of(out), &length, bytes_of(bytes), bytes.size()) == 1,
            "ECDSA");
    out.resize(length);  // DER drops leading zeros
    return out;
}

bool verify(std::string_view public_key_der, std::string_view bytes, std::string_view signature)
{
    const unsigned char* at = bytes_of(public_key_der);
    const KeyPtr key(d2i_PUBKEY(nullptr, &at, static_cast<long>(public_key_der.size())));
    if (!key || !is_p256(key.get()) || at != bytes_of(public_key_der) + public_key_der.size()) {
        ERR_clear_error();
        throw CryptoError(CryptoError::Kind::bad_key, "not a P-256 public key in DER");
    }
    const DigestContextPtr context(EVP_MD_CTX_new());
    require(context && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1,
            "ECDSA");
    const bool good = EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(bytes),
                                       bytes.size()) == 1;
    ERR_clear_error();  // a signature that is not even DER leaves words behind
    return good;
}

std::string SigningKey::self_signed_certificate(std::string_view common_name,
                                                const std::vector<std::string>& dns_names,
                                                const std::vector<std::string>& addresses, int days) const
{
    const CertificatePtr certificate(X509_new());
    require(certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1, "certificate");
    set_random_serial(certificate.get());
    // An hour back: the clocks of an intranet without a time server differ.
    require(X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600) &&
                X509_time_adj_ex(X509_getm_notAfter(certificate.get()), days, 0, nullptr),
            "certificate times");
    X509_NAME* const name = X509_get_subject_name(certificate.get());
    require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, bytes_of(common_name),
                                       static_cast<int>(common_name.size()), -1, 0) == 1 &&
                X509_set_issuer_name(certificate.get(), name) == 1,
            "certificate name");
    require(X509_set_pubkey(certificate.get(), handle_->key.get()) == 1, "certificate key");
    add_extension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
    add_extension(certificate.get(), NID_key_usage, "critical,digitalSignature");
    add_extension(certificate.get(), NID_ext_key_usage, "serverAuth");
    add_extension(certificate.get(), NID_subject_key_identifier, "hash");
    if (const std::string names = alternative_names(dns_names, addresses); !names.empty())
        add_extension(certificate.get(), NID_subject_alt_name, names);
    require(X509_sign(certificate.get(), handle_->key.get(), EVP_sha256()) > 0, "certificate signature");
    const BioPtr bio(BIO_new(BIO_s_mem()));
    require(bio && PEM_write_bio_X509(bio.get(), certificate.get()) == 1, "certificate to PEM");
    return drain(bio.get());
}

}  // namespace jiphyeon::crypto
