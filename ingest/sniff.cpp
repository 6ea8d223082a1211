#include "sniff.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "archive.hpp"
#include "encoding.hpp"
#include "parse.hpp"

namespace jiphyeon {
namespace {

constexpr std::string_view kCompoundMagic = "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";

// A directory entry's name as a compound file stores it.
std::string utf16(std::string_view ascii)
{
    std::string out;
    for (const char c : ascii) {
        out.push_back(c);
        out.push_back('\0');
    }
    return out;
}

FileKind sniff_compound(std::string_view bytes)
{
    if (bytes.size() < 1536) quarantine("truncated", "복합 문서가 잘려 있습니다.");
    if (bytes.find("HWP Document File") != std::string_view::npos) return FileKind::hwp5;
    if (bytes.find(utf16("EncryptedPackage")) != std::string_view::npos)
        refuse("password", "암호로 보호된 오피스 문서입니다. 암호를 푼 파일을 넣어 주십시오.");
    if (bytes.find(utf16("WordDocument")) != std::string_view::npos)
        refuse("unknown_format", "옛 워드 문서(.doc)는 읽지 않습니다. DOCX나 PDF로 바꾸어 넣어 주십시오.");
    if (bytes.find(utf16("Workbook")) != std::string_view::npos)
        refuse("unknown_format", "옛 엑셀 문서(.xls)는 읽지 않습니다. XLSX로 바꾸어 넣어 주십시오.");
    refuse("unknown_format", "알 수 없는 복합 문서입니다.");
}

FileKind sniff_zip(std::string_view bytes)
{
    Archive archive(bytes);
    if (archive.members().empty()) refuse("empty", "빈 압축 파일입니다.");
    if (archive.has("mimetype")) {
        const std::string type = archive.read("mimetype");
        if (type.starts_with("application/hwp+zip")) return FileKind::hwpx;
        if (type.starts_with("application/vnd.oasis.opendocument.text")) return FileKind::odt;
        if (type.starts_with("application/vnd.oasis.opendocument."))
            refuse("unknown_format", "이 오픈도큐먼트 형식은 읽지 않습니다: " + type.substr(0, 80));
    }
    if (archive.has("Contents/content.hpf") || archive.has("Contents/section0.xml")) return FileKind::hwpx;
    if (archive.has("word/document.xml")) return FileKind::docx;
    if (archive.has("xl/workbook.xml")) return FileKind::xlsx;
    if (archive.has("ppt/presentation.xml"))
        refuse("unknown_format", "파워포인트 문서는 읽지 않습니다. PDF로 바꾸어 넣어 주십시오.");
    return FileKind::zip;
}

bool starts_with_word(std::string_view text, std::string_view lower)
{
    return text.size() >= lower.size() &&
           std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
               return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
           });
}

bool looks_like_html(std::string_view text)
{
    std::string_view head = text.substr(0, 4096);
    head.remove_prefix(std::min(head.find_first_not_of(" \t\r\n"), head.size()));
    while (starts_with_word(head, "<!--")) {
        const std::size_t end = head.find("-->");
        if (end == std::string_view::npos) return false;
        head.remove_prefix(end + 3);
        head.remove_prefix(std::min(head.find_first_not_of(" \t\r\n"), head.size()));
    }
    if (starts_with_word(head, "<?xml")) {
        const std::size_t end = head.find("?>");
        if (end == std::string_view::npos) return false;
        head.remove_prefix(end + 2);
        head.remove_prefix(std::min(head.find_first_not_of(" \t\r\n"), head.size()));
    }
    for (const std::string_view tag :
         {"<!doctype html", "<html", "<head", "<body", "<meta", "<title", "<table", "<div"})
        if (starts_with_word(head, tag)) return true;
    return false;
}

// A header block of at least two known fields before the first empty line.
bool looks_like_mail(std::string_view bytes)
{
    static constexpr std::array<std::string_view, 12> kFields = {
        "from:",         "to:",           "subject:",     "date:",         "received:", "message-id:",
        "mime-version:", "content-type:", "return-path:", "delivered-to:", "x-mailer:", "cc:"};
    std::size_t known = 0, lines = 0;
    while (!bytes.empty() && lines < 100) {
        const std::size_t end = std::min(bytes.find('\n'), bytes.size());
        std::string_view line = bytes.substr(0, end);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        if (line.empty()) break;
        const bool folded = line.front() == ' ' || line.front() == '\t';
        const std::size_t colon = line.find(':');
        if (!folded && (colon == std::string_view::npos || colon == 0 ||
                        line.substr(0, colon).find(' ') != std::string_view::npos))
            return lines == 0 && line.starts_with("From ") ? looks_like_mail(bytes.substr(end + 1)) : false;
        known += std::any_of(kFields.begin(), kFields.end(),
                             [&](std::string_view f) { return starts_with_word(line, f); });
        ++lines;
        bytes.remove_prefix(std::min(end + 1, bytes.size()));
    }
    return known >= 2;
}

bool is_image(std::string_view bytes)
{
    return bytes.starts_with("\x89PNG\r\n\x1A\n") || bytes.starts_with("\xFF\xD8\xFF") ||
           bytes.starts_with(std::string_view("II*\0", 4)) || bytes.starts_with(std::string_view("MM\0*", 4));
}

}  // namespace

FileKind sniff(std::string_view bytes)
{
    if (bytes.empty()) refuse("empty", "빈 파일입니다 (0바이트).");
    if (bytes.starts_with(kCompoundMagic)) return sniff_compound(bytes);
    if (bytes.starts_with("HWP Document File V")) return FileKind::hwp3;
    if (bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06")) return sniff_zip(bytes);
    if (bytes.substr(0, 1024).find("%PDF-") != std::string_view::npos) return FileKind::pdf;
    if (is_image(bytes)) return FileKind::image;
    if (looks_like_mail(bytes)) return FileKind::eml;
    const Decoded decoded = decode_text(bytes.substr(0, 1u << 20));
    if (decoded.encoding.empty()) refuse("unknown_format", "알 수 없는 형식의 파일입니다.");
    if (decoded.text.find_first_not_of(" \t\r\n\f") == std::string::npos)
        refuse("empty", "글자가 없는 파일입니다.");
    return looks_like_html(decoded.text) ? FileKind::html : FileKind::text;
}

}  // namespace jiphyeon
