#include "originals.hpp"

#include <zstd.h>

#include <span>

#include "jiphyeon/index.hpp"

namespace jiphyeon {
namespace {

constexpr int kCompressionLevel = 3;

std::string box_context(std::string_view id)
{
    return "original:" + std::string(id);
}
std::string key_context(std::string_view id)
{
    return "original key:" + std::string(id);
}

std::string compress(std::string_view bytes)
{
    std::string out(ZSTD_compressBound(bytes.size()), '\0');
    const std::size_t size =
        ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), kCompressionLevel);
    if (ZSTD_isError(size) != 0) throw IndexError(IndexError::Kind::io, ZSTD_getErrorName(size));
    out.resize(size);
    return out;
}

std::string decompress(std::string_view bytes)
{
    const unsigned long long size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) {
        throw IndexError(IndexError::Kind::corrupt, "an original is no compressed frame");
    }
    std::string out(size, '\0');
    const std::size_t written = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
    if (ZSTD_isError(written) != 0 || written != out.size()) {
        throw IndexError(IndexError::Kind::corrupt, "an original does not decompress");
    }
    return out;
}

std::string_view text_of(std::span<const std::uint8_t, 32> bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

SealedOriginal seal_original(const SecretKey& master, std::string_view document_id, std::string_view bytes)
{
    try {
        const SecretKey key = SecretKey::random();
        return {crypto::seal(key, compress(bytes), box_context(document_id)),
                crypto::seal(master, text_of(key.bytes()), key_context(document_id))};
    } catch (const CryptoError& e) {
        throw IndexError(IndexError::Kind::io, std::string("sealing an original: ") + e.what());
    }
}

std::string open_original(const SecretKey& master, std::string_view document_id, const SealedOriginal& sealed)
{
    try {
        const std::string bytes = crypto::open(master, sealed.wrapped_key, key_context(document_id));
        const SecretKey key =
            SecretKey::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
        return decompress(crypto::open(key, sealed.box, box_context(document_id)));
    } catch (const CryptoError& e) {
        throw IndexError(IndexError::Kind::corrupt,
                         "the original of " + std::string(document_id) + " does not open: " + e.what());
    }
}

}  // namespace jiphyeon
