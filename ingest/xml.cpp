#include "xml.hpp"

#include <libxml/xmlreader.h>

#include <charconv>

namespace jiphyeon {
namespace {

void silent(void*, const char*, xmlParserSeverities, xmlTextReaderLocatorPtr) {}

std::string_view view(const xmlChar* text)
{
    return text == nullptr ? std::string_view{} : std::string_view(reinterpret_cast<const char*>(text));
}

bool is_text(int type)
{
    return type == XML_READER_TYPE_TEXT || type == XML_READER_TYPE_CDATA ||
           type == XML_READER_TYPE_SIGNIFICANT_WHITESPACE || type == XML_READER_TYPE_WHITESPACE;
}

}  // namespace

Xml::Xml(std::string_view bytes, std::string what) : what_(std::move(what))
{
    constexpr int kOptions = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_COMPACT;
    if (bytes.size() > kMemberBytesMax) quarantine("too_large", what_ + ": XML이 너무 큽니다.");
    reader_ = xmlReaderForMemory(bytes.data(), static_cast<int>(bytes.size()), nullptr, nullptr, kOptions);
    if (reader_ == nullptr) quarantine("broken", what_ + ": XML을 열 수 없습니다.");
    xmlTextReaderSetErrorHandler(reader_, silent, nullptr);
}

Xml::~Xml()
{
    xmlFreeTextReader(reader_);
}

bool Xml::read()
{
    const int got = xmlTextReaderRead(reader_);
    if (got < 0)
        quarantine("broken", what_ + ": " + std::to_string(xmlTextReaderGetParserLineNumber(reader_)) +
                                 "째 줄에서 XML이 깨졌습니다.");
    return got == 1;
}

std::string_view Xml::root()
{
    while (read())
        if (xmlTextReaderNodeType(reader_) == XML_READER_TYPE_ELEMENT)
            return view(xmlTextReaderConstLocalName(reader_));
    quarantine("broken", what_ + ": XML 요소가 없습니다.");
}

void Xml::children(const std::function<void(std::string_view)>& on_child,
                   const std::function<void(std::string_view)>& on_text)
{
    if (xmlTextReaderIsEmptyElement(reader_) == 1) return;
    const int depth = xmlTextReaderDepth(reader_);
    while (read()) {
        const int type = xmlTextReaderNodeType(reader_);
        const int here = xmlTextReaderDepth(reader_);
        if (type == XML_READER_TYPE_END_ELEMENT && here == depth) return;
        // Deeper than a child: inside of something that the callee left; it passes by.
        if (here != depth + 1) continue;
        if (type == XML_READER_TYPE_ELEMENT)
            on_child(view(xmlTextReaderConstLocalName(reader_)));
        else if (on_text && is_text(type))
            on_text(view(xmlTextReaderConstValue(reader_)));
    }
}

std::string Xml::text()
{
    std::string out;
    if (xmlTextReaderIsEmptyElement(reader_) == 1) return out;
    const int depth = xmlTextReaderDepth(reader_);
    while (read()) {
        const int type = xmlTextReaderNodeType(reader_);
        if (type == XML_READER_TYPE_END_ELEMENT && xmlTextReaderDepth(reader_) == depth) break;
        if (is_text(type)) out += view(xmlTextReaderConstValue(reader_));
    }
    return out;
}

std::string Xml::attribute(const char* name) const
{
    std::string out;
    if (xmlTextReaderHasAttributes(reader_) != 1) return out;
    while (xmlTextReaderMoveToNextAttribute(reader_) == 1) {
        if (view(xmlTextReaderConstLocalName(reader_)) == name) {
            out = view(xmlTextReaderConstValue(reader_));
            break;
        }
    }
    xmlTextReaderMoveToElement(reader_);
    return out;
}

std::uint32_t Xml::number(const char* name, std::uint32_t otherwise) const
{
    const std::string text = attribute(name);
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end != text.data() ? value : otherwise;
}

}  // namespace jiphyeon
