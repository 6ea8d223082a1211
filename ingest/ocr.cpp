// Settings as measured: page segmentation 4 (one column of lines of varying size; the default loses a quarter
// of all Hangul), the script model Hangul (it knows Latin letters, `kor` does not), 8-bit gray at 200 dpi,
// deskewed, background evened. Boxes are turned back onto the page as it was scanned.
#include "ocr.hpp"

#include <tesseract/baseapi.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "image.hpp"
#include "spacing.hpp"
#include "structure.hpp"

namespace jiphyeon {
namespace {

constexpr unsigned kDpi = 200;
constexpr float kRetryBelow = 0.45f;  // mean confidence under which other orientations are tried
constexpr float kKeepLine = 0.15f;    // below: noise, not text
constexpr double kMarginOfLine = 25;  // thousandths
constexpr double kSkewMin = 0.1;      // degrees
constexpr double kRadians = 3.14159265358979 / 180.0;

struct Prepared {
    PixPtr pix;
    double angle = 0;  // degrees by which the page was turned clockwise
    unsigned quarter = 0;
    double width = 0, height = 0;  // of the page before deskewing, in the same scale
};

class Tesseract final : public Ocr {
public:
    Tesseract(const std::filesystem::path& tessdata, std::function<void(std::uint32_t)> on_page)
        : on_page_(std::move(on_page))
    {
        if (api_.Init(tessdata.empty() ? nullptr : tessdata.c_str(), "Hangul", tesseract::OEM_LSTM_ONLY) != 0)
            throw IngestError(IngestError::Kind::worker, "Tesseract cannot open its model Hangul");
        api_.SetPageSegMode(tesseract::PSM_SINGLE_COLUMN);
        api_.SetVariable("debug_file", "/dev/null");
    }
    OcrPage read(std::string_view image, unsigned dpi, std::uint32_t page) override;

private:
    Prepared prepare(const Pix* source, unsigned dpi, unsigned quarter) const;
    OcrPage recognize(const Prepared& prepared, std::uint32_t page);
    jiphyeon::Box page_box(const Prepared& prepared, int left, int top, int right, int bottom,
                           std::uint32_t page) const;

