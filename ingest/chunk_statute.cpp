// Statutes and regulations: one article is one unit, never merged with another. A long one is split at its
// 항, a long 항 at its 호, each part under the article's breadcrumb with the sentence that leads it in. A
// number is believed only where it continues the count, because "1." also ends a date and "제3조(…)" also
// refers.
#include <algorithm>

#include "chunk_lines.hpp"

namespace jiphyeon {
namespace {

constexpr std::uint32_t kArticleGapMax = 12;  // articles that a revision took out without a trace
constexpr std::uint32_t kParagraphGapMax = 3;

struct Count {
    std::uint32_t number = 0, branch = 0;
    bool continued_by(const Mark& mark, std::uint32_t gap) const
    {
        if (mark.number == number) return mark.branch > branch;
        return mark.number > number && mark.number <= number + gap;
    }
};

// A part of an article: 항, or 호.
struct Part {
    std::string label;  // "제1항", "제2호"; empty for what stands before the first
    std::vector<const Line*> lines;
    std::size_t letters = 0;
};

class Statute {
public:
    Statute(ChunkList& out, const std::vector<Line>& lines) : out_(out), lines_(lines) {}
    bool run();

private:
    bool begins_article(const Line& line);
    void heading(const Line& line);
    void finish_article(std::size_t end);
    void emit_article(const std::vector<const Line*>& body);
    void emit_paragraph(const Part& part, const std::vector<const Line*>& lead, bool definitions);
    void emit_parts(const std::vector<Part>& parts, const std::string& within,
                    const std::vector<const Line*>& lead, bool each);
    std::vector<std::string> path(bool with_article) const;
    std::string section() const;
    ChunkKind kind() const { return addendum_.empty() ? ChunkKind::body : ChunkKind::addendum; }

