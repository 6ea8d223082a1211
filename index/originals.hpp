// The files as they came, each sealed under a key of its own. The keys are wrapped by the master key and lie
// in a column family of their own: without its row there an original is noise.
#pragma once

#include <string>
#include <string_view>

#include "jiphyeon/crypto.hpp"

namespace jiphyeon {

struct SealedOriginal {
    std::string box, wrapped_key;
};

// Throws IndexError io.
SealedOriginal seal_original(const SecretKey& master, std::string_view document_id, std::string_view bytes);
// Throws IndexError corrupt: wrong master key, changed bytes, or those of another document.
std::string open_original(const SecretKey& master, std::string_view document_id,
                          const SealedOriginal& sealed);

}  // namespace jiphyeon