    tesseract::TessBaseAPI api_;
    std::function<void(std::uint32_t)> on_page_;
};

Prepared Tesseract::prepare(const Pix* source, unsigned dpi, unsigned quarter) const
{
    Prepared out;
    PixPtr gray(pixConvertTo8(const_cast<Pix*>(source), 0));
    const double scale = std::clamp(static_cast<double>(kDpi) / std::max(dpi, 40u), 0.1, 3.0);
    if (gray && std::abs(scale - 1) > 0.1)
        gray.reset(pixScale(gray.get(), static_cast<l_float32>(scale), static_cast<l_float32>(scale)));
    if (gray && quarter != 0) gray.reset(pixRotateOrth(gray.get(), static_cast<l_int32>(quarter)));
    if (!gray) quarantine("too_large", "쪽 그림을 문자 인식용으로 바꿀 수 없습니다.");
    out.quarter = quarter;
    out.width = gray->w;
    out.height = gray->h;
    const PixPtr binary(pixConvertTo1(gray.get(), 130));
    l_float32 angle = 0, confidence = 0;
    if (binary && pixFindSkew(binary.get(), &angle, &confidence) == 0 && confidence > 2 &&
        std::abs(angle) > kSkewMin) {
        PixPtr turned(pixRotate(gray.get(), static_cast<l_float32>(angle * kRadians), L_ROTATE_AREA_MAP,
                                L_BRING_IN_WHITE, 0, 0));
        if (turned) {
            out.angle = angle;
            gray = std::move(turned);
        }
    }
    PixPtr even(pixBackgroundNormSimple(gray.get(), nullptr, nullptr));
    out.pix = even ? std::move(even) : std::move(gray);
    return out;
}

// From the turned picture to thousandths of the page as scanned: the box around the turned corners.
jiphyeon::Box Tesseract::page_box(const Prepared& prepared, int left, int top, int right, int bottom,
                                  std::uint32_t page) const
{
    const double radians = -prepared.angle * kRadians;
    const double cx = prepared.pix->w / 2.0, cy = prepared.pix->h / 2.0;
    double min_x = 1e9, min_y = 1e9, max_x = -1e9, max_y = -1e9;
    for (const auto& [x, y] : {std::pair{left, top}, {right, top}, {left, bottom}, {right, bottom}}) {
        const double dx = x - cx, dy = y - cy;
        double px = (prepared.width / 2 + dx * std::cos(radians) - dy * std::sin(radians)) / prepared.width;
        double py = (prepared.height / 2 + dx * std::sin(radians) + dy * std::cos(radians)) / prepared.height;
        for (unsigned turn = 0; turn < prepared.quarter; ++turn) {  // back by quarters against the clock
            const double was = px;
            px = py;
            py = 1 - was;
        }
        min_x = std::min(min_x, px), max_x = std::max(max_x, px);
        min_y = std::min(min_y, py), max_y = std::max(max_y, py);
    }
    const auto thousandths = [](double v) {
        return static_cast<std::uint16_t>(std::clamp(std::lround(v * 1000), 0L, 1000L));
    };
    return {page, thousandths(min_x), thousandths(min_y), thousandths(max_x), thousandths(max_y)};
}

std::vector<Symbol> symbols_of_line(const tesseract::ResultIterator& line)
{
    std::vector<Symbol> symbols;
    tesseract::ResultIterator it(line);
    do {
        const std::unique_ptr<char[]> text(it.GetUTF8Text(tesseract::RIL_SYMBOL));
        int top = 0, bottom = 0;
        Symbol symbol;
        if (!text || !it.BoundingBox(tesseract::RIL_SYMBOL, &symbol.left, &top, &symbol.right, &bottom))
            continue;
        symbol.text = text.get();
        symbols.push_back(std::move(symbol));
        if (it.IsAtFinalElement(tesseract::RIL_TEXTLINE, tesseract::RIL_SYMBOL)) break;
    } while (it.Next(tesseract::RIL_SYMBOL));
    return symbols;
}

// Which columns of the line hold ink. Specks of a pixel are noise.
std::vector<bool> ink_of_line(const Pix* binary, int left, int top, int right, int bottom)
{
    std::vector<bool> ink;
    const l_uint32* data = pixGetData(const_cast<Pix*>(binary));
    const int words = pixGetWpl(binary);
    for (int x = left; x < right; ++x) {
        int dark = 0;
        for (int y = top; y < bottom && dark < 2; ++y)
            dark += GET_DATA_BIT(data + static_cast<std::ptrdiff_t>(y) * words, x);
        ink.push_back(dark >= 2);
    }
    return ink;
}

std::size_t widest_gap(const std::vector<bool>& ink)
{
    std::size_t widest = 0, gap = 0;
    for (const bool dark : ink) {
        gap = dark ? 0 : gap + 1;
        widest = std::max(widest, gap);
    }
    return widest;
}

OcrPage Tesseract::recognize(const Prepared& prepared, std::uint32_t page)
{
    OcrPage out;
    api_.SetImage(prepared.pix.get());
    api_.SetSourceResolution(static_cast<int>(kDpi));  // must follow SetImage
    if (api_.Recognize(nullptr) != 0) return out;
    const std::unique_ptr<tesseract::ResultIterator> it(api_.GetIterator());
    const PixPtr binary(pixConvertTo1(prepared.pix.get(), 150));
    if (!it || !binary) return out;
    double weight = 0;
    do {
        if (it->Empty(tesseract::RIL_TEXTLINE)) continue;
        int left = 0, top = 0, right = 0, bottom = 0;
        if (!it->BoundingBox(tesseract::RIL_TEXTLINE, &left, &top, &right, &bottom)) continue;
        OcrLine line;
        const std::vector<bool> ink = ink_of_line(binary.get(), left, top, right, bottom);
        line.text = spaced_text(symbols_of_line(*it), left, ink);
        line.tabular = static_cast<double>(widest_gap(ink)) > 1.6 * (bottom - top);
        line.confidence = it->Confidence(tesseract::RIL_TEXTLINE) / 100.0f;
        line.box = page_box(prepared, left, top, right, bottom, page);
        const auto length = static_cast<double>(line.text.size());
        out.confidence += static_cast<float>(length) * line.confidence;
        weight += length;
        out.lines.push_back(std::move(line));
    } while (it->Next(tesseract::RIL_TEXTLINE));
    out.confidence = weight > 0 ? static_cast<float>(out.confidence / weight) : 0;
    api_.Clear();
    return out;
}

OcrPage Tesseract::read(std::string_view image, unsigned dpi, std::uint32_t page)
{
    if (on_page_) on_page_(page);
    const PixPtr source = read_picture(image);
    OcrPage best = recognize(prepare(source.get(), dpi, 0), page);
    // A page that lies on its side or on its head reads as noise.
    if (best.confidence < kRetryBelow && !best.lines.empty())
        for (const unsigned quarter : {1u, 3u, 2u}) {
            OcrPage turned = recognize(prepare(source.get(), dpi, quarter), page);
            if (turned.confidence > best.confidence + 0.15f) best = std::move(turned);
            if (best.confidence > 0.7f) break;
        }
    return best;
}

// The model has no □ and ○; where a line begins with what it writes instead, the bullet is meant.
std::string restore_bullet(std::string text)
{
    static constexpr std::pair<std::string_view, std::string_view> kConfused[] = {
        {"ㅇ ", "○ "}, {"O ", "○ "}, {"0 ", "○ "}, {"o ", "○ "}, {"ㅁ ", "□ "}, {"ᆞ ", "· "}, {"ㆍ ", "· "}};
    for (const auto& [seen, meant] : kConfused)
        if (text.starts_with(seen) && text.size() > seen.size() + 6)
            return std::string(meant) + text.substr(seen.size());
    return text;
}

}  // namespace

std::unique_ptr<Ocr> make_tesseract(const std::filesystem::path& tessdata,
                                    std::function<void(std::uint32_t)> on_page)
{
    return std::make_unique<Tesseract>(tessdata, std::move(on_page));
}

void add_ocr_page(DocumentBuilder& builder, const OcrPage& page, std::uint32_t number)
{
    Block block;
    float confidence = 0;
    const auto flush = [&] {
        if (!block.lines.empty()) {
            block.confidence = confidence / static_cast<float>(block.lines.size());
            builder.add(std::move(block));
        }
        block = Block{};
        confidence = 0;
    };
    bool tabular = false;
    std::uint16_t edge = 0;  // the right edge of the text
    for (const OcrLine& line : page.lines)
        if (line.confidence >= kKeepLine) edge = std::max(edge, line.box.right);
    for (const OcrLine& line : page.lines) {
        if (line.confidence < kKeepLine) continue;
        const std::string text = restore_bullet(builder.clean(line.text));
        if (text.empty()) continue;
        // A line that had room for the next word closes its paragraph; so does a line far away or a new mark.
        const auto first_word =
            static_cast<double>(std::min(text.find(' '), text.size())) / static_cast<double>(text.size());
        const double needed = (line.box.right - line.box.left) * first_word + kMarginOfLine;
        const bool closed = !block.lines.empty() && (block.lines.back().box.right + needed < edge ||
                                                     line.box.top > block.lines.back().box.bottom + 25);
        if (begins_item(text) || closed || line.tabular || tabular) flush();
        tabular = line.tabular;
        if (!block.text.empty()) block.text.push_back(' ');
        const std::size_t start = block.text.size();
        block.text += text;
        block.page = number;
        block.page_exact = true;
        block.lines.push_back({start, block.text.size(), line.box});
        if (!block.box) block.box = line.box;
        block.box->left = std::min(block.box->left, line.box.left);
        block.box->right = std::max(block.box->right, line.box.right);
        block.box->top = std::min(block.box->top, line.box.top);
        block.box->bottom = std::max(block.box->bottom, line.box.bottom);
        confidence += line.confidence;
    }
    flush();
}

}  // namespace jiphyeon