    ChunkList& out_;
    const std::vector<Line>& lines_;
    std::vector<std::pair<Unit, std::string>> chapters_;
    std::string addendum_, annex_;
    std::string article_, article_title_;
    Count count_;
    std::size_t begin_ = 0;  // first line of what is open
};

std::vector<std::string> Statute::path(bool with_article) const
{
    std::vector<std::string> out;
    if (!addendum_.empty()) out.push_back(addendum_);
    if (!annex_.empty()) out.push_back(annex_);
    if (addendum_.empty() && annex_.empty())
        for (const auto& [unit, text] : chapters_) out.push_back(text);
    if (with_article && !article_.empty())
        out.push_back(article_title_.empty() ? article_ : article_ + "(" + article_title_ + ")");
    return out;
}

std::string Statute::section() const
{
    std::string out = addendum_.empty() ? annex_ : "부칙";
    if (!article_.empty()) out += (out.empty() ? "" : " ") + article_;
    return out;
}

bool Statute::begins_article(const Line& line)
{
    if (!line.mark || line.mark->unit != Unit::article || !annex_.empty()) return false;
    if (!count_.continued_by(*line.mark, kArticleGapMax)) return false;
    count_ = {line.mark->number, line.mark->branch};
    return true;
}

std::string lines_text(const std::vector<const Line*>& lines)
{
    std::string out;
    for (const Line* line : lines)
        if (line->table == nullptr) out += (out.empty() ? "" : "\n") + line->text;
    return out;
}

// Splits at marks of one unit that continue the count. The first part holds what stands before them.
std::vector<Part> split(const std::vector<const Line*>& lines, Unit unit, const char* suffix)
{
    std::vector<Part> parts(1);
    Count count;
    for (const Line* line : lines) {
        std::optional<Mark> mark = line->mark;
        // "제7조(연가) ① …": the first 항 stands on the article's own line.
        if (mark && mark->unit == Unit::article && unit == Unit::paragraph)
            mark = leading_mark(std::string_view(line->text).substr(mark->length));
        const std::uint32_t gap = unit == Unit::paragraph ? kParagraphGapMax : 200;
        if (mark && mark->unit == unit && count.continued_by(*mark, gap)) {
            count = {mark->number, mark->branch};
            Part part;
            part.label = "제" + std::to_string(mark->number) + suffix;
            if (mark->branch != 0) part.label += "의" + std::to_string(mark->branch);
            parts.push_back(std::move(part));
        }
        parts.back().lines.push_back(line);
        parts.back().letters += letters(line->text) + 1;
    }
    return parts;
}

// Neighbours are put together up to the limit; `each`: one chunk for each part.
void Statute::emit_parts(const std::vector<Part>& parts, const std::string& within,
                         const std::vector<const Line*>& lead, bool each)
{
    std::size_t lead_letters = letters(lines_text(lead));
    std::vector<std::string> crumbs = path(true);
    if (!within.empty() && !crumbs.empty()) crumbs.back() += " " + within;
    for (std::size_t i = 0; i < parts.size();) {
        std::vector<const Line*> lines = lead;
        std::size_t size = lead_letters, end = i;
        while (end < parts.size() && (end == i || (!each && size + parts[end].letters <= kChunkLetters))) {
            size += parts[end].letters;
            lines.insert(lines.end(), parts[end].lines.begin(), parts[end].lines.end());
            ++end;
        }
        const std::string label = within + parts[i].label;
        const std::string last =
            end > i + 1 && !parts[end - 1].label.empty() ? "~" + parts[end - 1].label : "";
        std::string text = lines_text(lines);
        if (letters(text) <= kChunkLetters * 2) {
            out_.add(kind(), crumbs, section() + label + last, std::move(text), lines);
        } else {
            for (const Span& span : sentence_parts(text, kChunkLetters))
                out_.add(kind(), crumbs, section() + label + last,
                         text.substr(span.start, span.end - span.start), lines);
        }
        i = end;
    }
}

void Statute::emit_paragraph(const Part& part, const std::vector<const Line*>& lead, bool definitions)
{
    if (part.letters <= kChunkLetters && !definitions) {
        emit_parts({part}, "", lead, true);
        return;
    }
    std::vector<Part> items = split(part.lines, Unit::item, "호");
    if (items.size() < 2) {
        emit_parts({part}, "", lead, true);
        return;
    }
    std::vector<const Line*> own_lead = lead;
    own_lead.insert(own_lead.end(), items.front().lines.begin(), items.front().lines.end());
    items.erase(items.begin());
    emit_parts(items, part.label, own_lead, definitions);
}

void Statute::emit_article(const std::vector<const Line*>& body)
{
    std::vector<const Line*> lines;
    std::vector<const Line*> notes;
    std::size_t size = 0;
    for (const Line* line : body) {
        if (line->table != nullptr) continue;
        if (line->kind == BlockKind::note) {
            notes.push_back(line);
            continue;
        }
        lines.push_back(line);
        size += letters(line->text) + 1;
    }
    const bool definitions = article_title_.find("정의") != std::string::npos;
    if (size <= kChunkLetters && !(definitions && size > kChunkLetters / 3)) {
        out_.add(kind(), path(true), section(), lines_text(lines), lines);
    } else {
        std::vector<Part> parts = split(lines, Unit::paragraph, "항");
        if (parts.front().lines.empty()) parts.erase(parts.begin());
        // A chapeau without a number leads all that follows.
        for (const Part& part : parts) emit_paragraph(part, {}, definitions);
    }
    if (!notes.empty()) out_.add(ChunkKind::note, path(true), section(), lines_text(notes), notes);
    for (const Line* line : body)
        if (line->table != nullptr) chunk_table(out_, *line, path(true), section(), "", false, kind());
}

void Statute::finish_article(std::size_t end)
{
    if (article_.empty()) {
        chunk_outline(out_, lines_, begin_, end, path(false), section(), false, kind());
    } else {
        std::vector<const Line*> body;
        for (std::size_t i = begin_; i < end; ++i) body.push_back(&lines_[i]);
        emit_article(body);
    }
    article_.clear();
    article_title_.clear();
    begin_ = end;
}

void Statute::heading(const Line& line)
{
    const Mark& mark = *line.mark;
    if (mark.unit == Unit::addendum) {
        addendum_ = mark.title.empty() ? "부칙" : "부칙 " + mark.title;
        annex_.clear();
        count_ = {};
    } else if (mark.unit == Unit::annex) {
        annex_ = mark.title.empty() ? mark.label : mark.label + " " + mark.title;
        addendum_.clear();
    } else {
        while (!chapters_.empty() && chapters_.back().first >= mark.unit) chapters_.pop_back();
        chapters_.emplace_back(mark.unit, mark.label + (mark.title.empty() ? "" : " " + mark.title));
    }
}

bool Statute::run()
{
    // A statute has articles that count up from the first; a letter that quotes one has not.
    Count count;
    std::size_t articles = 0;
    for (const Line& line : lines_)
        if (line.mark && line.mark->unit == Unit::article && count.continued_by(*line.mark, kArticleGapMax)) {
            if (articles == 0 && line.mark->number > 2) continue;
            count = {line.mark->number, line.mark->branch};
            ++articles;
        }
    if (articles < 2) return false;

    for (std::size_t i = 0; i < lines_.size(); ++i) {
        const Line& line = lines_[i];
        if (!line.mark || line.kind == BlockKind::note || line.table != nullptr) continue;
        const Unit unit = line.mark->unit;
        const bool chapter = unit <= Unit::subsection && addendum_.empty() && annex_.empty();
        if (chapter || unit == Unit::addendum || unit == Unit::annex) {
            finish_article(i);
            heading(line);
            begin_ = i + 1;
        } else if (begins_article(line)) {
            finish_article(i);
            article_ = line.mark->label;
            article_title_ = line.mark->title;
        }
    }
    finish_article(lines_.size());
    return true;
}

}  // namespace

bool chunk_statute(ChunkList& out, const std::vector<Line>& lines)
{
    return Statute(out, lines).run();
}

}  // namespace jiphyeon
