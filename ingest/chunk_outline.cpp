// 개조식 and all other text: each chunk is a run of items under one heading, at most about 900 letters, and
// its breadcrumb names the headings and the parents that stand above its first line.
#include <algorithm>

#include "chunk_lines.hpp"

namespace jiphyeon {
namespace {

constexpr unsigned kLeaf = 90;
constexpr std::size_t kParentLetters = 60;
constexpr std::size_t kRestartFrom = 350;  // letters after which a new □ begins a new chunk

// Smaller is higher. The order of Korean administrative writing: Ⅰ. 1. □ 가. ○ 1) ① 가) - ·
unsigned rank_of(const Line& line)
{
    if (line.kind == BlockKind::note) return kLeaf;
    if (line.mark) {
        switch (line.mark->unit) {
            case Unit::part:
                return 2;
            case Unit::chapter:
            case Unit::addendum:
            case Unit::annex:
                return 3;
            case Unit::section:
                return 4;
            case Unit::subsection:
                return 5;
            case Unit::article:
                return 8;
            case Unit::roman:
                return 10;
            case Unit::item:
                return line.kind == BlockKind::heading ? 12 : 20;
            case Unit::square:
                return 30;
            case Unit::subitem:
                return 35;
            case Unit::circle:
                return 40;
            case Unit::number_paren:
                return 45;
            case Unit::paragraph:
                return 50;
            case Unit::hangul_paren:
                return 55;
            case Unit::dash:
                return 60;
            case Unit::dot:
                return 70;
            case Unit::attachment:
                return 20;
            case Unit::remark:
                return kLeaf;  // belongs to the item above
        }
    }
    if (line.kind == BlockKind::heading) return 10 + std::min(line.level, 8u);
    if (line.kind == BlockKind::list && line.level > 0) return 30 + 10 * std::min(line.level, 4u);
    return kLeaf;
}

bool ends_sentence(std::string_view text)
{
    return text.ends_with(".") || text.ends_with("?") || text.ends_with("!") || text.ends_with("다") ||
           text.ends_with("음") || text.ends_with("함") || text.ends_with("임");
}

// Names what follows and says nothing by itself.
bool names_section(const std::vector<Line>& lines, std::size_t at, std::size_t end)
{
    const Line& line = lines[at];
    if (line.table != nullptr || line.kind == BlockKind::note) return false;
    if (line.kind == BlockKind::heading) return true;
    const unsigned rank = rank_of(line);
    if (rank > 35 || at + 1 >= end || letters(line.text) > 40 || ends_sentence(line.text)) return false;
    return lines[at + 1].table != nullptr || rank_of(lines[at + 1]) > rank;
}

bool is_caption(const Line& line)
{
    if (line.table != nullptr || line.kind == BlockKind::note || line.kind == BlockKind::heading)
        return false;
    if (letters(line.text) > 80) return false;
    const std::string_view text = line.text;
    if (!line.mark && letters(text) <= 40 && !ends_sentence(text)) return true;
    for (const std::string_view start :
         {"표 ", "<표", "[표", "【표", "〈표", "표1", "표2", "표3", "(단위", "※ (단위"})
        if (text.starts_with(start)) return true;
    return text.starts_with("<") && text.ends_with(">");
}

class Outline {
public:
    Outline(ChunkList& out, const std::vector<Line>& lines, std::size_t end, std::vector<std::string> base,
            std::string section, bool spreadsheet, ChunkKind kind)
        : out_(out),
          lines_(lines),
          end_(end),
          base_(std::move(base)),
          section_(std::move(section)),
          spreadsheet_(spreadsheet),
          kind_(kind)
    {
    }
    void run(std::size_t begin);

private:
    struct Parent {
        unsigned rank;
        std::string text;
        bool heading;
    };
    std::vector<std::string> path() const;
    std::string section() const;
    void put(const Line& line, unsigned rank);
    void put_long(const Line& line, unsigned rank);
    void flush();
    void flush_notes();
    void table(std::size_t at);

