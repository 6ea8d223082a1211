// SPDX-License-Identifier: GPL-3.0-or-later
//
// jiphyeon-pdf: text with boxes and page images of PDF files, by poppler. A program of its own, because
// poppler is under the GPL; it speaks over one inherited socket and is caged before it sees the first foreign
// byte.
//
// Requests ({"op": …} and bytes) and replies:
//     open + file            -> {"pages", "title", "author"}
//     text first last        -> {"pages": [{"width", "height", "words": [[text, left, top, right, bottom,
//     size,
//                                font, space_after, upright]]}]}     points from the top left corner
//     render page dpi gray   -> {"width", "height"} + PGM or PPM
//     close                  -> {}
// and {"error": {"kind", "reason"}} for each.
#include <poppler-document.h>
#include <poppler-global.h>
#include <poppler-page-renderer.h>
#include <poppler-page.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

#include "../message.hpp"
#include "jiphyeon/sandbox.hpp"

namespace {

using jiphyeon::Message;
using nlohmann::json;

constexpr double kPixelsMax = 60e6;  // A1 at 200 dpi
constexpr int kWordsMax = 60'000;    // of one page

struct Failure {
    std::string kind, reason;
};

std::string utf8(const poppler::ustring& text)
{
    const poppler::byte_array bytes = text.to_utf8();
    return {bytes.begin(), bytes.end()};
}

class Program {
public:
    std::string answer(const Message& request);

private:
    json open(std::string_view bytes);
    json text(int first, int last) const;
    std::string render(int number, double dpi, bool gray) const;
    std::unique_ptr<poppler::page> page(int number) const;

    std::string bytes_;  // the document reads from here
    std::unique_ptr<poppler::document> document_;
};

json Program::open(std::string_view bytes)
{
    document_.reset();
    bytes_ = std::string(bytes);
    document_.reset(poppler::document::load_from_raw_data(bytes_.data(), static_cast<int>(bytes_.size())));
    if (!document_) throw Failure{"broken", "PDF를 열 수 없습니다. 파일이 잘렸거나 깨졌습니다."};
    if (document_->is_locked())
        throw Failure{"password", "암호로 보호된 PDF입니다. 암호를 푼 파일을 넣어 주십시오."};
    if (document_->pages() <= 0) throw Failure{"broken", "PDF에 읽을 수 있는 쪽이 없습니다."};
    return {{"pages", document_->pages()},
            {"title", utf8(document_->get_title())},
            {"author", utf8(document_->get_author())}};
}

std::unique_ptr<poppler::page> Program::page(int number) const
{
    if (!document_) throw Failure{"bad_request", "no document is open"};
    if (number < 1 || number > document_->pages()) throw Failure{"bad_request", "no such page"};
    std::unique_ptr<poppler::page> page(document_->create_page(number - 1));
    if (!page) throw Failure{"broken", "PDF의 " + std::to_string(number) + "쪽을 열 수 없습니다."};
    return page;
}

json Program::text(int first, int last) const
{
    json pages = json::array();
    for (int number = first; number <= last; ++number) {
        const std::unique_ptr<poppler::page> one = page(number);
        const poppler::rectf rect = one->page_rect();
        const bool turned =
            one->orientation() == poppler::page::landscape || one->orientation() == poppler::page::seascape;
        json words = json::array();
        for (const poppler::text_box& box : one->text_list(poppler::page::text_list_include_font)) {
            if (words.size() >= kWordsMax) break;
            const poppler::rectf at = box.bbox();
            words.push_back(json::array({utf8(box.text()), at.left(), at.top(), at.right(), at.bottom(),
                                         box.has_font_info() ? box.get_font_size() : at.height(),
                                         box.has_font_info() ? box.get_font_name() : std::string(),
                                         box.has_space_after(), box.rotation() == 0}));
        }
        pages.push_back({{"width", turned ? rect.height() : rect.width()},
                         {"height", turned ? rect.width() : rect.height()},
                         {"words", std::move(words)}});
    }
    return {{"pages", std::move(pages)}};
}

std::string Program::render(int number, double dpi, bool gray) const
{
    const std::unique_ptr<poppler::page> one = page(number);
    const poppler::rectf rect = one->page_rect();
    const double pixels = rect.width() * rect.height() * dpi * dpi / (72.0 * 72.0);
    if (!(pixels > 0)) throw Failure{"broken", "PDF의 쪽 크기가 잘못되었습니다."};
    if (pixels > kPixelsMax) dpi *= std::sqrt(kPixelsMax / pixels);
    poppler::page_renderer renderer;
    renderer.set_render_hint(poppler::page_renderer::antialiasing);
    renderer.set_render_hint(poppler::page_renderer::text_antialiasing);
    renderer.set_image_format(gray ? poppler::image::format_gray8 : poppler::image::format_rgb24);
    poppler::image image = renderer.render_page(one.get(), dpi, dpi);
    if (!image.is_valid()) throw Failure{"broken", "PDF의 쪽을 그릴 수 없습니다."};
    std::string out = std::string(gray ? "P5 " : "P6 ") + std::to_string(image.width()) + " " +
                      std::to_string(image.height()) + " 255\n";
    const auto row_bytes = static_cast<std::size_t>(image.width()) * (gray ? 1 : 3);
    for (int y = 0; y < image.height(); ++y)
        out.append(image.const_data() + static_cast<std::ptrdiff_t>(y) * image.bytes_per_row(), row_bytes);
    return jiphyeon::pack_message({{"width", image.width()}, {"height", image.height()}}, out);
}

std::string Program::answer(const Message& request)
{
    try {
        const std::string op = request.head.at("op");
        if (op == "open") return jiphyeon::pack_message(open(request.bytes));
        if (op == "text")
            return jiphyeon::pack_message(text(request.head.at("first"), request.head.at("last")));
        if (op == "render")
            return render(request.head.at("page"),
                          std::clamp(request.head.at("dpi").get<double>(), 10.0, 400.0),
                          request.head.at("gray"));
        if (op == "close") {
            document_.reset();
            bytes_.clear();
            return jiphyeon::pack_message(json::object());
        }
        throw Failure{"bad_request", "unknown operation"};
    } catch (const Failure& e) {
        return jiphyeon::pack_message({{"error", {{"kind", e.kind}, {"reason", e.reason}}}});
    } catch (const std::bad_alloc&) {
        return jiphyeon::pack_message(
            {{"error", {{"kind", "too_large"}, {"reason", "PDF를 읽는 데 기억 장치가 모자랍니다."}}}});
    } catch (const json::exception& e) {
        return jiphyeon::pack_message({{"error", {{"kind", "bad_request"}, {"reason", e.what()}}}});
    }
}

}  // namespace

int main()
{
    try {
        poppler::set_debug_error_function([](const std::string&, void*) {}, nullptr);
        jiphyeon::enter_cage();
        jiphyeon::Channel channel(jiphyeon::kWorkerFd);
        Program program;
        while (const std::optional<std::string> message = channel.receive())
            channel.send(program.answer(jiphyeon::unpack_message(*message)));
    } catch (const jiphyeon::SandboxError& e) {
        if (e.kind == jiphyeon::SandboxError::Kind::closed) return 0;
        std::fprintf(stderr, "jiphyeon-pdf: %s\n", e.what());
        return 1;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "jiphyeon-pdf: %s\n", e.what());
        return 1;
    }
    return 0;
}
