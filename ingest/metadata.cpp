// Patterns run over the head and the tail of a document only: further inside, dates and numbers belong to
// others.
#include "metadata.hpp"

#include <unicode/regex.h>

#include <algorithm>
#include <filesystem>

#include "structure.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kHeadBlocks = 15;
constexpr std::size_t kTailBlocks = 12;
constexpr std::size_t kBlockBytes = 600;

class Pattern {
public:
    explicit Pattern(const char* text)
    {
        UErrorCode status = U_ZERO_ERROR;
        pattern_.reset(icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(text), 0, status));
        if (U_FAILURE(status)) throw IngestError(IngestError::Kind::worker, std::string("pattern ") + text);
    }
    // Groups of the first match from 1 on; empty where there is none.
    std::vector<std::string> find(std::string_view text) const
    {
        std::vector<std::string> groups;
        const icu::UnicodeString subject =
            icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
        UErrorCode status = U_ZERO_ERROR;
        const std::unique_ptr<icu::RegexMatcher> matcher(pattern_->matcher(subject, status));
        if (U_FAILURE(status)) return groups;
        matcher->setTimeLimit(2000, status);
        if (!matcher->find(status) || U_FAILURE(status)) return groups;
        for (int32_t i = 1; i <= matcher->groupCount(); ++i) {
            std::string group;
            matcher->group(i, status).toUTF8String(group);
            groups.push_back(std::move(group));
        }
        return groups;
    }

private:
    std::unique_ptr<icu::RegexPattern> pattern_;
};

// Year, month, day as three groups from `first` on.
std::optional<Day> day_of(const std::vector<std::string>& groups, std::size_t first)
{
    if (groups.size() < first + 3 || groups[first].empty()) return std::nullopt;
    const auto two = [](const std::string& digits) { return digits.size() == 1 ? "0" + digits : digits; };
    return day_from_text(groups[first] + "-" + two(groups[first + 1]) + "-" + two(groups[first + 2]));
}

#define JIPHYEON_DATE R"((\d{4})\s*[.년/-]\s*(\d{1,2})\s*[.월/-]\s*(\d{1,2})\s*[.일]?)"

std::string_view head_of(const Block& block)
{
    return std::string_view(block.text).substr(0, kBlockBytes);
}

bool textual(const Block& block)
{
    return block.kind == BlockKind::heading || block.kind == BlockKind::paragraph ||
           block.kind == BlockKind::list;
}

void find_force(Document& document)
{
    static const Pattern kBracket("[\\[【<〔]\\s*시행(?:일)?\\s*[:：]?\\s*" JIPHYEON_DATE);
    static const Pattern kLabel("^\\s*(?:[○□ㅇ-]\\s*)?시행\\s*일(?:자)?\\s*[:：]\\s*" JIPHYEON_DATE);
    static const Pattern kPeriod("(?:적용|유효|시행)\\s*기간\\s*[:：]?\\s*" JIPHYEON_DATE
                                 "\\s*(?:부터)?\\s*[~∼～-]?\\s*" JIPHYEON_DATE);
    static const Pattern kUntil("유효\\s*(?:기간|기한)\\s*[:：]?\\s*" JIPHYEON_DATE "\\s*까지");
    static const Pattern kAddendum(
        "이\\s*(?:규정|훈령|예규|고시|지침|규칙|내규|조례|법|영|요령|세칙|기준|공고)[은는]\\s*" JIPHYEON_DATE
        "\\s*부터\\s*시행");
    const std::vector<Block>& blocks = document.blocks;
    for (std::size_t i = 0; i < std::min(kHeadBlocks, blocks.size()); ++i) {
        const std::string_view text = head_of(blocks[i]);
        if (!document.effective_from) document.effective_from = day_of(kBracket.find(text), 0);
        if (!document.effective_from) document.effective_from = day_of(kLabel.find(text), 0);
        if (const auto period = kPeriod.find(text); !period.empty() && !document.effective_from) {
            document.effective_from = day_of(period, 0);
            if (!document.effective_to) document.effective_to = day_of(period, 3);
        }
        if (!document.effective_to) document.effective_to = day_of(kUntil.find(text), 0);
    }
    if (document.effective_from) return;
    // Of several addenda the latest is that of this version.
    bool addendum = false;
    for (const Block& block : blocks) {
        const std::optional<Mark> mark = leading_mark(head_of(block));
        addendum = addendum || (mark && mark->unit == Unit::addendum);
        if (!addendum) continue;
        const std::optional<Day> day = day_of(kAddendum.find(head_of(block)), 0);
        if (day && (!document.effective_from || *day > *document.effective_from))
            document.effective_from = day;
    }
}

