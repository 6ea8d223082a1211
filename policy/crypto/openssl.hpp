// What the files of this folder share about OpenSSL: owners for its handles and its words for a failure.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "jiphyeon/crypto.hpp"

namespace jiphyeon::crypto {

template <auto Free>
struct OpensslDeleter {
    template <class T>
    void operator()(T* handle) const noexcept
    {
        Free(handle);
    }
};
using CipherContextPtr = std::unique_ptr<EVP_CIPHER_CTX, OpensslDeleter<EVP_CIPHER_CTX_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, OpensslDeleter<EVP_MD_CTX_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;
using KdfPtr = std::unique_ptr<EVP_KDF, OpensslDeleter<EVP_KDF_free>>;
using KdfContextPtr = std::unique_ptr<EVP_KDF_CTX, OpensslDeleter<EVP_KDF_CTX_free>>;
using BioPtr = std::unique_ptr<BIO, OpensslDeleter<BIO_free_all>>;
using CertificatePtr = std::unique_ptr<X509, OpensslDeleter<X509_free>>;

// Throws `failed` with the library's reason, and empties its queue of errors.
[[noreturn]] void throw_failed(const char* what);

inline void require(bool done, const char* what)
{
    if (!done) throw_failed(what);
}

inline const unsigned char* bytes_of(std::string_view text)
{
    return reinterpret_cast<const unsigned char*>(text.data());
}

inline unsigned char* bytes_of(std::string& text)
{
    return reinterpret_cast<unsigned char*>(text.data());
}

// RFC 5869 with SHA-256; fills `out`.
void hkdf(std::string_view secret, std::string_view salt, std::string_view info, std::span<std::uint8_t> out);

// AES-256-GCM under a given nonce: what seal does after it drew one. Output: ciphertext and 16 bytes of tag.
std::string gcm_encrypt(std::span<const std::uint8_t, 32> key, std::string_view nonce, std::string_view plain,
                        std::string_view context);
// Throws not_authentic.
std::string gcm_decrypt(std::span<const std::uint8_t, 32> key, std::string_view nonce, std::string_view box,
                        std::string_view context);

}  // namespace jiphyeon::crypto