    ChunkList& out_;
    const std::vector<Line>& lines_;
    std::size_t end_;
    std::vector<std::string> base_;
    std::string section_;
    bool spreadsheet_;
    ChunkKind kind_;
    std::vector<Parent> parents_;
    std::vector<const Line*> current_;
    std::vector<std::string> current_path_;
    std::string current_section_, text_;
    std::size_t size_ = 0;
    bool body_ = false;  // the chunk holds more than headings
    std::vector<const Line*> notes_;
    const Line* pending_heading_ = nullptr;  // a heading that no body has followed yet
};

std::vector<std::string> Outline::path() const
{
    std::vector<std::string> out = base_;
    for (const Parent& parent : parents_) out.push_back(shortened(parent.text, kParentLetters));
    return out;
}

std::string Outline::section() const
{
    std::string out = section_;
    for (const Parent& parent : parents_)
        if (parent.heading) out += (out.empty() ? "" : " > ") + shortened(parent.text, kParentLetters);
    return out;
}

void Outline::flush()
{
    if (!current_.empty()) out_.add(kind_, current_path_, current_section_, std::move(text_), current_);
    current_.clear();
    text_.clear();
    size_ = 0;
    body_ = false;
}

void Outline::flush_notes()
{
    if (notes_.empty()) return;
    std::string text;
    for (const Line* note : notes_) text += (text.empty() ? "" : "\n") + note->text;
    out_.add(ChunkKind::note, path(), section(), std::move(text), notes_);
    notes_.clear();
}

void Outline::put_long(const Line& line, unsigned rank)
{
    flush();
    const std::vector<Span> parts = sentence_parts(line.text, kChunkLetters);
    for (const Span& part : parts) {
        std::vector<std::string> own = path();
        if (part.start > 0 && rank < kLeaf) own.push_back(shortened(line.text, kParentLetters));
        out_.add(kind_, own, section(), line.text.substr(part.start, part.end - part.start), {&line});
    }
}

void Outline::put(const Line& line, unsigned rank)
{
    const std::size_t size = letters(line.text);
    pending_heading_ = nullptr;
    if (size > kChunkLetters) {
        put_long(line, rank);
        return;
    }
    const bool full = size_ + size > kChunkLetters;
    if (body_ && (full || (rank <= 30 && size_ >= kRestartFrom))) flush();
    if (current_.empty()) {
        current_path_ = path();
        current_section_ = section();
    }
    text_ += (text_.empty() ? "" : "\n") + line.text;
    size_ += size + 1;
    body_ = true;
    current_.push_back(&line);
}

void Outline::table(std::size_t at)
{
    std::string caption;
    if (at > 0 && is_caption(lines_[at - 1])) {
        caption = lines_[at - 1].text;
        // The caption went into the running text; it belongs to the table.
        if (!current_.empty() && current_.back() == &lines_[at - 1]) {
            current_.pop_back();
            text_.erase(text_.size() - std::min(text_.size(), caption.size()));
            while (!text_.empty() && text_.back() == '\n') text_.pop_back();
        }
    }
    // An item that only names the table stands in the table's breadcrumb.
    if (current_.size() == 1 && !parents_.empty() && parents_.back().heading &&
        text_ == parents_.back().text) {
        current_.clear();
        text_.clear();
        size_ = 0;
        body_ = false;
    }
    flush();
    pending_heading_ = nullptr;
    chunk_table(out_, lines_[at], path(), section(), caption, spreadsheet_, kind_);
}

void Outline::run(std::size_t begin)
{
    for (std::size_t at = begin; at < end_; ++at) {
        const Line& line = lines_[at];
        if (line.table != nullptr) {
            table(at);
            continue;
        }
        if (line.kind == BlockKind::note) {
            notes_.push_back(&line);
            continue;
        }
        const unsigned rank = rank_of(line);
        const bool names = names_section(lines_, at, end_);
        if (rank < kLeaf) {
            // Items of one rank under one heading stay together; a heading closes what was before it.
            if (names) flush();
            while (!parents_.empty() && parents_.back().rank >= rank) {
                if (parents_.back().heading) {
                    flush();
                    flush_notes();
                }
                parents_.pop_back();
            }
        }
        if (names && out_.is_title(line.text)) continue;
        if (names &&
            line.kind != BlockKind::heading) {  // an item that leads others: readers must see its words
            put(line, rank);
            parents_.push_back({rank, line.text, true});
            current_section_ = section();
            continue;
        }
        if (names) {
            flush_notes();
            // A heading under which nothing came would be lost.
            if (pending_heading_ != nullptr && rank_of(*pending_heading_) >= rank)
                out_.add(kind_, path(), section(), pending_heading_->text, {pending_heading_});
            pending_heading_ = &line;
            parents_.push_back({rank, line.text, true});
            continue;
        }
        put(line, rank);
        if (rank < kLeaf) parents_.push_back({rank, line.text, false});
    }
    flush();
    flush_notes();
    if (pending_heading_ != nullptr) {
        parents_.pop_back();
        out_.add(kind_, path(), section(), pending_heading_->text, {pending_heading_});
    }
}

}  // namespace

void chunk_outline(ChunkList& out, const std::vector<Line>& lines, std::size_t begin, std::size_t end,
                   std::vector<std::string> path, const std::string& section, bool spreadsheet,
                   ChunkKind kind)
{
    Outline(out, lines, end, std::move(path), section, spreadsheet, kind).run(begin);
}

}  // namespace jiphyeon