void find_number(Document& document)
{
    // "시행 총무과-123 (2026. 1. 5.)", "문서번호: 총무과-123", "도서연안부훈령 제98호", "공고 제2026-12호"
    static const Pattern kLetter("(?:^|\\s)시행\\s+([가-힣A-Za-z0-9·]+(?:\\([가-힣]+\\))?-\\d{1,7})\\s*\\(");
    static const Pattern kNamed("문서\\s*번호\\s*[:：]?\\s*([가-힣A-Za-z0-9·]+-\\d{1,7})");
    static const Pattern kNotice(
        "([가-힣]*(?:훈령|예규|고시|공고|내규|규칙|지시|규정|조례|법률|대통령령|지침))\\s*(제\\s?\\d{1,6}(?:-"
        "\\d{1,6})?\\s?호)");
    const std::vector<Block>& blocks = document.blocks;
    const auto tail_from = blocks.size() > kTailBlocks ? blocks.size() - kTailBlocks : 0;
    for (std::size_t i = 0; i < blocks.size() && document.document_number.empty(); ++i) {
        if (i >= kHeadBlocks && i < tail_from) continue;
        const std::string_view text = head_of(blocks[i]);
        if (const auto found = kNamed.find(text); !found.empty())
            document.document_number = found[0];
        else if (const auto letter = kLetter.find(text); !letter.empty())
            document.document_number = letter[0];
        else if (i < 6 && textual(blocks[i]) && text.size() < 240) {
            const auto notice = kNotice.find(text);
            if (!notice.empty())
                document.document_number = (notice[0].empty() ? "" : notice[0] + " ") + notice[1];
        }
    }
}

void find_withdrawal(Document& document)
{
    static const Pattern kMark("(?:^|\\s)([\\[【〔<]\\s*(?:철회|폐지|폐기|효력\\s*상실|실효)\\s*[\\]】〕>])");
    static const Pattern kSentence(
        "이\\s*(?:문서|공고|지침|규정|훈령|예규|고시|계획)[는은].{0,60}(철회|폐지|폐기)되었");
    for (std::size_t i = 0; i < std::min<std::size_t>(10, document.blocks.size()); ++i) {
        const std::string_view text = head_of(document.blocks[i]);
        if (!kMark.find(text).empty() || !kSentence.find(text).empty()) document.withdrawn = true;
    }
}

std::string without_blanks(std::string_view text)
{
    std::string out;
    for (const char c : text)
        if (c != ' ' && c != '\n' && c != '\t') out.push_back(c);
    return out;
}

bool meaningless(const std::string& title)
{
    if (without_blanks(title).size() < 6) return true;
    for (const std::string_view start :
         {"Microsoft ", "제목 없음", "제목없음", "Untitled", "untitled", "무제", "문서1", "PowerPoint"})
        if (title.starts_with(start)) return true;
    for (const std::string_view end : {".hwp", ".hwpx", ".doc", ".docx", ".pdf", ".xlsx", ".HWP"})
        if (title.ends_with(end)) return true;
    return false;
}

// The first line that looks like a title: a heading of the first rank, else a short line that is no sentence,
// no form field and no item.
std::string title_in_text(const Document& document)
{
    std::string first;
    for (std::size_t i = 0; i < std::min(kHeadBlocks, document.blocks.size()); ++i) {
        const Block& block = document.blocks[i];
        if (!textual(block) || block.text.size() < 6 || block.text.size() > 240) continue;
        const std::string line = block.text.substr(0, block.text.find('\n'));
        const std::optional<Mark> mark = leading_mark(line);
        if (mark) {
            if (mark->unit <= Unit::addendum) break;  // the body has begun
            continue;
        }
        if (block.kind == BlockKind::heading && block.level <= 1 && document.format != "xlsx") return line;
        const bool sentence = line.ends_with("다.") || line.ends_with("음.") || line.ends_with("까.");
        const bool field = line.find(':') != std::string::npos || line.find("：") != std::string::npos ||
                           line.front() == '[' || line.starts_with("수신") || line.starts_with("경유");
        if (first.empty() && !sentence && !field) first = line;
    }
    return first;
}

void choose_title(Document& document, const std::string& name)
{
    static const Pattern kSubject("^\\s*제\\s*목\\s*[:：]?\\s+(.{4,200})$");
    for (std::size_t i = 0; i < std::min(kHeadBlocks, document.blocks.size()); ++i) {
        if (!meaningless(document.title)) break;
        if (!textual(document.blocks[i])) continue;
        const auto subject = kSubject.find(head_of(document.blocks[i]));
        if (!subject.empty()) document.title = subject[0];
    }
    std::string in_text = title_in_text(document);
    if (!meaningless(document.title)) {
        // Metadata are often left over from the document that was copied; the text decides.
        const std::string wanted = without_blanks(document.title);
        std::string head;
        for (std::size_t i = 0; i < std::min(2 * kHeadBlocks, document.blocks.size()); ++i)
            head += without_blanks(document.blocks[i].text);
        if (in_text.empty() || head.find(wanted) != std::string::npos || document.format == "eml" ||
            document.format == "html")
            return;
    }
    if (!in_text.empty()) document.title = std::move(in_text);
    if (document.title.empty()) document.title = std::filesystem::path(name).stem().string();
}

}  // namespace

void complete_metadata(Document& document, const std::string& name)
{
    choose_title(document, name);
    find_force(document);
    find_number(document);
    find_withdrawal(document);
}

}  // namespace jiphyeon
