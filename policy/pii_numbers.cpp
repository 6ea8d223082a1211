// Identifiers that are digits: by how the digits are grouped, by check digits, and by the words beside them.
// A recogniser looks at one chain of digit groups; a chain has at most twenty groups.
#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include "check_digits.hpp"
#include "pii_scan.hpp"

namespace jiphyeon {
namespace {

constexpr float kSure = 0.99f, kHigh = 0.9f, kMiddle = 0.7f, kLow = 0.4f, kDoubtful = 0.2f;

struct Number {
    const Scan& scan;
    const Chain& chain;
    std::vector<Found>& out;

    void add(std::size_t groups, PiiType type, float confidence, std::size_t skip = 0) const
    {
        out.push_back({chain.first + skip, chain.end[groups - 1], type, confidence});
    }
    std::u32string left(std::size_t count) const { return scan.left(chain.first, count); }
    std::u32string right(std::size_t groups, std::size_t count) const
    {
        return scan.right(chain.end[groups - 1], count);
    }
};

int two(std::string_view digits, std::size_t i)
{
    return (digits[i] - '0') * 10 + (digits[i + 1] - '0');
}

std::chrono::year_month_day today()
{
    return std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
}

// Age of the bearer in years, or nothing where the first seven digits are no date with a sex digit that has
// been.
std::optional<int> bearer_age(std::string_view digits)
{
    static const std::chrono::year_month_day now = today();
    constexpr std::array<int, 10> centuries = {1800, 1900, 1900, 2000, 2000, 1900, 1900, 2000, 2000, 1800};
    const int year = centuries[static_cast<std::size_t>(digits[6] - '0')] + two(digits, 0);
    const std::chrono::year_month_day born{std::chrono::year{year},
                                           std::chrono::month{static_cast<unsigned>(two(digits, 2))},
                                           std::chrono::day{static_cast<unsigned>(two(digits, 4))}};
    if (!born.ok() || born > now) return std::nullopt;
    return static_cast<int>(now.year()) - year;
}

constexpr std::initializer_list<std::u32string_view> kResidentLabels = {
    U"주민", U"외국인등록", U"외국인번호", U"거소신고", U"생년월일", U"rrn", U"residentregistration"};
constexpr std::initializer_list<std::u32string_view> kOtherNumberLabels = {
    U"바코드", U"ean",  U"gtin",     U"운송장",   U"송장",     U"등기번호", U"허가번호", U"품목",
    U"상품",   U"물품", U"접수번호", U"문서번호", U"관리번호", U"공고번호", U"과제번호", U"의안번호"};
constexpr int kAgeLikelyMax = 100;  // beyond it digits without a label are rather something else

// 주민등록번호, 외국인등록번호, 법인등록번호: thirteen digits. A failing check digit never drops a resident's
// number: those given out since 2020-10-05 have none.
void resident(const Number& n)
{
    const Chain& c = n.chain;
    std::size_t skip = 0;
    std::size_t groups = c.groups_of(13);
    std::string_view digits = c.text(0, 13);
    if (groups == 0 && c.shape({7, 7})) {  // a relation code glued in front
        skip = 1, groups = 2;
        digits = c.text(1, 13);
    }
    if (groups == 0) return;
    const bool boxes = groups == 13;
    const bool halves = groups > 1 && (skip == 1 || c.groups_of(6) != 0);
    if (!(groups == 1 || boxes || (halves && groups <= 3))) return;
    if (boxes && c.groups > 13 && c.group[13] == 1) return;  // a longer row of single digits

    const std::u32string label = n.left(24);
    const bool labelled =
        has_any(label, kResidentLabels) && last_of(label, kResidentLabels) > last_of(label, {U"법인"});
    const bool corporate = has_any(label, {U"법인"}) && !labelled;
    const bool other = has_any(n.left(14), kOtherNumberLabels) && !labelled;
    const char seventh = digits[6];
    const bool foreign = seventh >= '5' && seventh <= '8';
    const std::optional<int> age = bearer_age(digits);
    const bool checks = age && (foreign ? frn_checks(digits) : rrn_checks(digits));
    const bool corporation = corporation_checks(digits) && skip == 0 && !boxes;

    if (corporation &&
        (corporate || (!labelled && !checks && (!age || *age > kAgeLikelyMax || seventh == '0')))) {
        if (corporate || halves) n.add(groups, PiiType::corporation, kHigh);
        return;
    }
    if (corporate && halves) return n.add(groups, PiiType::corporation, kMiddle);
    if (!age) {
        // A label says so, and one digit was misread or mistyped: still somebody's number.
        if (labelled && halves && has_any(label, {U"주민", U"외국인등록", U"거소"}))
            n.add(groups, PiiType::rrn, kLow, skip);
        return;
    }
    if ((seventh == '9' || seventh == '0') && !labelled) return;
    const PiiType type = foreign ? PiiType::frn : PiiType::rrn;
    if (checks && !(other && groups == 1)) return n.add(groups, type, kSure, skip);
    if (labelled) return n.add(groups, type, kMiddle, skip);
    if (skip == 1 || boxes) return;
    if (*age > kAgeLikelyMax || other) return n.add(groups, type, kDoubtful);
    if (groups == 1)
        return n.scan.unit_follows(c.end[0]) ? void()
                                             : n.add(1, type, ean13_checks(digits) ? kDoubtful : kLow);
    const bool written = c.gaps_are(1, groups, {Gap::hyphen, Gap::dot, Gap::slash, Gap::wave});
    const bool loose = c.gaps_are(1, groups, {Gap::blank});
    if (c.joined_before) return n.add(groups, type, kDoubtful);
    n.add(groups, type,
          written                                            ? kMiddle
          : loose && !n.scan.unit_follows(c.end[groups - 1]) ? kLow
                                                             : kDoubtful);
}

// "900101-1******": the birth date and sex are still there.
void half_masked_resident(const Number& n)
{
    const Chain& c = n.chain;
    if (!c.shape({6, 1}) || c.joined_before) return;
    constexpr std::u32string_view stars = U"*●○◯■□xX×＊※";
    std::size_t end = c.end[1];
    while (stars.find(n.scan.at(end)) != std::u32string_view::npos && n.scan.at(end) != U'\0' &&
           end < c.end[1] + 6)
        ++end;
    if (end < c.end[1] + 4) return;
    std::string digits(c.text(0, 7));
    const std::optional<int> age = bearer_age(digits);
    if (!age || digits[6] == '0' || digits[6] == '9') return;
    const bool foreign = digits[6] >= '5' && digits[6] <= '8';
    n.out.push_back({c.first, end, foreign ? PiiType::frn : PiiType::rrn, kHigh});
}

void business(const Number& n)
{
    const Chain& c = n.chain;
    if (c.joined_before) return;
    const bool grouped = c.shape({3, 2, 5}) && c.gaps_are(1, 3, {Gap::hyphen});
    if (!grouped && !c.shape({10})) return;
    const bool labelled = has_any(n.left(16), {U"사업자", U"등록번호", U"고유번호"});
    if (labelled || (grouped && business_checks(c.text(0, 10))))
        n.add(grouped ? 3 : 1, PiiType::business, business_checks(c.text(0, 10)) ? kHigh : kMiddle);
}

bool is_place_name(std::u32string_view name)
{
    for (const std::u32string_view place :
         {U"서울", U"부산", U"대구", U"인천", U"광주", U"대전", U"울산", U"세종", U"경기", U"강원", U"충북",
          U"충남", U"전북", U"전남", U"경북", U"경남", U"제주"})
        if (name == place) return true;
    return false;
}

void licence(const Number& n)
{
    const Chain& c = n.chain;
    const std::u32string label = n.left(18);
    const bool labelled = has_any(label, {U"면허"}) && !has_any(label, {U"허가번호"});
    const bool region = c.digits >= 12 && two(c.text(0, 12), 0) >= 11 && two(c.text(0, 12), 0) <= 28;
    if (c.shape({2, 2, 6, 2}) && region && !c.joined_before) {
        if (labelled || c.gaps_are(1, 4, {Gap::hyphen}))
            n.add(4, PiiType::driver_licence, labelled ? kHigh : kMiddle);
    } else if (labelled && region && (c.shape({12}) || c.shape({2, 2, 8}) || c.shape({4, 6, 2}))) {
        n.add(c.groups_of(12), PiiType::driver_licence, kMiddle);
    } else if (c.shape({2, 6, 2}) && c.gaps_are(1, 3, {Gap::hyphen}) && c.first >= 2) {
        // The old cards begin with the place's name.
        std::size_t before = c.first;
        while (before > 0 && before + 2 > c.first &&
               (n.scan.before(before) == U' ' || n.scan.before(before) == U'-'))
            --before;
        if (before < 2) return;
        const std::u32string name = n.scan.view().text.substr(before - 2, 2);
        if (is_place_name(name)) n.out.push_back({before - 2, c.end[2], PiiType::driver_licence, kHigh});
    }
}

bool has_issuer(std::string_view d)
{
    const int first2 = two(d, 0), first4 = first2 * 100 + two(d, 2);
    const int first3 = first4 / 10;
    switch (d.size()) {
        case 13:
            return d[0] == '4';
        case 14:
            return first2 == 36 || first2 == 38 || first2 == 39 || (first3 >= 300 && first3 <= 305);
        case 15:
            return first2 == 34 || first2 == 37;
        default:
            return d[0] == '4' || (first2 >= 51 && first2 <= 55) || (first4 >= 2221 && first4 <= 2720) ||
                   (first4 >= 3528 && first4 <= 3589) || first2 == 62 || first4 == 6011 || first2 == 65 ||
                   d[0] == '9';
    }
}

void card(const Number& n)
{
    const Chain& c = n.chain;
    if (c.joined_before) return;
    std::size_t groups = 0, digits = 0;
    const auto grouped = [&](std::initializer_list<std::size_t> sizes) {
        if (groups != 0 || !c.shape(sizes)) return;
        if (!c.gaps_are(1, sizes.size(), {c.gap[1]})) return;
        if (!c.gaps_are(1, 2, {Gap::hyphen, Gap::blank, Gap::dot})) return;
        groups = sizes.size();
        for (const std::size_t size : sizes) digits += size;
    };
    grouped({4, 4, 4, 4, 3});
    grouped({4, 4, 4, 4});
    grouped({4, 6, 5});
    grouped({4, 6, 4});
    if (groups == 0 && c.group[0] >= 13 && c.group[0] <= 19) groups = 1, digits = c.group[0];
    if (groups == 0 && c.groups_of(16) == 16) groups = 16, digits = 16;  // one digit per box
    if (groups == 0) return;

    const std::u32string label = n.left(20);
    const bool labelled = has_any(label, {U"카드", U"card"}) || has_any(n.right(groups, 8), {U"카드"});
    const std::string_view text = c.text(0, digits);
    if (!luhn_checks(text) || text[0] < '2' || text[0] == '7' || text[0] == '8') {
        if (labelled && groups == 4 && has_any(label, {U"카드", U"card"})) n.add(groups, PiiType::card, kLow);
        return;
    }
    if (!has_issuer(text)) {
        if (labelled || groups == 4) n.add(groups, PiiType::card, kMiddle);
        return;
    }
    const bool bare = groups == 1 || groups == 16;
    if (!bare || labelled) return n.add(groups, PiiType::card, labelled ? kSure : kHigh);
    // Without grouping or label: thirteen digits are too few, and a leading 9 says too little.
    if (digits == 13 || text[0] == '9' || groups == 16 || n.scan.unit_follows(c.end[0])) return;
    n.add(groups, PiiType::card, kMiddle);
}

void account(const Number& n)
{
    const Chain& c = n.chain;
    std::size_t groups = 1, digits = c.group[0];
    while (groups < c.groups && groups < 5 && c.gap[groups] == Gap::hyphen) digits += c.group[groups++];
    if (digits < 10 || digits > 16 || c.joined_before) return;
    std::size_t phone_groups = 0;
    if (is_phone_shape(c, phone_groups)) return;
    if (groups == 3 && c.shape({3, 2, 5}) && business_checks(c.text(0, 10))) return;
    if (c.shape({4, 2, 2})) return;  // a date, then something
    if (n.scan.before(c.first) == U'제' || n.scan.unit_follows(c.end[groups - 1])) return;

    const std::u32string left = n.left(20), right = n.right(groups, 20);
    // The nearest word tells what kind of number it is.
    static constexpr std::initializer_list<std::u32string_view> account_words = {
        U"계좌", U"입금", U"송금", U"이체", U"예금주", U"통장", U"납부처", U"account"};
    static constexpr std::initializer_list<std::u32string_view> banks = {
        U"은행",       U"농협",     U"수협",     U"신협", U"우체국", U"새마을금고",
        U"카카오뱅크", U"토스뱅크", U"케이뱅크", U"kb",   U"ibk",    U"산림조합"};
    static constexpr std::initializer_list<std::u32string_view> other_words = {
        U"접수번호", U"문서번호", U"공고", U"고지서", U"전자납부", U"관리번호",
        U"사업자",   U"법인",     U"면허", U"여권",   U"카드번호"};
    const std::size_t account_at = std::max(last_of(left, account_words), last_of(left, banks));
    if (last_of(left, other_words) > account_at) return;
    const bool hyphens = groups > 1;
    if (account_at > 0 || has_any(right, {U"예금주"}))
        return n.add(groups, PiiType::account, account_at > 0 ? kHigh : kMiddle);
    if (has_any(right.substr(0, 10), banks)) return n.add(groups, PiiType::account, kMiddle);
    // "국민 123456-04-123456": a bank's short name right before, and hyphens.
    const std::u32string near = left.size() > 2 ? left.substr(left.size() - 2) : left;
    if (hyphens && digits >= 11 &&
        has_any(near, {U"국민", U"신한", U"하나", U"우리", U"기업", U"농협", U"부산", U"대구"}))
        n.add(groups, PiiType::account, kMiddle);
}

void health_insurance(const Number& n)
{
    const Chain& c = n.chain;
    const bool printed = c.shape({1, 10}) && c.gaps_are(1, 2, {Gap::hyphen});
    if (!printed && !c.shape({11})) return;
    if (c.joined_before) return;
    const std::u32string label = n.left(25);
    const std::size_t at = last_of(label, {U"보험증", U"건강보험", U"의료보험", U"증번호", U"보험번호"});
    if (at > 0 && at >= last_of(label, {U"전화", U"연락처", U"휴대", U"핸드폰"}))
        n.add(printed ? 2 : 1, PiiType::health_insurance, kHigh);
}

}  // namespace

void find_numbers(const Scan& scan, std::vector<Found>& out)
{
    for (std::size_t r = 0; r < scan.runs().size(); ++r) {
        const Chain chain = scan.chain(r);
        if (chain.digits < 7) continue;
        const Number number{scan, chain, out};
        resident(number);
        half_masked_resident(number);
        if (chain.digits < 10) continue;
        business(number);
        licence(number);
        card(number);
        account(number);
        health_insurance(number);
    }
}

// Letter and eight digits, two letters and seven, or letter, three digits, letter, four digits (since
// 2021-12). Codes of parts and orders look the same, so a label has to stand near.
void find_passports(const Scan& scan, std::vector<Found>& out)
{
    for (std::size_t r = 0; r < scan.runs().size(); ++r) {
        const Run run = scan.runs()[r];
        std::size_t first = run.first;
        while (first > 0 && is_latin(scan.before(first)) && run.first - first < 3) --first;
        const std::size_t letters = run.first - first;
        if (letters == 0 || letters > 2) continue;
        std::size_t last = 0;
        if ((letters == 1 && run.size() == 8) || (letters == 2 && run.size() == 7)) {
            last = run.last;
        } else if (letters == 1 && run.size() == 3 && is_latin(scan.at(run.last)) &&
                   r + 1 < scan.runs().size() && scan.runs()[r + 1].first == run.last + 1 &&
                   scan.runs()[r + 1].size() == 4) {
            last = scan.runs()[r + 1].last;
        } else {
            continue;
        }
        if (is_latin(scan.at(last))) continue;
        const bool labelled = has_any(scan.left(first, 60), {U"여권", U"passport"}) ||
                              has_any(scan.right(last, 12), {U"여권", U"passport"});
        if (labelled) out.push_back({first, last, PiiType::passport, kHigh});
    }
}

}  // namespace jiphyeon
