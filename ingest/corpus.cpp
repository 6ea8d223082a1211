#include "corpus.hpp"

#include <nlohmann/json.hpp>

#include "parse.hpp"
#include "structure.hpp"
#include "versions.hpp"

namespace jiphyeon {
namespace {

using nlohmann::json;

std::string field(const json& line, const char* name, bool required)
{
    const auto it = line.find(name);
    if (it == line.end() || it->is_null()) {
        if (required) refuse("bad_line", std::string("말뭉치의 줄에 ") + name + " 항목이 없습니다.");
        return {};
    }
    if (!it->is_string())
        refuse("bad_line", std::string("말뭉치의 줄에서 ") + name + " 항목이 글이 아닙니다.");
    return it->get<std::string>();
}

std::optional<Day> day_field(const json& line, const char* name)
{
    const std::string text = field(line, name, false);
    if (text.empty()) return std::nullopt;
    const std::optional<Day> day = day_from_text(text);
    if (!day)
        refuse("bad_line", std::string("말뭉치의 줄에서 ") + name +
                               " 항목이 날짜(YYYY-MM-DD)가 아닙니다: " + text.substr(0, 40));
    return day;
}

}  // namespace

CorpusLine read_corpus_line(std::string_view text)
{
    const json line = json::parse(text, nullptr, false);
    if (!line.is_object()) refuse("bad_line", "말뭉치의 줄이 JSON 객체가 아닙니다.");
    CorpusLine out;
    out.id = field(line, "id", true);
    if (out.id.empty()) refuse("bad_line", "말뭉치의 줄에 id가 비어 있습니다.");
    const std::string body = field(line, "text", true);
    out.label = field(line, "label", false);
    out.supersedes = field(line, "supersedes", false);
    if (body.find_first_not_of(" \t\r\n") == std::string::npos) refuse("empty", "글이 비어 있습니다.");
    out.document = parse_text(body);
    out.document.format = kCorpusFormat;
    out.document.title = field(line, "title", false);
    if (out.document.title.empty()) out.document.title = out.id;
    out.document.effective_from = day_field(line, "effective_from");
    out.document.effective_to = day_field(line, "effective_to");
    classify_blocks(out.document);
    return out;
}

}  // namespace jiphyeon
