#include "image.hpp"

#include <algorithm>

#include "builder.hpp"
#include "ocr.hpp"

namespace jiphyeon {
namespace {

constexpr std::int64_t kPixelsMax = 200'000'000;
constexpr std::uint32_t kPicturePagesMax = 2000;
constexpr double kPageInches = 8.27;  // A4's width: what a scan without a resolution is taken for

bool is_tiff(std::string_view bytes)
{
    return bytes.starts_with("II*") || bytes.starts_with(std::string_view("MM\0*", 4));
}

// The header's size before anything is unpacked.
void check_size(std::string_view bytes)
{
    l_int32 format = 0, width = 0, height = 0, bits = 0, samples = 0, colormap = 0;
    if (pixReadHeaderMem(reinterpret_cast<const l_uint8*>(bytes.data()), bytes.size(), &format, &width,
                         &height, &bits, &samples, &colormap) != 0)
        quarantine("broken", "그림을 읽을 수 없습니다. 파일이 잘렸거나 깨졌습니다.");
    if (width <= 0 || height <= 0 || std::int64_t{width} * height > kPixelsMax)
        quarantine("too_large", "그림이 처리 한도를 넘습니다 (" + std::to_string(width) + "×" +
                                    std::to_string(height) + ").");
}

}  // namespace

PixPtr read_picture(std::string_view bytes)
{
    check_size(bytes);
    PixPtr pix(pixReadMem(reinterpret_cast<const l_uint8*>(bytes.data()), bytes.size()));
    if (!pix) quarantine("broken", "그림을 읽을 수 없습니다. 파일이 잘렸거나 깨졌습니다.");
    return pix;
}

std::uint32_t picture_pages(std::string_view bytes)
{
    if (!is_tiff(bytes)) return 1;
    std::size_t offset = 0;
    std::uint32_t pages = 0;
    do {
        PixPtr pix(pixReadMemFromMultipageTiff(reinterpret_cast<const l_uint8*>(bytes.data()), bytes.size(),
                                               &offset));
        if (!pix) break;
        ++pages;
    } while (offset != 0 && pages < kPicturePagesMax);
    if (pages == 0) quarantine("broken", "TIFF를 읽을 수 없습니다. 파일이 잘렸거나 깨졌습니다.");
    return pages;
}

PixPtr read_picture_page(std::string_view bytes, std::uint32_t page)
{
    if (!is_tiff(bytes)) return page == 1 ? read_picture(bytes) : nullptr;
    check_size(bytes);
    std::size_t offset = 0;
    for (std::uint32_t number = 1;; ++number) {
        PixPtr pix(pixReadMemFromMultipageTiff(reinterpret_cast<const l_uint8*>(bytes.data()), bytes.size(),
                                               &offset));
        if (!pix || number == page) return pix;
        if (offset == 0) return nullptr;
    }
}

std::string paint_page(const Pix* source, std::uint32_t page, unsigned dpi, std::span<const Box> hidden)
{
    const double wanted = kPageInches * dpi;
    const double scale = std::min(1.0, wanted / std::max<double>(1, std::min(source->w, source->h)));
    const auto factor = static_cast<l_float32>(scale);
    PixPtr flat(pixRemoveColormap(const_cast<Pix*>(source), REMOVE_CMAP_BASED_ON_SRC));
    PixPtr wide(flat ? pixConvertTo32(flat.get()) : nullptr);
    PixPtr pix(wide ? pixScale(wide.get(), factor, factor) : nullptr);
    if (!pix) quarantine("too_large", "쪽 그림을 만들 수 없습니다.");
    const auto width = static_cast<l_int32>(pix->w), height = static_cast<l_int32>(pix->h);
    for (const Box& box : hidden) {
        if (box.page != page) continue;
        // A pixel more on each side: thousandths were rounded.
        const l_int32 left = box.left * width / 1000 - 2, top = box.top * height / 1000 - 2;
        const l_int32 right = box.right * width / 1000 + 3, bottom = box.bottom * height / 1000 + 3;
        const std::unique_ptr<::Box, void (*)(::Box*)> area(
            boxCreate(std::max(left, 0), std::max(top, 0), std::max(right - std::max(left, 0), 1),
                      std::max(bottom - std::max(top, 0), 1)),
            [](::Box* b) { boxDestroy(&b); });
        pixClearInRect(pix.get(), area.get());
    }
    l_uint8* data = nullptr;
    std::size_t size = 0;
    if (pixWriteMemPng(&data, &size, pix.get(), 0) != 0)
        quarantine("too_large", "쪽 그림을 만들 수 없습니다.");
    std::string out(reinterpret_cast<const char*>(data), size);
    lept_free(data);
    return out;
}

Document parse_image(std::string_view bytes, Ocr& ocr)
{
    DocumentBuilder builder("image");
    const std::uint32_t pages = picture_pages(bytes);
    for (std::uint32_t page = 1; page <= pages; ++page) {
        const PixPtr pix = read_picture_page(bytes, page);
        if (!pix) quarantine("truncated", std::to_string(page) + "쪽의 그림이 깨져 있습니다.");
        l_uint8* data = nullptr;
        std::size_t size = 0;
        if (pixWriteMemPnm(&data, &size, pix.get()) != 0)
            quarantine("broken", std::to_string(page) + "쪽의 그림을 바꿀 수 없습니다.");
        const std::string pnm(reinterpret_cast<const char*>(data), size);
        lept_free(data);
        const auto shorter = static_cast<double>(std::min(pix->w, pix->h));
        const auto dpi = pix->xres > 70 && pix->xres < 1300 ? static_cast<unsigned>(pix->xres)
                                                            : static_cast<unsigned>(shorter / kPageInches);
        add_ocr_page(builder, ocr.read(pnm, dpi, page), page);
    }
    Document document = builder.finish();
    document.pages = pages;
    document.scanned = true;
    return document;
}

}  // namespace jiphyeon
