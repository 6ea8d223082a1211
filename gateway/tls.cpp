// What Poco 1.11 would allow by itself (TLS 1.0, every suite that OpenSSL's security level lets through) is
// replaced item by item. ARIA-GCM stands last: no browser offers it, agency servers may.
#include "tls.hpp"

#include <Poco/Crypto/EVPPKey.h>
#include <Poco/Crypto/X509Certificate.h>
#include <Poco/Exception.h>
#include <openssl/ssl.h>

#include <fstream>
#include <sstream>

namespace jiphyeon {
namespace {

constexpr const char* kTls12 =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-ARIA256-GCM-SHA384:ECDHE-ARIA256-GCM-SHA384";
constexpr const char* kTls13 = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";

std::string key_text(const HttpsOptions& options)
{
    if (!options.key_pem.empty()) return options.key_pem;
    std::ifstream file(options.key, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) throw GatewayError(GatewayError::Kind::io, "cannot read the key " + options.key.string());
    return text.str();
}

}  // namespace

Poco::Net::Context::Ptr tls_context(const HttpsOptions& options)
{
    try {
        Poco::Net::Context::Ptr context(new Poco::Net::Context(
            Poco::Net::Context::TLS_SERVER_USE, "", Poco::Net::Context::VERIFY_NONE, 9, false, kTls12));
        context->requireMinimumProtocol(Poco::Net::Context::PROTO_TLSV1_2);
        context->preferServerCiphers();
        SSL_CTX_set_options(context->sslContext(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        if (SSL_CTX_set_ciphersuites(context->sslContext(), kTls13) != 1)
            throw GatewayError(GatewayError::Kind::io, "the TLS 1.3 suites were refused");

        const auto chain = Poco::Crypto::X509Certificate::readPEM(options.certificate.string());
        if (chain.empty())
            throw GatewayError(GatewayError::Kind::io, "no certificate in " + options.certificate.string());
        context->useCertificate(chain.front());
        for (std::size_t i = 1; i < chain.size(); ++i) context->addChainCertificate(chain[i]);
        std::istringstream key(key_text(options));
        context->usePrivateKey(Poco::Crypto::EVPPKey(nullptr, &key));
        if (SSL_CTX_check_private_key(context->sslContext()) != 1)
            throw GatewayError(GatewayError::Kind::io, "the key does not belong to the certificate");
        return context;
    } catch (const Poco::Exception& error) {
        throw GatewayError(GatewayError::Kind::io, "TLS: " + error.displayText());
    }
}

}  // namespace jiphyeon
