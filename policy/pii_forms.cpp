// What only a form's label makes personal: birth dates, addresses, names. Official papers are full of dates,
// places and names that must stay, so without the label nothing is taken. Vehicle numbers are here as well:
// they too are told from counters and case numbers by what stands around them.
#include <algorithm>
#include <array>
#include <string>

#include "pii_scan.hpp"

namespace jiphyeon {
namespace {

constexpr float kHigh = 0.9f, kMiddle = 0.7f;
constexpr std::size_t kFieldMax = 48;  // characters of an address that are hidden

bool is_blank(char32_t c)
{
    return c == U' ' || c == U'\t';
}
bool ends_line(char32_t c)
{
    return c == U'\n' || c == U'\r' || c == U'\0';
}

std::size_t skip_blank(const Scan& scan, std::size_t i)
{
    while (is_blank(scan.at(i))) ++i;
    return i;
}

// `label` with any blanks between its syllables stands at `i`: the place behind it, 0 when it does not.
std::size_t match_label(const Scan& scan, std::size_t i, std::u32string_view label)
{
    for (std::size_t k = 0; k < label.size(); ++k) {
        std::size_t blanks = 0;
        while (k > 0 && is_blank(scan.at(i)) && blanks < 6) ++i, ++blanks;
        if (scan.at(i) != label[k]) return 0;
        ++i;
    }
    return i;
}

// Behind a label: an optional remark in brackets, then what separates a form's label from its value. The
// place of the value, 0 when the words go on as a sentence does.
std::size_t field_value(const Scan& scan, std::size_t i)
{
    std::size_t at = skip_blank(scan, i);
    if (scan.at(at) == U'(') {
        std::size_t close = at;
        while (close < at + 16 && scan.at(close) != U')' && !ends_line(scan.at(close))) ++close;
        if (scan.at(close) == U')') i = close + 1, at = skip_blank(scan, i);
    }
    if (scan.at(at) == U':' || scan.at(at) == U'|') {
        at = skip_blank(scan, at + 1);
        return scan.at(at) == U'\n' ? 0 : at;
    }
    const bool wide = at >= i + 2 || (at > i && scan.at(i) == U'\t');
    return wide ? at : 0;
}

bool label_starts_at(const Scan& scan, std::size_t i)
{
    const char32_t before = scan.before(i);
    return !is_hangul(before) && !is_latin(before) && !is_digit(before) && before != U'「';
}

struct DateEnd {
    std::size_t last = 0;
    bool born = false;  // "… 생", "… 출생" follows
};

// A calendar date that begins at run `r`.
DateEnd read_date(const Scan& scan, std::size_t r)
{
    const auto& runs = scan.runs();
    const Run first = runs[r];
    const auto value = [&scan](const Run& run) {
        std::size_t n = 0;
        for (std::size_t i = run.first; i < run.last; ++i) n = n * 10 + (scan.at(i) - U'0');
        return n;
    };
    std::size_t last = 0;
    if (first.size() == 8 || first.size() == 6) {
        const std::size_t all = value(first), month = all / 100 % 100, day = all % 100;
        if (month >= 1 && month <= 12 && day >= 1 && day <= 31) last = first.last;
    } else if ((first.size() == 4 || first.size() == 2) && r + 2 < runs.size() && runs[r + 1].size() <= 2 &&
               runs[r + 2].size() <= 2 && runs[r + 1].first - first.last <= 3 &&
               runs[r + 2].first - runs[r + 1].last <= 3) {
        const std::size_t month = value(runs[r + 1]), day = value(runs[r + 2]);
        const char32_t joint = scan.at(first.last);
        const bool joined =
            joint == U'.' || joint == U'-' || joint == U'/' || joint == U'년' || joint == U' ';
        if (joined && month >= 1 && month <= 12 && day >= 1 && day <= 31) last = runs[r + 2].last;
        if (last != 0 && (scan.at(last) == U'.' || scan.at(last) == U'일')) ++last;
    }
    if (last == 0) return {};
    const std::size_t word = skip_blank(scan, last);
    const auto says = [&](std::u32string_view text) {
        return scan.view().text.compare(word, text.size(), text) == 0;
    };
    const bool alone = says(U"생") && !is_hangul(scan.at(word + 1));
    const bool birth = says(U"출생") && !is_hangul(scan.at(word + 2)) &&
                       !has_any(scan.right(word + 2, 2), {U"신고", U"등록", U"통계", U"축하"});
    return {last, alone || birth};
}

void find_birth_dates(const Scan& scan, std::vector<Found>& out)
{
    for (std::size_t r = 0; r < scan.runs().size(); ++r) {
        if (scan.runs()[r].size() < 2) continue;
        const DateEnd date = read_date(scan, r);
        if (date.last == 0) continue;
        const std::size_t first = scan.runs()[r].first;
        std::u32string label = scan.left(first, 14);
        // "생년월일(음력)", "생년월일 / 성별 남": the label ends within a few characters.
        const std::size_t at =
            last_of(label, {U"생년월일", U"출생일", U"출생연월일", U"출생년월일", U"생일", U"birth"});
        const std::u32string rest = at > 0 ? label.substr(at) : U"";
        const bool labelled =
            at > 0 && (rest.empty() || rest == U"은" || rest == U"는" || rest == U"음력" || rest == U"양력" ||
                       rest == U"남" || rest == U"여" || rest == U"성별");
        const bool rule = has_any(scan.right(date.last, 2), {U"부터", U"이후", U"이전", U"까지", U"현재"});
        if ((labelled && !rule) || date.born) out.push_back({first, date.last, PiiType::birth_date, kHigh});
    }
}

bool is_region(std::u32string_view word)
{
    constexpr std::u32string_view ends = U"도시군구읍면";
    if (word.size() < 2 || word.find_first_of(U"0123456789") != std::u32string_view::npos) return false;
    if (ends.find(word.back()) != std::u32string_view::npos) return true;
    for (const std::u32string_view name :
         {U"서울", U"부산", U"대구", U"인천", U"광주", U"대전", U"울산", U"세종", U"경기", U"강원", U"충북",
          U"충남", U"전북", U"전남", U"경북", U"경남", U"제주"})
        if (word == name) return true;
    return false;
}

bool is_part_of_address(std::u32string_view word)
{
    constexpr std::u32string_view ends = U"로길동리가호층지";
    if (word.find_first_of(U"0123456789()") != std::u32string_view::npos || word == U"산") return true;
    while (!word.empty() && (word.back() == U',' || word.back() == U'.')) word.remove_suffix(1);
    return !word.empty() &&
           (ends.find(word.back()) != std::u32string_view::npos || word.ends_with(U"아파트") ||
            word.ends_with(U"빌라") || word.ends_with(U"오피스텔") || word.ends_with(U"빌딩") ||
            word.ends_with(U"마을") || word.ends_with(U"타운"));
}

// The value of an address field: province, city and district stay, from the road or lot on it is hidden.
void take_address(const Scan& scan, std::size_t value, std::vector<Found>& out)
{
    std::size_t first = 0, last = 0;
    bool number = false, regions = true, located = false;  // located: a word that only places have
    std::size_t i = value;
    while (i < value + kFieldMax + 40) {
        i = skip_blank(scan, i);
        const std::size_t word = i;
        while (!is_blank(scan.at(i)) && !ends_line(scan.at(i)) && scan.at(i) != U'|' &&
               i < value + kFieldMax + 40)
            ++i;
        const std::u32string_view text = std::u32string_view(scan.view().text).substr(word, i - word);
        if (text.empty()) break;
        if (has_any(text, {U"청사", U"시청", U"군청", U"구청", U"http", U"@"})) return;
        if (regions && is_region(text)) {
            located = true;
            continue;
        }
        if (!is_part_of_address(text)) {
            // A word such as a building's name may stand inside once the road is known.
            if (first == 0 || scan.at(i) == U'\0' || number) break;
            continue;
        }
        regions = false;
        if (text.size() > 5 && text[0] == U'0' && is_digit(text[1])) break;         // a telephone
        if (text[0] == U'제' && is_digit(text.size() > 1 ? text[1] : U' ')) break;  // an article of a law
        if (first == 0) first = word;
        if (i - first > kFieldMax) break;
        located = located || text.find_first_of(U"로길동리가") != std::u32string_view::npos;
        last = i;
        number = number || text.find_first_of(U"0123456789") != std::u32string_view::npos;
    }
    while (last > first && (scan.at(last - 1) == U',' || scan.at(last - 1) == U'.')) --last;
    if (number && located && last > first) out.push_back({first, last, PiiType::address, kHigh});
}

bool is_surname(char32_t c)
{
    constexpr std::u32string_view surnames =
        U"김이박최정강조윤장임한오서신권황안송전홍유고문양손배백허남심노하곽성차주우구민류나진지엄채원천방공"
        U"현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국어은편용예경봉사부라";
    return surnames.find(c) != std::u32string_view::npos;
}

// Words of forms that begin like a name and are none.
bool is_form_word(std::u32string_view word)
{
    for (const std::u32string_view other :
         {U"서명",     U"주소",   U"전화",   U"성별", U"성명",   U"소속",   U"연락처", U"기재",   U"기입",
          U"이름",     U"생략",   U"미상",   U"주민", U"전자",   U"신청",   U"신청인", U"신청서", U"대표자",
          U"상호",     U"명칭",   U"국적",   U"직위", U"직급",   U"직업",   U"기관",   U"기관명", U"기타",
          U"해당",     U"이하",   U"추천",   U"지원", U"이용자", U"공무원", U"국민",   U"개인",   U"법인",
          U"단체",     U"사업자", U"사유",   U"제출", U"기준",   U"전원",   U"현황",   U"공개",   U"비공개",
          U"정보",     U"없음",   U"익명",   U"주체", U"소재지", U"연번",   U"여부",   U"위와",   U"인적",
          U"인적사항", U"성함",   U"한글",   U"한자", U"영문",   U"명의",   U"서명란", U"도장",   U"전결",
          U"본인",     U"배우자", U"유족",   U"가족", U"부모",   U"자녀",   U"보호자", U"대리인", U"관계",
          U"주관",     U"주무관", U"사무관", U"과장", U"국장",   U"기간",   U"기한",   U"신분",   U"신분증",
          U"전체",     U"일체",   U"명단",   U"문서", U"문의",   U"민원",   U"민원인", U"변경",   U"변호사",
          U"공인",     U"선택",   U"필수",   U"조회", U"확인",   U"위원",   U"위원장", U"장관",   U"장소"})
        if (word == other) return true;
    return false;
}

// What may follow a name on the same line: a bracket, a wide gap, another label, a title.
bool ends_name(const Scan& scan, std::size_t i)
{
    if (is_hangul(scan.at(i)) || is_latin(scan.at(i)) || is_digit(scan.at(i))) return false;
    if (scan.at(i) != U' ' || !is_hangul(scan.at(i + 1))) return true;
    const std::u32string next = scan.right(i, 4);
    for (const std::u32string_view word :
         {U"주민",   U"생년", U"주소", U"전화", U"연락",   U"휴대", U"계좌", U"성별",
          U"서명",   U"소속", U"직위", U"직급", U"씨",     U"님",   U"귀하", U"은행",
          U"이메일", U"전자", U"여권", U"날인", U"외국인", U"거주", U"관계", U"핸드폰"})
        if (next.starts_with(word)) return true;
    std::size_t end = i + 1;
    while (is_hangul(scan.at(end)) && end < i + 8) ++end;
    return scan.at(end) == U':';
}

void take_person(const Scan& scan, std::size_t value, std::vector<Found>& out)
{
    std::size_t last = value;
    while (is_hangul(scan.at(last))) ++last;
    // "홍 길 동" and "홍 길동" are written as well.
    std::u32string name = scan.view().text.substr(value, last - value);
    while (name.size() < 3 && !name.empty() && scan.at(last) == U' ' && is_hangul(scan.at(last + 1)) &&
           (name.size() == 1 || last - value > name.size())) {
        const std::size_t word = last + 1;
        std::size_t end = word;
        while (is_hangul(scan.at(end))) ++end;
        if (end - word > 2) return;
        name += scan.view().text.substr(word, end - word);
        last = end;
    }
    if (name.size() < 2 || name.size() > 4 || !is_surname(name[0]) || is_form_word(name)) return;
    if (ends_name(scan, last)) out.push_back({value, last, PiiType::person, kHigh});
}

struct Field {
    std::u32string_view label;
    PiiType type;
};

constexpr std::array<Field, 22> kFields = {{
    {U"성명", PiiType::person},    {U"이름", PiiType::person},        {U"신청인성명", PiiType::person},
    {U"신청인", PiiType::person},  {U"민원인", PiiType::person},      {U"보호자", PiiType::person},
    {U"예금주", PiiType::person},  {U"세대주", PiiType::person},      {U"수령인", PiiType::person},
    {U"피해자", PiiType::person},  {U"제보자", PiiType::person},      {U"신고자", PiiType::person},
    {U"진정인", PiiType::person},  {U"청구인", PiiType::person},      {U"대표자", PiiType::person},
    {U"주소", PiiType::address},   {U"자택주소", PiiType::address},   {U"거주지", PiiType::address},
    {U"현주소", PiiType::address}, {U"주민등록지", PiiType::address}, {U"등록기준지", PiiType::address},
    {U"본적", PiiType::address},
}};

bool may_begin_label(char32_t c)
{
    constexpr std::u32string_view firsts = U"성이신민보예세수피제진청대주자거현등본";
    return firsts.find(c) != std::u32string_view::npos;
}

// Letters of the Hangul that vehicle plates use.
bool is_plate_letter(char32_t c)
{
    constexpr std::u32string_view letters =
        U"가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주바사아자배하허호";
    return letters.find(c) != std::u32string_view::npos;
}

}  // namespace

void find_form_fields(const Scan& scan, std::vector<Found>& out)
{
    find_birth_dates(scan, out);
    const std::u32string& text = scan.view().text;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!may_begin_label(text[i]) || !label_starts_at(scan, i)) continue;
        for (const Field& field : kFields) {
            const std::size_t behind = match_label(scan, i, field.label);
            const std::size_t value = behind == 0 ? 0 : field_value(scan, behind);
            if (value == 0) continue;
            if (field.type == PiiType::person)
                take_person(scan, value, out);
            else
                take_address(scan, value, out);
            break;
        }
    }
}

