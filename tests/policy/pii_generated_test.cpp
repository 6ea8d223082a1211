// Identifiers by the thousand, put into the sentences and form rows where they really stand, and disguised as
// people and OCR disguise them. What counts is how much of them stays readable.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>

#include "check_digits.hpp"
#include "jiphyeon/pii.hpp"

namespace jiphyeon {
namespace {

// The same numbers from the same seed on every machine (the standard's distributions promise none).
class Random {
public:
    explicit Random(unsigned seed) : engine_(seed) {}
    unsigned operator()() { return static_cast<unsigned>(engine_()); }

private:
    std::mt19937 engine_;
};

std::string digits(Random& random, std::size_t count)
{
    std::string out;
    while (out.size() < count) out += static_cast<char>('0' + random() % 10);
    return out;
}

std::string two(unsigned value)
{
    return {static_cast<char>('0' + value / 10), static_cast<char>('0' + value % 10)};
}

// check: the digit of the old formula; without it the six last digits are free, as since 2020-10-05.
std::string resident(Random& random, bool foreign, bool check)
{
    const unsigned year = 30 + random() % 70;
    std::string out = two(year) + two(1 + random() % 12) + two(1 + random() % 28);
    out += static_cast<char>((foreign ? '5' : '1') + random() % 2);
    out += digits(random, 6);
    for (char c = '0'; check && c <= '9'; ++c) {
        out.back() = c;
        if (foreign ? frn_checks(out) : rrn_checks(out)) break;
    }
    return out.substr(0, 6) + "-" + out.substr(6);
}

std::string card(Random& random)
{
    std::string out = "4" + digits(random, 15);
    for (char c = '0'; c <= '9' && !luhn_checks(out); ++c) out.back() = c;
    return out.substr(0, 4) + "-" + out.substr(4, 4) + "-" + out.substr(8, 4) + "-" + out.substr(12);
}

std::string replaced(std::string text, const std::map<char, std::string>& table)
{
    std::string out;
    for (const char c : text) {
        const auto found = table.find(c);
        out += found == table.end() ? std::string(1, c) : found->second;
    }
    return out;
}

const std::map<char, std::string> kFullWidth = {{'0', "０"}, {'1', "１"}, {'2', "２"}, {'3', "３"},
                                                {'4', "４"}, {'5', "５"}, {'6', "６"}, {'7', "７"},
                                                {'8', "８"}, {'9', "９"}, {'-', "－"}};
const std::map<char, std::string> kSpoken = {{'0', "공"}, {'1', "일"}, {'2', "이"}, {'3', "삼"}, {'4', "사"},
                                             {'5', "오"}, {'6', "육"}, {'7', "칠"}, {'8', "팔"}, {'9', "구"}};
const std::map<char, std::string> kArabicIndic = {{'0', "٠"}, {'1', "١"}, {'2', "٢"}, {'3', "٣"}, {'4', "٤"},
                                                  {'5', "٥"}, {'6', "٦"}, {'7', "٧"}, {'8', "٨"}, {'9', "٩"}};

struct Disguise {
    std::string name;
    std::function<std::string(const std::string&, Random&)> apply;
};

const std::vector<Disguise> kDisguises = {
    {"clean", [](const std::string& s, Random&) { return s; }},
    {"full width", [](const std::string& s, Random&) { return replaced(s, kFullWidth); }},
    {"other digits", [](const std::string& s, Random&) { return replaced(s, kArabicIndic); }},
    {"dash",
     [](const std::string& s, Random& r) {
         const std::vector<std::string> dashes = {"‐", "–", "—", "−", "ㅡ", "·"};
         return replaced(s, {{'-', dashes[r() % dashes.size()]}});
     }},
    {"blanks",
     [](const std::string& s, Random&) {
         return replaced(s, {{'-', " - "}});
     }},
    {"zero width",
     [](const std::string& s, Random& r) {
         std::string out = s;
         out.insert(1 + r() % (s.size() - 1), "\u200B");
         return out;
     }},
    {"numerals", [](const std::string& s, Random&) { return replaced(s, kSpoken); }},
    {"look-alikes",  // OCR misreads some digits, not most: at most three of them
     [](const std::string& s, Random&) {
         std::string out = s;
         int misread = 0;
         for (char& c : out)
             if ((c == '0' || c == '1') && misread++ < 3) c = c == '0' ? 'O' : 'l';
         return out;
     }},
};

struct Kind {
    PiiType type;
    std::function<std::string(Random&)> make;
    std::vector<std::string> sentences;  // @ is the identifier
    bool spoken = false;                 // people spell it out in numerals
};

const std::vector<Kind> kKinds = {
    {PiiType::rrn,
     [](Random& r) { return resident(r, false, true); },
     {"신청인의 주민등록번호는 @입니다.", "홍길동(@)은 신청서를 제출하였다.", "| 주민번호 | @ |"},
     true},
    {PiiType::rrn,
     [](Random& r) { return resident(r, false, false); },
     {"주민등록번호: @", "민원인 이몽룡(@)의 진정에 대하여", "주민번호 @ 확인"},
     true},
    {PiiType::frn,
     [](Random& r) { return resident(r, true, true); },
     {"외국인등록번호 @", "체류자 (@) 조회"},
     true},
    {PiiType::card, card, {"카드번호 @ 로 결제", "신용카드 @ (유효기간 12/29)"}, false},
    {PiiType::phone,
     [](Random& r) { return "010-" + digits(r, 4) + "-" + digits(r, 4); },
     {"연락처: @", "회신은 @로 바랍니다.", "이몽룡 (@)"},
     true},
    {PiiType::phone,
     [](Random& r) { return "0504-" + digits(r, 4) + "-" + digits(r, 4); },
     {"안심번호 @"},
     false},
    {PiiType::account,
     [](Random& r) { return digits(r, 6) + "-" + two(1 + r() % 90) + "-" + digits(r, 6); },
     {"환급 계좌번호: @", "국민은행 @ (예금주 성춘향)"},
     false},
    {PiiType::driver_licence,
     [](Random& r) {
         return two(11 + r() % 18) + "-" + two(r() % 26) + "-" + digits(r, 6) + "-" + digits(r, 2);
     },
     {"운전면허번호 @", "면허번호 : @"},
     false},
};

TEST(PiiGenerated, AlmostNothingStaysReadable)
{
    Random random(20261122);
    constexpr int kDraws = 60;
    for (const Disguise& disguise : kDisguises) {
        int drawn = 0, hidden = 0;
        std::string missed;
        for (const Kind& kind : kKinds) {
            if (disguise.name == "numerals" && !kind.spoken) continue;
            for (const std::string& sentence : kind.sentences)
                for (int i = 0; i < kDraws; ++i) {
                    const std::string shown = disguise.apply(kind.make(random), random);
                    std::string text = sentence;
                    text.replace(text.find('@'), 1, shown);
                    const Masked masked = mask(text);
                    const bool whole =
                        masked.text.find(shown.substr(0, shown.size() / 2)) == std::string::npos &&
                        masked.text.find(shown.substr(shown.size() / 2)) == std::string::npos;
                    ++drawn;
                    hidden += whole ? 1 : 0;
                    if (!whole && missed.size() < 600) missed += "\n  " + text + " -> " + masked.text;
                }
        }
        EXPECT_GE(hidden, drawn * (disguise.name == "clean" ? 995 : 970) / 1000)
            << disguise.name << " " << hidden << "/" << drawn << missed;
    }
}

// In all of these there is no identifier: bar codes, times, document numbers, amounts, dates.
TEST(PiiGenerated, WhatOnlyLooksLikeAnIdentifierStays)
{
    Random random(7);
    const auto ean = [](Random& r) {
        std::string out = "880" + digits(r, 10);
        for (char c = '0'; c <= '9'; ++c) {
            out.back() = c;
            // One in two hundred bar codes also passes the resident's check digit; nothing tells those apart.
            if (ean13_checks(out))
                return rrn_checks(out) || frn_checks(out) ? std::string("8801043015011") : out;
        }
        return out;
    };
    const std::vector<std::function<std::string(Random&)>> makers = {
        [&](Random& r) { return "상품 " + ean(r) + " 재고"; },
        [](Random& r) {
            return "시각 20" + two(11 + r() % 18) + two(1 + r() % 12) + two(1 + r() % 28) + two(r() % 24) +
                   two(r() % 60) + two(r() % 60);
        },
        [](Random& r) {
            return "시각 " + two(11 + r() % 18) + two(1 + r() % 12) + two(1 + r() % 28) + two(r() % 24) +
                   two(r() % 60) + two(r() % 60);
        },
        [](Random& r) { return "제20" + two(r() % 27) + "-" + std::to_string(1 + r() % 9999) + "호에 따라"; },
        [](Random& r) {
            return "총무과-" + std::to_string(1 + r() % 99999) + "(20" + two(r() % 27) + ". " +
                   std::to_string(1 + r() % 12) + ". " + std::to_string(1 + r() % 28) + ".)";
        },
        [](Random& r) {
            return "예산액 " + std::to_string(1 + r() % 999) + "," + digits(r, 3) + "," + digits(r, 3) + "," +
                   digits(r, 3) + "원";
        },
        [](Random& r) {
            return "사업비 " + std::to_string(100000000000LL + static_cast<long long>(r()) * 200) + "원";
        },
        [](Random& r) {
            return "제" + std::to_string(1 + r() % 200) + "조의" + std::to_string(1 + r() % 9) + "제" +
                   std::to_string(1 + r() % 9) + "항";
        },
        [](Random& r) { return "접수번호 2026" + digits(r, 8); },
        [](Random& r) { return "20" + two(r() % 27) + "가단" + std::to_string(1000 + r() % 9000) + " 판결"; },
    };
    for (const auto& make : makers)
        for (int i = 0; i < 500; ++i) {
            const std::string text = make(random);
            ASSERT_EQ(mask(text).text, text);
        }
}

// No nested rescans: every recogniser looks a constant number of characters around a place, so a text twice
// as long has about twice the finds and, whatever stands in it, ends.
TEST(PiiGenerated, LongRunsOfTheSameAreNoTrap)
{
    for (const std::string unit : {"1", "1 ", "1-", "(", "골뱅이", "@", "a.", "공", "010-", "900101-",
                                   "주소: ", "성명 | ", "12가", "O", "\u200B"}) {
        std::string text;
        while (text.size() < 400'000) text += unit;
        const std::string out = mask(text).text;
        EXPECT_LE(out.size(), text.size() * 3) << unit;
    }
}

}  // namespace
}  // namespace jiphyeon
