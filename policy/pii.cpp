// Finding, resolving and hiding. The recognisers run over the text as it is and over its folded views; what
// they find is put together by risk, then confidence, then length, never by who comes first.
#include "jiphyeon/pii.hpp"

#include <algorithm>
#include <array>

#include "pii_scan.hpp"

namespace jiphyeon {
namespace {

// Below this a find is told but not hidden: thirteen bare digits that are rather a bar code, and the like.
constexpr float kMaskConfidence = 0.35f;
// What letters and Hangul numerals were guessed to be is one step less sure.
constexpr float kGuess = 0.75f;

struct TypeText {
    std::string_view name, tag;
    bool masked;
};

constexpr std::array<TypeText, 16> kTypes = {{
    {"rrn", "[주민등록번호]", true},
    {"frn", "[외국인등록번호]", true},
    {"passport", "[여권번호]", true},
    {"driver_licence", "[운전면허번호]", true},
    {"card", "[신용카드번호]", true},
    {"account", "[계좌번호]", true},
    {"health_insurance", "[건강보험증번호]", true},
    {"phone", "[전화번호]", true},
    {"email", "[전자우편]", true},
    {"birth_date", "[생년월일]", true},
    {"address", "[주소]", true},
    {"person", "[성명]", true},
    {"vehicle", "[차량번호]", true},
    {"business", "[사업자등록번호]", false},
    {"corporation", "[법인등록번호]", false},
    {"official_contact", "[업무연락처]", false},
}};

const TypeText& text_of(PiiType type)
{
    return kTypes.at(static_cast<std::size_t>(type));
}

void search(const View& view, float trust, std::vector<PiiSpan>& spans)
{
    const Scan scan(view);
    std::vector<Found> found;
    find_numbers(scan, found);
    find_passports(scan, found);
    find_phones(scan, found);
    find_emails(scan, found);
    find_vehicles(scan, found);
    find_form_fields(scan, found);
    for (const Found& f : found)
        spans.push_back({view.start[f.first], view.end[f.last - 1], f.type, f.confidence * trust});
}

bool is_hidden(const PiiSpan& span)
{
    return is_masked(span.type) && span.confidence >= kMaskConfidence;
}

// Smaller is stronger.
bool stronger(const PiiSpan& a, const PiiSpan& b)
{
    if (is_hidden(a) != is_hidden(b)) return is_hidden(a);
    if (is_hidden(a) && a.type != b.type) return a.type < b.type;
    if (a.confidence != b.confidence) return a.confidence > b.confidence;
    return a.end - a.start > b.end - b.start;
}

// Of overlapping spans the strongest gives the type; where several are hidden, all that any of them covers
// is.
std::vector<PiiSpan> resolve(std::vector<PiiSpan> spans)
{
    std::sort(spans.begin(), spans.end(), [](const PiiSpan& a, const PiiSpan& b) {
        return a.start != b.start ? a.start < b.start : a.end < b.end;
    });
    std::vector<PiiSpan> out;
    for (std::size_t i = 0; i < spans.size();) {
        std::size_t next = i, end = spans[i].end;
        while (next < spans.size() && spans[next].start < end) end = std::max(end, spans[next++].end);
        PiiSpan best = spans[i];
        for (std::size_t k = i; k < next; ++k)
            if (stronger(spans[k], best)) best = spans[k];
        if (is_hidden(best))
            for (std::size_t k = i; k < next; ++k)
                if (is_hidden(spans[k])) {
                    best.start = std::min(best.start, spans[k].start);
                    best.end = std::max(best.end, spans[k].end);
                }
        out.push_back(best);
        i = next;
    }
    return out;
}

}  // namespace

std::string_view pii_tag(PiiType type)
{
    return text_of(type).tag;
}
std::string_view pii_name(PiiType type)
{
    return text_of(type).name;
}
bool is_masked(PiiType type)
{
    return text_of(type).masked;
}

std::vector<PiiSpan> find_pii(std::string_view text)
{
    std::vector<PiiSpan> spans;
    const View plain = plain_view(text);
    search(plain, 1.0f, spans);
    const std::optional<View> folded = folded_view(plain);
    if (folded) search(*folded, 1.0f, spans);
    if (const std::optional<View> guessed = guessed_view(folded ? *folded : plain))
        search(*guessed, kGuess, spans);
    return resolve(std::move(spans));
}

Masked mask(std::string_view text)
{
    Masked masked;
    std::size_t done = 0;
    for (const PiiSpan& span : find_pii(text)) {
        if (!is_hidden(span)) continue;
        masked.text += text.substr(done, span.start - done);
        const std::size_t start = masked.text.size();
        masked.text += pii_tag(span.type);
        masked.pieces.push_back({span.start, span.end, start, masked.text.size(), span.type});
        done = span.end;
    }
    masked.text += text.substr(done);
    return masked;
}

}  // namespace jiphyeon
