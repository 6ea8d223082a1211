// One pass, longest match, with the sound that must come before: 은, 을, 과 follow a consonant, 는, 를, 와 a
// vowel. That alone keeps 국가 and 평가 whole. A short list of common words that end in a syllable that is
// also a particle (휴가, 제도, 결과) keeps compounds such as 출산휴가 whole, so that "출산휴가" and
// "출산휴가를" agree. Written from the grammar, not from any collection.

#include "particles.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

namespace jiphyeon {
namespace {

enum class After : std::uint8_t { any, consonant, vowel, vowel_or_rieul };

struct Group {
    After after;
    std::size_t stem_min;       // syllables that must remain
    std::u32string_view words;  // separated by spaces
};

constexpr std::array kGroups = {
    // Particles of one syllable.
    Group{After::consonant, 2, U"은 이 을 과"},
    Group{After::vowel, 2, U"는 가 를 와"},
    Group{After::vowel_or_rieul, 2, U"로"},
    Group{After::any, 2, U"의 에 도 만 들"},
    // Longer particles.
    Group{After::consonant, 1,
          U"으로 으로는 으로도 으로의 으로서 으로써 으로만 으로부터 이나 이란 이라 이라는 이라고 이라도 "
          U"이라면 이랑 이든 "
          U"이든지 이며 이고 이면 이므로 이지만 이었다 이었던 이었나요 이었습니다 이었습니까 이에요 이야 "
          U"이자 이거나 과의 "
          U"과는 과도 과만"},
    Group{After::vowel, 1,
          U"와의 와는 와도 와만 라는 라고 라도 라면 란 랑 든지 였다 였던 였나요 였습니다 였습니까 예요"},
    Group{After::vowel_or_rieul, 1, U"로는 로도 로의 로서 로써 로만 로부터"},
    Group{After::any, 1,
          U"에는 에도 에만 에의 에서 에서는 에서도 에서의 에서만 에서부터 에게 에게는 에게도 에게서 에게만 "
          U"에게로 께서 "
          U"께서는 께 한테 한테서 까지 까지는 까지도 까지의 까지만 부터 부터는 부터의 부터도 마다 마다의 "
          U"조차 마저 처럼 "
          U"보다 보다는 보다도 밖에 뿐만 뿐이 대로 만큼 만의 만을 만이 만은 만으로 만으로도 들은 들이 들을 "
          U"들의 들에 들도 "
          U"들과 들로 들에게 들에게는 들에서 들까지 들부터 들이나 하고 이다 이며 입니다 입니까 인가요 인가 "
          U"인지 인지요 인데 "
          U"일까요 일까 일지 인지를 인지는 이신 이세요"},
    // 하다.
    Group{After::any, 2,
          U"한 할 함 하다 하는 하고 하며 하여 하여야 하여도 하여서 하여서는 해 해서 해서는 해야 해야만 해도 "
          U"해요 했다 "
          U"했던 했는지 했나요 했습니다 했습니까 했을 했으며 했으나 했고 하지 하지는 하지도 하지만 하면 "
          U"하면서 하기 하기로 "
          U"하기를 하기에 하기는 하기가 하기도 하기만 하기까지 하려 하려고 하려면 하려는 하도록 하거나 "
          U"하거나는 하였다 하였던 "
          U"하였으며 하였으나 하였고 하였을 하였습니다 하였는지 한다 한다는 한다고 한다면 합니다 합니까 "
          U"하십시오 하세요 하시오 "
          U"하시는 하시면 하신 하실 하나요 하는데 하는지 하는지를 하는지는 하는가 하는가요 한지 한가요 한데 "
          U"할지 할까요 할까 "
          U"할지를 할때 할수 함을 함은 함이 함에 함으로써 함으로 함께 하자 하던 하되 하느라 하므로 하니 해주 "
          U"해주는 해주세요 "
          U"해주나요 해줄 해준 하게 하고자 하고는 하고도 하는것 하는데에 했더니 했는데 하라 하라는 하라고 "
          U"토록"},
    // 되다, 시키다, 받다.
    Group{After::any, 2,
          U"된 될 됨 되다 되는 되고 되며 되어 되어야 되어도 되어서 돼 돼야 돼서 됐다 됐던 됐는지 됐나요 "
          U"됐습니다 되었다 "
          U"되었던 되었으며 되었으나 되었고 되었을 되었나요 되었는지 되었습니다 되지 되지는 되지만 되면 "
          U"되면서 되기 되기로 "
          U"되기를 되기에 되기는 되도록 되거나 된다 된다는 된다고 된다면 됩니다 됩니까 되나요 되는데 되는지 "
          U"되는지를 되는지는 "
          U"되는가 될지 될까요 될까 됨을 됨은 됨이 됨에 됨으로 되던 되므로 되니 되게 시키는 시킨 시킬 시켜 "
          U"시켜야 시키고 "
          U"시키며 시키기 시키지 시키면 시킨다 시킵니다 시켰다 시키도록 시키려는 시키거나 받는 받은 받을 "
          U"받고 받으며 받아 "
          U"받아야 받지 받으면 받기 받습니다 받나요"},
    // Endings of other verbs, and of 있다 and 없다 written together with their noun.
    Group{After::any, 1,
          U"습니다 습니까 었습니다 았습니다 겠습니다 었습니까 았습니까 겠습니까 나요 까요 는지요 는지 은지 "
          U"는가 은가 는데 "
          U"은데 으며 으면 으므로 으려면 으려고 어서 아서 어야 아야 지만 거나 도록 려면 려고 네요 세요 "
          U"으세요 십시오 "
          U"으십시오 었다 았다 었던 았던 겠다 면서 으면서"},
};

// Tails that are words of their own, though they end in one of the syllables above, and that seldom come
// about by a particle (시한 is not here: 실시한; nor 정의: 규정의).
constexpr std::u32string_view kWhole =
    U"제도 정도 속도 온도 습도 강도 농도 각도 밀도 빈도 년도 연도 철도 한도 척도 난이도 만족도 중요도 신뢰도 "
    U"기여도 상수도 하수도 "
    U"협의 논의 무회의 부회의 장회의 례회의 책회의 정회의 체회의 "
    U"휴가 허가 추가 속도로 "
    U"어린이 높이 길이 넓이 깊이 많이 없이 같이 특이 변이 놀이 풀이 먹이 "
    U"결과 미만 불만 태만 권한 제한 기한 북한 남한 역할 포함 투표함 사물함 우편함 아들 "
    U"피해 손해 저해 재해 올해 견해 장해 침해 방해 공해 서해 동해 남해";

// Nouns of one syllable, most of them bound: the only ones from which a particle of one syllable is taken.
constexpr std::u32string_view kShortNouns =
    U"등 것 때 년 월 일 조 항 호 목 법 령 곳 중 후 전 내 외 간 원 개 급 집 돈 땅 값 끝 앞 뒤 옆 안 밖 속 책 "
    U"글 말 달";

// As they are after stem_length.
constexpr std::u32string_view kFunctionWords =
    U"관하여 관한 관해 관해서 대하여 대한 대해 대해서 위하여 위한 위해 위해서 의하여 의한 의해 통하여 통한 "
    U"통해 통해서 "
    U"따라 따른 따르 인하여 인한 있 있는 있다 없 없는 없다 하는 하나요 할 해야 합니다 되는 되나요 "
    U"및 또는 그리고 그러나 다만 등 수 것 때 경우 그 이 저 "
    U"무엇 무슨 어떤 어떻게 어디 언제 누구 누가 왜 얼마 얼마나 어느 몇 "
    U"인가요 알려 알려주세요 알려줘 주세요 싶 싶어요 싶습니다 알고 궁금 궁금해요 궁금합니다 말해 설명";

struct Rule {
    After after;
    std::size_t stem_min;
};

struct Tables {
    std::unordered_map<std::u32string_view, Rule> endings;
    std::unordered_set<std::u32string_view> whole, short_nouns, function_words;
    std::size_t longest = 0;
};

template <typename Visit>
void each_word(std::u32string_view words, Visit visit)
{
    while (!words.empty()) {
        const std::size_t end = std::min(words.find(U' '), words.size());
        if (end > 0) visit(words.substr(0, end));
        words.remove_prefix(std::min(end + 1, words.size()));
    }
}

const Tables& tables()
{
    static const Tables built = [] {
        Tables t;
        for (const Group& group : kGroups) {
            each_word(group.words, [&](std::u32string_view word) {
                t.endings.emplace(word, Rule{group.after, group.stem_min});
                t.longest = std::max(t.longest, word.size());
            });
        }
        each_word(kWhole, [&](std::u32string_view word) { t.whole.insert(word); });
        each_word(kShortNouns, [&](std::u32string_view word) { t.short_nouns.insert(word); });
        each_word(kFunctionWords, [&](std::u32string_view word) { t.function_words.insert(word); });
        return t;
    }();
    return built;
}

bool sound_fits(char32_t before, After after)
{
    if (before < 0xAC00 || before > 0xD7A3) return true;
    const unsigned final_consonant = (before - 0xAC00) % 28;
    switch (after) {
        case After::any:
            return true;
        case After::consonant:
            return final_consonant != 0;
        case After::vowel:
            return final_consonant == 0;
        case After::vowel_or_rieul:
            return final_consonant == 0 || final_consonant == 8;
    }
    return true;
}

}  // namespace

std::size_t stem_length(std::u32string_view word, bool attached)
{
    const Tables& t = tables();
    for (std::size_t n = std::min(t.longest, word.size()); n > 0; --n) {
        const std::size_t stem = word.size() - n;
        if (stem == 0 && !attached) continue;
        const auto found = t.endings.find(word.substr(stem));
        if (found == t.endings.end()) continue;
        if (stem == 0) return 0;  // "AI를": what it belongs to is no Hangul, whose sound we do not know
        const bool short_noun = stem == 1 && n == 1 && t.short_nouns.contains(word.substr(0, 1));
        if (!attached && !short_noun && stem < found->second.stem_min) continue;
        if (!sound_fits(word[stem - 1], found->second.after)) continue;
        if (n == 1) {
            if (t.whole.contains(word.substr(word.size() - 2))) return word.size();
            if (word.size() >= 3 && t.whole.contains(word.substr(word.size() - 3))) return word.size();
        }
        return stem;
    }
    return word.size();
}

bool is_function_word(std::u32string_view stem)
{
    return tables().function_words.contains(stem);
}

}  // namespace jiphyeon
