#include "words.hpp"

#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <unordered_set>

#include "jiphyeon/index.hpp"

namespace jiphyeon {

std::u32string to_code_points(std::string_view utf8)
{
    std::u32string out;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(utf8.data());
    const auto size = static_cast<std::int64_t>(utf8.size());
    for (std::int64_t i = 0; i < size;) {
        UChar32 c = 0;
        U8_NEXT(bytes, i, size, c);
        out += c < 0 ? char32_t{0xFFFD} : static_cast<char32_t>(c);
    }
    return out;
}

std::string to_utf8(std::u32string_view text)
{
    std::string out;
    for (const char32_t c : text) icu::UnicodeString(static_cast<UChar32>(c)).toUTF8String(out);
    return out;
}

std::string squeeze(std::string_view text)
{
    std::u32string kept;
    for (const char32_t c : to_code_points(normalize(text))) {
        constexpr std::u32string_view quotes = U"\"'‘’“”「」『』《》〈〉";
        if (u_isUWhiteSpace(static_cast<UChar32>(c)) || quotes.find(c) != std::u32string_view::npos) continue;
        kept += c;
    }
    return to_utf8(kept);
}

bool is_function_word(std::string_view stem)
{
    static const std::unordered_set<std::string_view> words = {
        "무엇",       "뭐",         "무슨",       "어떤",       "어느",       "어떻게",     "얼마",
        "얼마나",     "언제",       "누구",       "누가",       "어디",       "왜",         "몇",
        "며칠",       "어떠한",     "알려",       "알려주",     "알려줘",     "알려주세요", "주세요",
        "궁금",       "있나요",     "있습니까",   "있는지",     "인가요",     "입니까",     "되나요",
        "됩니까",     "하나요",     "합니까",     "인지",       "되는지",     "하는지",     "있습니다",
        "있다",       "입니다",     "합니다",     "됩니다",     "한다",       "된다",       "것",
        "수",         "등",         "및",         "또는",       "그리고",     "대해",       "대하여",
        "대한",       "관련",       "관하여",     "관한",       "따라",       "따른",       "따르면",
        "의하면",     "경우",       "때",         "위해",       "위하여",     "통해",       "있는",
        "하는",       "되는",       "위한",       "이",         "그",         "저",         "해당",
        "각",         "설명",       "설명해",     "좀",         "무엇인가요", "무엇입니까", "얼마입니까",
        "얼마인가요", "언제입니까", "언제인가요", "누구입니까", "누구인가요", "어디입니까", "어디인가요",
        "가능한가요", "가능합니까", "해야",       "하면",       "되면",       "있으면",     "있을",
        "없는",       "문서",       "질문",       "답",         "말해",       "주십시오",   "바랍니다",
        "합니",       "안",         "내",         "중",         "후",         "전",         "입니"};
    return words.contains(stem);
}

std::vector<Segment> split_sentences(std::string_view text)
{
    std::vector<Segment> out;
    const auto add = [&](std::size_t start, std::size_t end) {
        while (start < end && (text[start] == ' ' || text[start] == '\t' || text[start] == '\r')) ++start;
        while (end > start && (text[end - 1] == ' ' || text[end - 1] == '\t' || text[end - 1] == '\r')) --end;
        if (end > start) out.push_back({start, end});
    };
    constexpr std::string_view endings[] = {"다", "요", "까", "음", "함", "임", "됨", "것"};
    std::size_t start = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\n') {
            add(start, i);
            start = i + 1;
        } else if ((text[i] == '.' || text[i] == '?') && i >= 3) {
            const std::string_view last = text.substr(i - 3, 3);
            if (std::find(std::begin(endings), std::end(endings), last) == std::end(endings)) continue;
            add(start, i + 1);
            start = i + 1;
        }
    }
    add(start, text.size());
    return out;
}

}  // namespace jiphyeon
