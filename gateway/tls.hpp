#pragma once

#include <Poco/Net/Context.h>

#include "jiphyeon/gateway.hpp"

namespace jiphyeon {

// TLS 1.2 and 1.3 with forward secrecy and authenticated ciphers only. Throws GatewayError io where the
// certificate or the key cannot be used.
Poco::Net::Context::Ptr tls_context(const HttpsOptions& options);

}  // namespace jiphyeon
