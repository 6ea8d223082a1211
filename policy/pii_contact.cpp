// Telephones and e-mail. Whose they are decides: the officer's in charge is public by law (정보공개법
// 제9조제1항 제6호라목) and stays, a citizen's is hidden. The nearest word on the left tells; a mobile number
// is always a person's.
#include <algorithm>

#include "pii_scan.hpp"

namespace jiphyeon {
namespace {

constexpr float kSure = 0.99f, kHigh = 0.9f, kMiddle = 0.7f;

enum class Line { none, mobile, landline, company };

constexpr std::initializer_list<std::u32string_view> kPhoneLabels = {
    U"전화", U"연락처", U"휴대", U"핸드폰", U"tel", U"phone", U"fax",
    U"팩스", U"☎",      U"☏",    U"문의",   U"hp",  U"번호"};
constexpr std::initializer_list<std::u32string_view> kOfficialWords = {
    U"담당",     U"과장",      U"팀장",
    U"국장",     U"주무관",    U"사무관",
    U"서기관",   U"부서",      U"문의",
    U"대표",     U"내선",      U"민원실",
    U"청사",     U"상황실",    U"센터",
    U"행정",     U"기관",      U"당직",
    U"콜",       U"시청",      U"구청",
    U"군청",     U"위원회",    U"공사",
    U"공단",     U"지원과",    U"총무",
    U"정책",     U"교환",      U"fax",
    U"팩스",     U"전송",      U"담당관",
    U"기획",     U"매표소",    U"사무소",
    U"ministry", U"authority", U"republicofkorea",
    U"office",   U"telefax"};
constexpr std::initializer_list<std::u32string_view> kPersonalWords = {
    U"신청인", U"민원인", U"자택",   U"본인",   U"보호자",   U"청구인", U"진정인",
    U"제보자", U"신고자", U"피해자", U"대리인", U"고객",     U"수령인", U"휴대",
    U"핸드폰", U"성명",   U"이름",   U"주소",   U"생년월일", U"예금주", U"세대주"};

Line line_of(std::string_view prefix, std::string_view digits)
{
    if (prefix == "010") return digits.size() == 11 ? Line::mobile : Line::none;
    if (prefix == "011" || prefix == "016" || prefix == "017" || prefix == "018" || prefix == "019")
        return digits.size() == 10 || digits.size() == 11 ? Line::mobile : Line::none;
    return Line::none;
}

bool is_area(std::string_view p)
{
    return p == "02" || p == "031" || p == "032" || p == "033" || p == "041" || p == "042" || p == "043" ||
           p == "044" || p == "051" || p == "052" || p == "053" || p == "054" || p == "055" || p == "061" ||
           p == "062" || p == "063" || p == "064" || p == "070";
}

bool is_safe_number(std::string_view p)
{
    return p.size() == 4 && p.substr(0, 3) == "050" && p[3] >= '2' && p[3] <= '8';
}

struct Shape {
    Line line = Line::none;
    std::size_t groups = 0;
    bool bare = false;
};

// Numbers written with the leading zero, grouped or not.
Shape domestic(const Chain& c)
{
    Shape s;
    if (c.digits < 8) return s;
    const auto grouped = [&](std::size_t a, std::size_t b, std::size_t d) {
        return c.shape({a, b, d}) &&
               c.gaps_are(1, 3, {Gap::hyphen, Gap::dot, Gap::blank, Gap::slash, Gap::bracket, Gap::wave});
    };
    if (c.digit[0] != '0') {
        const bool nationwide = c.shape({4, 4}) && c.gaps_are(1, 2, {Gap::hyphen}) && c.digit[0] == '1' &&
                                (c.digit[1] == '5' || c.digit[1] == '6' || c.digit[1] == '8');
        if (nationwide) s.line = Line::company, s.groups = 2;
        return s;
    }
    const std::string_view three = c.text(0, 3), four = c.text(0, 4);
    const std::string_view all = c.text(0, c.digits);
    if (grouped(3, 4, 4) || grouped(3, 3, 4)) {
        const std::size_t digits = 3 + c.group[1] + 4;
        s.groups = 3;
        s.line = line_of(three, all.substr(0, digits));
        if (s.line == Line::none && is_area(three)) s.line = Line::landline;
        if (s.line == Line::none && (three == "080" || three == "060")) s.line = Line::company;
    } else if (grouped(2, 4, 4) || grouped(2, 3, 4)) {
        s.groups = 3;
        if (all.substr(0, 2) == "02") s.line = Line::landline;
    } else if (grouped(4, 4, 4) || grouped(4, 3, 4)) {
        s.groups = 3;
        if (is_safe_number(four)) s.line = Line::mobile;
    } else if ((c.shape({3, 8}) || c.shape({7, 4})) &&
               c.gaps_are(1, 2, {Gap::hyphen, Gap::blank, Gap::dot})) {
        s.groups = 2;
        s.line = line_of(three, all.substr(0, 11));
    } else if (c.group[0] >= 9 && c.group[0] <= 12) {
        const std::string_view number = c.text(0, c.group[0]);
        s.groups = 1;
        s.bare = true;
        s.line = line_of(three, number);
        const bool area =
            (number.substr(0, 2) == "02" && number.size() <= 10) || (is_area(three) && number.size() <= 11);
        if (s.line == Line::none && area && number.size() >= 9) s.line = Line::landline;
        if (s.line == Line::none && is_safe_number(four) && number.size() >= 11) s.line = Line::mobile;
    } else if (c.groups_of(11) == 11 && three == "010") {
        s.groups = 11;  // one digit per box
        s.line = Line::mobile;
    }
    return s;
}

// "+82 10 1234 5678", "+82 (0)10-…", "0082-2-2100-1234": 82, then the number without its zero.
Shape international(const Scan& scan, const Chain& c)
{
    Shape s;
    const bool plus = scan.before(c.first) == U'+' && c.text(0, 2) == "82";
    const bool zeros = c.text(0, 4) == "0082";
    if ((!plus && !zeros) || c.digits < 10) return s;
    std::size_t from = plus ? 2 : 4;
    if (c.groups_of(from) == 0 && c.groups > 1 && c.group[0] > 5) return s;
    if (c.digit[from] == '0') ++from;
    for (std::size_t total = from + 8; total <= from + 10 && total <= c.digits; ++total) {
        const std::size_t groups = c.groups_of(total);
        if (groups == 0) continue;
        const std::string number = "0" + std::string(c.text(from, total - from));
        Line line = line_of(number.substr(0, 3), number);
        if (line == Line::none && (number.starts_with("02") || is_area(number.substr(0, 3))))
            line = Line::landline;
        if (line != Line::none) s.line = line, s.groups = groups;
    }
    return s;
}

// A word on the left names a unit of an organisation ("예보팀", "남부해안지방청"). Short words with the rarer
// endings are given names.
bool unit_before(const Scan& scan, std::size_t first)
{
    constexpr std::u32string_view any_length = U"과팀계", long_only = U"청국실소원부관처단";
    constexpr std::size_t kLook = 40;
    const std::size_t stop = first > kLook ? first - kLook : 0;
    for (std::size_t i = first; i > stop; --i) {
        if (!is_hangul(scan.at(i - 1)) || is_hangul(scan.at(i))) continue;
        std::size_t start = i;
        while (start > stop && is_hangul(scan.at(start - 1))) --start;
        const char32_t last = scan.at(i - 1);
        if (i - start >= 3 && any_length.find(last) != std::u32string_view::npos) return true;
        if (i - start >= 4 && long_only.find(last) != std::u32string_view::npos) return true;
    }
    return false;
}

// Blocks of numbers that agencies have, behind an optional country code: the administrative city, and the
// exchange of the government complex.
bool is_agency_number(std::string_view digits)
{
    if (digits.starts_with("0082")) digits.remove_prefix(2);
    const std::string number =
        digits.starts_with("82") ? "0" + std::string(digits.substr(2)) : std::string(digits);
    return number.starts_with("044") || number.starts_with("0221");
}

bool is_official(const Scan& scan, const Chain& chain, std::size_t first, std::size_t last)
{
    const std::u32string left = scan.left(first, 60);
    const std::size_t official = last_of(left, kOfficialWords), personal = last_of(left, kPersonalWords);
    if (official > personal) return true;
    if (personal > 0) return false;
    return is_agency_number(chain.text(0, chain.digits)) || unit_before(scan, first) ||
           has_any(scan.right(last, 12), kOfficialWords);
}

void find_phone(const Scan& scan, const Chain& c, std::vector<Found>& out)
{
    Shape s = international(scan, c);
    const bool abroad = s.line != Line::none;
    if (!abroad) s = domestic(c);
    if (s.line == Line::none) return;
    const std::size_t last = c.end[s.groups - 1];
    const std::size_t first = abroad && scan.before(c.first) == U'+' ? c.first - 1 : c.first;
    const char32_t before = scan.before(first);
    if (is_latin(before) || before == U'제') return;
    if (s.line != Line::mobile) {
        const bool continues =
            (scan.at(last) == U'-' || scan.at(last) == U'.') && is_digit(scan.at(last + 1));
        if (c.joined_before || continues || scan.at(last) == U'호') return;
    }
    const std::u32string label = scan.left(first, 14);
    if (s.bare && s.line == Line::landline && !has_any(label, kPhoneLabels)) return;
    if (s.bare && scan.unit_follows(last)) return;
    if (s.bare && is_latin(scan.at(last))) return;
    if (s.line == Line::company) {
        if (has_any(label, kPhoneLabels) || has_any(label, kOfficialWords))
            out.push_back({first, last, PiiType::official_contact, kMiddle});
        return;
    }
    const bool official = s.line == Line::landline && is_official(scan, c, first, last);
    out.push_back({first, last, official ? PiiType::official_contact : PiiType::phone,
                   s.line == Line::mobile || has_any(label, kPhoneLabels) ? kSure : kHigh});
}

bool is_local_part(char32_t c)
{
    return is_latin(c) || is_digit(c) || c == U'.' || c == U'_' || c == U'%' || c == U'+' || c == U'-';
}

struct Word {
    std::u32string_view text;
    std::u32string_view meaning;
};

// Consumes blanks, at most `blanks_max` of them and one line break.
std::size_t skip_blanks(const Scan& scan, std::size_t i, std::size_t blanks_max)
{
    std::size_t n = 0;
    while (n < blanks_max && (scan.at(i) == U' ' || scan.at(i) == U'\n')) ++i, ++n;
    return i;
}

std::size_t match_any(const Scan& scan, std::size_t i, std::initializer_list<std::u32string_view> words)
{
    for (const std::u32string_view word : words)
        if (scan.view().text.compare(i, word.size(), word) == 0) return word.size();
    return 0;
}

constexpr std::initializer_list<std::u32string_view> kDots = {U"(dot)", U"[dot]", U"닷", U"점", U"."};
constexpr std::initializer_list<std::u32string_view> kSpokenNames = {
    U"네이버", U"다음넷", U"다음", U"한메일", U"지메일", U"구글", U"네이트", U"코리아", U"핫메일", U"카카오"};
constexpr std::initializer_list<std::u32string_view> kSpokenEnds = {U"컴",   U"넷",   U"케이알",
                                                                    U"씨오", U"지오", U"오알"};
constexpr std::initializer_list<std::u32string_view> kEnds = {U"com", U"net", U"org", U"kr", U"co",
                                                              U"go",  U"or",  U"ac",  U"re"};

// The domain that begins at `i`: where it ends, 0 for none; `official` tells a duty address.
std::size_t read_domain(const Scan& scan, std::size_t i, bool& official)
{
    std::u32string domain;
    std::size_t end = 0, labels = 0;
    const std::size_t stop = i + 80;
    while (i < stop) {
        const std::size_t label = i;
        while (is_latin(scan.at(i)) || is_digit(scan.at(i)) || (scan.at(i) == U'-' && i > label)) ++i;
        std::size_t spoken = 0;
        if (i == label) {
            spoken = std::max(match_any(scan, i, kSpokenNames), match_any(scan, i, kSpokenEnds));
            if (spoken == 0) break;
            i += spoken;
        }
        std::u32string text = scan.view().text.substr(label, i - label);
        std::transform(text.begin(), text.end(), text.begin(),
                       [](char32_t c) { return is_latin(c) ? c | 0x20 : c; });
        const bool letters = spoken > 0 || std::all_of(text.begin(), text.end(), is_latin);
        domain += (domain.empty() ? U"" : U".") + text;
        if (++labels >= 2 && letters && text.size() + spoken >= 2) end = i;
        // Another label needs a dot; blanks or a line break around it only where a known ending follows.
        const std::size_t dot = skip_blanks(scan, i, 1);
        const std::size_t size = match_any(scan, dot, kDots);
        if (size == 0) break;
        const std::size_t next = skip_blanks(scan, dot + size, 2);
        if (next != i + size) {
            const std::size_t known =
                std::max(match_any(scan, next, kEnds), match_any(scan, next, kSpokenEnds));
            if (known == 0 || is_latin(scan.at(next + known))) break;
        }
        i = next;
    }
    official = domain.ends_with(U"korea.kr") || domain.ends_with(U".go.kr");
    return end;
}

}  // namespace

bool is_phone_shape(const Chain& chain, std::size_t& groups)
{
    const Shape s = domestic(chain);
    groups = s.groups;
    return s.line != Line::none && !s.bare;
}

void find_phones(const Scan& scan, std::vector<Found>& out)
{
    for (std::size_t r = 0; r < scan.runs().size(); ++r) {
        const Chain chain = scan.chain(r);
        if (chain.digits >= 8) find_phone(scan, chain, out);
    }
}

void find_emails(const Scan& scan, std::vector<Found>& out)
{
    const std::u32string& text = scan.view().text;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char32_t c = text[i];
        if (c != U'@' && c != U'골' && c != U'(' && c != U'[') continue;
        const std::size_t size =
            match_any(scan, i, {U"@", U"골뱅이", U"(at)", U"[at]", U"(AT)", U"[AT]", U"(@)", U"(골뱅이)"});
        if (size == 0) continue;
        std::size_t last = i;
        while (last > 0 && i - last < 2 && text[last - 1] == U' ') --last;
        std::size_t first = last;
        while (first > 0 && last - first < 64 && is_local_part(text[first - 1])) --first;
        while (first < last && !is_latin(text[first]) && !is_digit(text[first])) ++first;
        if (first == last) continue;
        bool official = false;
        const std::size_t end = read_domain(scan, skip_blanks(scan, i + size, 2), official);
        if (end == 0) continue;
        out.push_back(
            {first, end, official ? PiiType::official_contact : PiiType::email, c == U'@' ? kSure : kMiddle});
    }
}

}  // namespace jiphyeon
