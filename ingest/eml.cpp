// Mail: subject as title, who and when as the first lines, the plain body where there is one, else the HTML
// body. Attached files are handed on; mails inside of mails too.
#include "builder.hpp"
#include "encoding.hpp"
#include "mime.hpp"

namespace jiphyeon {
namespace {

class MailReader {
public:
    Document read(std::string_view bytes);

private:
    void part(const MimePart& part, unsigned depth);
    bool alternative(const std::vector<MimePart>& parts, unsigned depth);
    void body(const MimePart& part, bool html);
    void attach(const MimePart& part, const std::string& name);

    DocumentBuilder builder_{"eml"};
    std::size_t unnamed_ = 0;
    std::uint64_t attached_ = 0;
};

void MailReader::body(const MimePart& part, bool html)
{
    const std::string bytes = part.decoded();
    const std::string text = decode_named(bytes, part.parameter("content-type", "charset"));
    if (text.find_first_not_of(" \r\n\t") == std::string::npos) return;
    Document inner = html ? parse_html_text(text) : parse_text(text);
    for (Block& block : inner.blocks) builder_.add(std::move(block));
}

void MailReader::attach(const MimePart& part, const std::string& name)
{
    Attachment attachment;
    attachment.name = builder_.clean(name.empty() ? "첨부" + std::to_string(++unnamed_) : name);
    attachment.bytes = part.decoded();
    attached_ += attachment.bytes.size();
    if (attached_ > kInflatedBytesMax || builder_.document().attachments.size() >= kMembersMax)
        quarantine("too_large", "전자우편의 첨부가 처리 한도를 넘습니다.");
    if (!attachment.bytes.empty()) builder_.document().attachments.push_back(std::move(attachment));
}

// The parts say the same; the plainest readable one is taken.
bool MailReader::alternative(const std::vector<MimePart>& parts, unsigned depth)
{
    for (const std::string_view wanted : {"text/plain", "text/html"})
        for (const MimePart& one : parts)
            if (one.type() == wanted) {
                body(one, wanted == "text/html");
                for (const MimePart& other : parts)
                    if (other.type().starts_with("multipart/")) part(other, depth + 1);
                return true;
            }
    return false;
}

void MailReader::part(const MimePart& one, unsigned depth)
{
    if (depth > kNestingMax) quarantine("too_large", "전자우편의 구조가 지나치게 깊습니다.");
    const std::string type = one.type();
    if (type.starts_with("multipart/")) {
        const std::vector<MimePart> parts = one.parts();
        if (type == "multipart/alternative" && alternative(parts, depth)) return;
        for (const MimePart& inner : parts) part(inner, depth + 1);
        return;
    }
    std::string name = one.parameter("content-disposition", "filename");
    if (name.empty()) name = one.parameter("content-type", "name");
    const bool attached = one.field("content-disposition").starts_with("attachment") || !name.empty();
    if (type == "message/rfc822") {
        attach(one, name.empty() ? "전달된 편지.eml" : name);
    } else if (attached || !type.starts_with("text/")) {
        // Pictures that decorate a signature have a content id and no name of their own.
        if (attached || !one.fields.contains("content-id")) attach(one, name);
    } else {
        body(one, type == "text/html");
    }
}

Document MailReader::read(std::string_view bytes)
{
    if (bytes.starts_with("From ")) bytes.remove_prefix(std::min(bytes.find('\n'), bytes.size() - 1) + 1);
    const MimePart mail = parse_mime(bytes);
    const std::string subject = builder_.clean(mail.field("subject"));
    builder_.document().title = subject;
    builder_.document().author = builder_.clean(mail.field("from"));
    builder_.add_text(BlockKind::heading, subject, 1);
    for (const auto& [field, shown] : {std::pair<const char*, const char*>{"from", "보낸 사람: "},
                                       {"to", "받는 사람: "},
                                       {"cc", "참조: "},
                                       {"date", "보낸 날짜: "}}) {
        const std::string value = mail.field(field);
        if (!value.empty()) builder_.add_text(BlockKind::paragraph, shown + value);
    }
    part(mail, 0);
    return builder_.finish();
}

}  // namespace

Document parse_eml(std::string_view bytes)
{
    return MailReader().read(bytes);
}

}  // namespace jiphyeon
