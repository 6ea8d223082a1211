// Pictures through Leptonica: pages of a file, painted page images.
#pragma once

#include <leptonica/allheaders.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "parse.hpp"

namespace jiphyeon {

struct PixDeleter {
    void operator()(Pix* pix) const noexcept { pixDestroy(&pix); }
};
using PixPtr = std::unique_ptr<Pix, PixDeleter>;

// Throws Unreadable where the picture is broken or larger than the bound.
PixPtr read_picture(std::string_view bytes);
std::uint32_t picture_pages(std::string_view bytes);
PixPtr read_picture_page(std::string_view bytes, std::uint32_t page);
// PNG, black over the boxes (those of other pages are passed over). `dpi`: scaled down to about A4 at that.
std::string paint_page(const Pix* pix, std::uint32_t page, unsigned dpi, std::span<const Box> hidden);

}  // namespace jiphyeon
