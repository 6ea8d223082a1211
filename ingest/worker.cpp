// The caged child: one parser process. It asks its parent for what lies in the PDF program and answers with
// the document or the reason why there is none.
//
// Parent to child: {"op": "parse", "name"} + file, {"op": "render", "page", "dpi", "hidden"} + file.
// Child to parent: {"want": "pdf", "request": {…}} (the parent relays it and its reply), {"note": "page"}
// (OCR of one more page begins: more time is due), and last {"done": true, …} + bytes.
#include <cstdio>
#include <cstdlib>
#include <new>

#include "image.hpp"
#include "jiphyeon/sandbox.hpp"
#include "message.hpp"
#include "ocr.hpp"
#include "parse.hpp"
#include "sniff.hpp"

namespace jiphyeon {
namespace {

using nlohmann::json;

class RelayedPdf final : public PdfSource {
public:
    explicit RelayedPdf(Channel& channel) : channel_(channel) {}

    PdfInfo info() override
    {
        const Message reply = ask({{"op", "open"}});
        return {reply.head.at("pages"), reply.head.at("title"), reply.head.at("author")};
    }

    std::vector<PdfPage> pages(std::uint32_t first, std::uint32_t last) override
    {
        const Message reply = ask({{"op", "text"}, {"first", first}, {"last", last}});
        std::vector<PdfPage> pages;
        for (const json& one : reply.head.at("pages")) {
            PdfPage page;
            page.width = one.at("width");
            page.height = one.at("height");
            for (const json& word : one.at("words"))
                page.words.push_back({word.at(0), word.at(1), word.at(2), word.at(3), word.at(4), word.at(5),
                                      word.at(6), word.at(7), word.at(8)});
            pages.push_back(std::move(page));
        }
        return pages;
    }

    std::string render(std::uint32_t page, unsigned dpi, bool gray) override
    {
        return std::string(ask({{"op", "render"}, {"page", page}, {"dpi", dpi}, {"gray", gray}}).bytes);
    }

private:
    Message ask(json request)
    {
        channel_.send(pack_message({{"want", "pdf"}, {"request", std::move(request)}}));
        std::optional<std::string> reply = channel_.receive();
        if (!reply) throw SandboxError(SandboxError::Kind::closed, "no reply");
        reply_ = std::move(*reply);
        Message message = unpack_message(reply_);
        if (message.head.contains("error")) {
            const json& error = message.head["error"];
            throw Unreadable({error.value("kind", "") == "password", error.value("kind", "broken"),
                              error.value("reason", "PDF를 읽을 수 없습니다.")});
        }
        return message;
    }

    Channel& channel_;
    std::string reply_;
};

std::string packed(const Extraction& extraction)
{
    if (extraction.not_read)
        return pack_message({{"done", true},
                             {"refused", extraction.not_read->refused},
                             {"kind", extraction.not_read->kind},
                             {"reason", extraction.not_read->reason}});
    std::string bytes = extraction.document->to_json();
    json sizes = json::array();
    const std::size_t document_bytes = bytes.size();
    for (const Attachment& attachment : extraction.document->attachments) {
        sizes.push_back(attachment.bytes.size());
        bytes += attachment.bytes;
    }
    return pack_message({{"done", true}, {"document", document_bytes}, {"attachments", std::move(sizes)}},
                        bytes);
}

std::vector<Box> boxes_from(const json& list)
{
    std::vector<Box> boxes;
    for (const json& box : list) boxes.push_back({box.at(0), box.at(1), box.at(2), box.at(3), box.at(4)});
    return boxes;
}

std::string render(const Message& request, PdfSource& pdf)
{
    const std::uint32_t page = request.head.at("page");
    const unsigned dpi = request.head.at("dpi");
    PixPtr pix;
    switch (sniff(request.bytes)) {
        case FileKind::pdf:
            if (page < 1 || page > pdf.info().pages) return pack_message({{"done", true}});
            pix = read_picture(pdf.render(page, dpi, false));
            break;
        case FileKind::image:
            pix = read_picture_page(request.bytes, page);
            break;
        default:
            break;
    }
    if (!pix) return pack_message({{"done", true}});
    return pack_message({{"done", true}, {"image", true}},
                        paint_page(pix.get(), page, dpi, boxes_from(request.head.at("hidden"))));
}

std::string answer(const Message& request, PdfSource& pdf, Ocr& ocr)
{
    const std::string op = request.head.at("op");
    if (op == "render") {
        try {
            return render(request, pdf);
        } catch (const Unreadable&) {
            return pack_message({{"done", true}});
        }
    }
    return packed(parse_file(request.head.at("name"), request.bytes, pdf, ocr));
}

}  // namespace

int serve_parser(int socket_fd)
{
    try {
        Channel channel(socket_fd);
        setMsgSeverity(L_SEVERITY_NONE);
        const char* tessdata = std::getenv("TESSDATA_PREFIX");
        const std::unique_ptr<Ocr> ocr =
            make_tesseract(tessdata == nullptr ? "" : tessdata, [&](std::uint32_t page) {
                channel.send(pack_message({{"note", "page"}, {"page", page}}));
            });
        enter_cage();
        while (const std::optional<std::string> message = channel.receive()) {
            RelayedPdf pdf(channel);
            channel.send(answer(unpack_message(*message), pdf, *ocr));
        }
    } catch (const SandboxError& e) {
        if (e.kind == SandboxError::Kind::closed) return 0;
        std::fprintf(stderr, "parser: %s\n", e.what());
        return 1;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "parser: %s\n", e.what());
        return 1;
    }
    return 0;
}

}  // namespace jiphyeon
