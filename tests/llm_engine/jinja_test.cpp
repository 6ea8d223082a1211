// The language against what jinja2 made of the same templates (data/jinja.json, by data/jinja_outputs.py),
// where texts come from, and the bounds on foreign programs.
#include "jinja.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::jinja {
namespace {

using Json = nlohmann::ordered_json;

Value value_of(const Json& json)
{
    if (json.is_boolean()) return {json.get<bool>()};
    if (json.is_number_integer()) return {json.get<std::int64_t>()};
    if (json.is_string()) return text_of(Text::of_turn(json.get<std::string>()));
    if (json.is_array()) {
        List items;
        for (const Json& item : json) items.push_back(value_of(item));
        return list_of(std::move(items));
    }
    if (json.is_object()) {
        Mapping entries;
        for (const auto& [key, item] : json.items()) entries.emplace_back(key, value_of(item));
        return mapping_of(std::move(entries));
    }
    return {None{}};
}

std::string rendered(const std::string& source, const Mapping& variables = {})
{
    return Template(source).render(variables).bytes();
}

std::optional<EngineError::Kind> error_of(const std::string& source, const Mapping& variables = {})
{
    try {
        rendered(source, variables);
    } catch (const EngineError& error) {
        return error.kind;
    }
    return std::nullopt;
}

TEST(Jinja, WritesWhatJinja2Writes)
{
    std::ifstream data(std::filesystem::path(JIPHYEON_TEST_DATA) / "jinja.json");
    const Json frozen = Json::parse(data);
    Mapping variables;
    for (const auto& [name, value] : frozen["variables"].items())
        variables.emplace_back(name, value_of(value));
    for (const Json& each : frozen["cases"]) {
        const auto source = each["template"].get<std::string>();
        if (each.contains("error")) {
            EXPECT_TRUE(error_of(source, variables)) << source;
        } else {
            EXPECT_EQ(rendered(source, variables), each["output"].get<std::string>()) << source;
        }
    }
    EXPECT_GE(frozen["cases"].size(), 60u);
}

// Shown as "t" for a byte of the template and "." for one of a turn.
TEST(Jinja, EveryByteKnowsWhetherItComesFromATurn)
{
    const Mapping variables = {{"x", text_of(Text::of_turn(" ab,cd "))}};
    const auto origins = [&](const std::string& source) {
        const Text text = Template(source).render(variables);
        std::string out;
        for (std::size_t i = 0; i < text.size(); ++i) out += text.is_of_template(i) ? 't' : '.';
        return text.bytes() + "|" + out;
    };
    EXPECT_EQ(origins("<{{ x | trim }}>"), "<ab,cd>|t.....t");
    EXPECT_EQ(origins("{{ ('<' + x)[:3] ~ '>' }}"), "< a>|t..t");
    EXPECT_EQ(origins("{{ x.split(',') | join(';') }}"), " ab;cd |...t...");
    EXPECT_EQ(origins("{{ x.replace('ab', '<>') }}"), " <>,cd |.tt....");
    EXPECT_EQ(origins("{{ x | upper }}{{ x[1] }}{{ x[::-1] }}"), " AB,CD a dc,ba |...............");
    EXPECT_EQ(origins("{% for c in x.strip() %}{{ c }}-{% endfor %}"), "a-b-,-c-d-|.t.t.t.t.t");
    EXPECT_EQ(origins("{% macro m(y) %}<{{ y }}>{% endmacro %}{{ m(x) }}"), "< ab,cd >|t.......t");
    EXPECT_EQ(origins("{% set y %}<{{ x }}{% endset %}{{ y }}"), "< ab,cd |t.......");
    EXPECT_EQ(origins("{{ [x, 'z'] | join(x) }}"), " ab,cd  ab,cd z|..............t");
}

// Keys do not know where they come from.
TEST(Jinja, ATextOfATurnIsNoKey)
{
    const Mapping variables = {{"x", text_of(Text::of_turn("<|끝|>"))}};
    for (const std::string key : {"x", "'a' ~ x", "x ~ 'a'", "x[0]"})
        EXPECT_EQ(error_of("{{ {" + key + ": 1} | list | first }}", variables),
                  EngineError::Kind::unsupported)
            << key;
    EXPECT_EQ(rendered("{{ {'a' ~ 'b': x}['ab'] }}", variables), "<|끝|>");
}

TEST(Jinja, AnElseOfALoopBreaksOffTheLoopAround)
{
    EXPECT_EQ(rendered("{% for i in [1, 2] %}{{ i }}{% for j in [] %}{% else %}{% break %}{% endfor %}-"
                       "{% endfor %}"),
              "1");
    EXPECT_EQ(rendered("{% for i in [1, 2] %}{{ i }}{% for j in [] %}{% else %}{% continue %}{% endfor %}-"
                       "{% endfor %}"),
              "12");
}

TEST(Jinja, NoLoopIsLeftInsideASetBlock)
{
    EXPECT_EQ(error_of("{% for i in [1] %}{% set x %}{% break %}{% endset %}{% endfor %}"),
              EngineError::Kind::unsupported);
    EXPECT_EQ(rendered("{% set x %}{% for i in [1, 2] %}{{ i }}{% break %}{% endfor %}{% endset %}{{ x }}"),
              "1");
}

TEST(Jinja, MacrosTakeEachOfTheirArgumentsOnce)
{
    const std::string macro = "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}";
    EXPECT_EQ(rendered(macro + "{{ m(1, b=3) }}{{ m(b=4, a=5) }}{{ m(6) }}"), "135462");
    for (const std::string call : {"m(1, c=3)", "m(1, a=3)", "m(a=1, a=3)"})
        EXPECT_EQ(error_of(macro + "{{ " + call + " }}"), EngineError::Kind::unsupported) << call;
}

TEST(Jinja, RangesReachNotTooFar)
{
    const std::string least = "{% set n = -9223372036854775807 - 1 %}";
    for (const std::string source : {"range(n)", "range(0, n, -1)", "range(n, 0)", "range(0, -5, n)"})
        EXPECT_EQ(error_of(least + "{{ " + source + " | length }}"), EngineError::Kind::unsupported)
            << source;
    EXPECT_EQ(rendered("{{ range(4294967296, 4294967290, -4) | join(' ') }}"), "4294967296 4294967292");
}

TEST(Jinja, WhatIsNotHereIsRefusedWhenItIsReached)
{
    for (const std::string source : {"{{ 1 | tojson }}", "{{ now() }}", "{{ 'a'.title() }}", "{{ [1] }}",
                                     "{{ 'ä' | upper }}", "{{ 1 is odd_one }}", "{{ '%s' % 1 }}",
                                     "{{ 2 ** 3 }}", "{{ 9223372036854775807 + 1 }}", "{{ 1 // 0 }}"}) {
        EXPECT_EQ(error_of(source), EngineError::Kind::unsupported) << source;
        EXPECT_EQ(rendered("{% if false %}" + source + "{% endif %}"), "") << source;
    }
    EXPECT_EQ(error_of("{{ raise_exception('x') }}"), EngineError::Kind::bad_request);
}

TEST(Jinja, WhatIsNoTemplateIsRefused)
{
    for (const std::string source :
         {"{{", "{% if x", "{# x", "{{ 'a }}", "{% if x %}", "{% endif %}", "{% for x %}{% endfor %}",
          "{{ 1 + }}", "{{ a b }}", "{% include 'x' %}", "{{ x | }}", "{{ [1 }}", "{% set %}",
          "{{ '\\u12' }}", "{{ ! }}", "{% break %}", "{% else %}",
          "{% if x %}{% else %}{% else %}{% endif %}", "{{ 99999999999999999999 }}"}) {
        EXPECT_EQ(error_of(source), EngineError::Kind::unsupported) << source;
    }
    EXPECT_EQ(error_of("{{ " + std::string(257, 'a') + " }}"), EngineError::Kind::unsupported);
}

// In what each does a hundred times, nothing or next to nothing is made.
TEST(Jinja, ReadingCountsAsSteps)
{
    const std::string spaces(1u << 20, ' ');
    Mapping large;
    for (int i = 0; i < 20'000; ++i) large.emplace_back(std::to_string(i), Value{});
    const Mapping variables = {{"x", text_of(Text::of_turn(spaces))},
                               {"y", text_of(Text::of_turn(spaces))},
                               {"m", mapping_of(std::move(large))}};
    for (const std::string source :
         {"x | length", "x[0]", "x[:1]", "x.strip()", "x | trim", "x == y", "x < y", "'a' in x",
          "x.startswith(y)", "x.endswith(y)", "m.a", "m['a']", "m.get('a')", "'a' in m", "{'a': 1}.get(x)",
          "m.values()", "m.keys() | first"}) {
        EXPECT_EQ(error_of("{% for i in range(100) %}{% do " + source + " %}{% endfor %}", variables),
                  EngineError::Kind::too_large)
            << source;
        EXPECT_EQ(error_of("{% do " + source + " %}", variables), std::nullopt) << source;
    }
    EXPECT_EQ(error_of("{% do ' '.strip(x) %}", variables), EngineError::Kind::too_large);
}

TEST(Jinja, TheCharactersOfVeryLongTextsAreNotLookedFor)
{
    const Mapping variables = {{"x", text_of(Text::of_turn(std::string((16u << 20) + 1, ' ')))}};
    EXPECT_EQ(error_of("{{ x[0] }}", variables), EngineError::Kind::too_large);
    EXPECT_EQ(error_of("{{ 'a' in x }}", variables), std::nullopt);
}

TEST(Jinja, HostileTemplatesEnd)
{
    const auto too_large = EngineError::Kind::too_large;
    EXPECT_EQ(error_of("{% for i in range(2000000) %}{% endfor %}"), too_large);
    EXPECT_EQ(error_of("{% for i in range(2000) %}{% for j in range(2000) %}{% endfor %}{% endfor %}"),
              too_large);
    EXPECT_EQ(
        error_of("{% set ns = namespace(t='abcdefgh') %}{% for i in range(60) %}{% set ns.t = ns.t + ns.t %}"
                 "{% endfor %}"),
        too_large);
    EXPECT_EQ(error_of("{{ 'abcdefgh' * 900000000 }}"), too_large);
    EXPECT_EQ(error_of("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), too_large);
    EXPECT_EQ(
        error_of(
            "{% set ns = namespace(x=1) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}"),
        too_large);
    // Lists that share their parts: small to hold, endless to walk.
    std::string doubling = "{% set x = [1] %}";
    for (int i = 0; i < 64; ++i) doubling += "{% set x = [x, x] %}";
    EXPECT_EQ(error_of(doubling + "{{ x == x }}"), too_large);
    EXPECT_EQ(error_of("{{ " + std::string(100'000, '(') + "1" + std::string(100'000, ')') + " }}"),
              too_large);
    EXPECT_EQ(error_of("{{ " + std::string(100'000, '-') + "1 }}"), too_large);
    std::string row = "{{ 1";
    for (int i = 0; i < 100'000; ++i) row += " + 1";
    EXPECT_EQ(error_of(row + " }}"), too_large);
    std::string blocks;
    for (int i = 0; i < 10'000; ++i) blocks += "{% if x %}";
    EXPECT_EQ(error_of(blocks), too_large);
    EXPECT_EQ(error_of("{% set ns = namespace() %}{% set ns.me = ns %}"), EngineError::Kind::unsupported);
}

}  // namespace
}  // namespace jiphyeon::jinja