// "12가3456", "123가 4567", "서울 12가 3456". Counters ("12조 3456"), old case numbers ("98도1234") and
// quantities look alike: with a blank, or two digits and a court near, a label or a region has to say so.
void find_vehicles(const Scan& scan, std::vector<Found>& out)
{
    const auto& runs = scan.runs();
    for (std::size_t r = 0; r + 1 < runs.size(); ++r) {
        const Run a = runs[r], b = runs[r + 1];
        if (b.size() != 4 || a.size() < 1 || a.size() > 3) continue;
        if (!is_plate_letter(scan.at(a.last))) continue;
        const std::size_t distance = b.first - a.last - 1;
        if (distance > 1 || (distance == 1 && scan.at(a.last + 1) != U' ')) continue;
        if (scan.unit_follows(b.last) || scan.at(b.last) == U',' ||
            ((scan.at(b.last) == U'-' || scan.at(b.last) == U'.') && is_digit(scan.at(b.last + 1))))
            continue;
        constexpr std::u32string_view counters = U"억만천명번조항";
        if (counters.find(scan.at(b.last)) != std::u32string_view::npos && scan.at(b.last) != U'\0') continue;

        std::size_t first = a.first;
        bool region = false;
        const std::size_t name_end = scan.before(first) == U' ' ? first - 1 : first;
        if (name_end >= 2) {
            const std::u32string_view name = std::u32string_view(scan.view().text).substr(name_end - 2, 2);
            for (const std::u32string_view place :
                 {U"서울", U"부산", U"대구", U"인천", U"광주", U"대전", U"울산", U"세종", U"경기", U"강원",
                  U"충북", U"충남", U"전북", U"전남", U"경북", U"경남", U"제주"})
                region = region || name == place;
        }
        if (region) first = name_end - 2;
        const char32_t before = scan.before(a.first);
        if (!region && (is_hangul(before) || is_latin(before) || before == U'-' || before == U'.')) continue;
        const std::u32string left = scan.left(a.first, 24), right = scan.right(b.last, 10);
        const bool labelled = has_any(left, {U"차량", U"자동차", U"차번", U"번호판", U"주차", U"운행",
                                             U"승용", U"화물차", U"승합"}) ||
                              has_any(right, {U"차량", U"승용", U"번호판", U"자동차"});
        const bool court =
            has_any(left, {U"판결", U"선고", U"대법원", U"법원", U"사건", U"결정", U"헌재", U"참조"}) ||
            has_any(right, {U"판결", U"사건", U"결정"});
        if (court && !labelled && !region) continue;
        if (a.size() == 1 && !region) continue;
        if (distance == 1 && !labelled && !region) continue;
        out.push_back({first, b.last, PiiType::vehicle, labelled || region ? kHigh : kMiddle});
    }
}

}  // namespace jiphyeon
