// A sound file is read back exactly; each way of being unsound ends in the right EngineError, never in a
// crash.
#include "gguf.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "gguf_writer.hpp"
#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {
namespace {

using Kind = EngineError::Kind;

std::span<const std::uint8_t> as_bytes(const std::string& text)
{
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string number(std::uint64_t value, std::size_t bytes)
{
    return std::string(reinterpret_cast<const char*>(&value), bytes);
}

test::GgufWriter sound()
{
    test::GgufWriter writer;
    writer.string("general.architecture", "qwen2");
    writer.integer("qwen2.block_count", 28);
    writer.raw("wide", 10, number(7, 8));
    writer.raw("negative", 5, number(0xffffffffu, 4));
    writer.real("epsilon", 0.5f);
    writer.boolean("flag", true);
    writer.strings("tokens", {"가", "", "나다"});
    writer.reals("scores", {1.5f, -2.0f});
    writer.integers("types", {1, -3});
    writer.tensor("a.weight", {32, 2}, 8, std::string(68, 'a'));
    writer.tensor("b.weight", {3}, 0, std::string(12, 'b'));
    return writer;
}

void expect_refused(const std::string& file, Kind kind, const std::string& why)
{
    // A copy of the exact size on the heap, so that the sanitizer sees a read beyond the end.
    const std::vector<std::uint8_t> bytes(file.begin(), file.end());
    try {
        Gguf::parse(bytes);
        ADD_FAILURE() << "accepted: " << why;
    } catch (const EngineError& error) {
        EXPECT_EQ(error.kind, kind) << why << ": " << error.what();
    }
}

TEST(Gguf, ReadsKeysAndTensorsOfEveryKind)
{
    const std::string file = sound().finish();
    const Gguf gguf = Gguf::parse(as_bytes(file));
    EXPECT_EQ(gguf.string("general.architecture"), "qwen2");
    EXPECT_EQ(gguf.integer("qwen2.block_count"), 28u);
    EXPECT_EQ(gguf.integer("wide"), 7u);
    EXPECT_EQ(gguf.find_number("epsilon"), 0.5);
    EXPECT_EQ(gguf.find_number("wide"), 7.0);
    EXPECT_EQ(gguf.find_bool("flag"), true);
    EXPECT_EQ(gguf.strings("tokens"), (std::vector<std::string_view>{"가", "", "나다"}));
    EXPECT_EQ(gguf.floats("scores"), (std::vector<float>{1.5f, -2.0f}));
    EXPECT_EQ(gguf.integers("types"), (std::vector<std::int64_t>{1, -3}));
    EXPECT_FALSE(gguf.find_string("absent"));
    EXPECT_TRUE(gguf.strings("absent").empty());

    ASSERT_EQ(gguf.tensors().size(), 2u);
    const GgufTensor& a = gguf.tensor("a.weight");
    EXPECT_EQ(a.type(), TensorType::q8_0);
    EXPECT_EQ(a.columns(), 32u);
    EXPECT_EQ(a.rows(), 2u);
    EXPECT_EQ(a.data.size(), 68u);
    EXPECT_EQ(a.data[67], 'a');
    EXPECT_EQ(gguf.tensor("b.weight").data[0], 'b');
    EXPECT_EQ(gguf.find_tensor("c.weight"), nullptr);
}

TEST(Gguf, AKeyOfAnotherKindIsAnErrorAndNotAValue)
{
    const std::string file = sound().finish();
    const Gguf gguf = Gguf::parse(as_bytes(file));
    EXPECT_THROW(gguf.find_string("qwen2.block_count"), EngineError);
    EXPECT_THROW(gguf.find_integer("epsilon"), EngineError);
    EXPECT_THROW(gguf.find_integer("negative"), EngineError);
    EXPECT_THROW(gguf.find_integer("flag"), EngineError);
    EXPECT_THROW(gguf.find_bool("wide"), EngineError);
    EXPECT_THROW(gguf.integers("tokens"), EngineError);
    EXPECT_THROW(gguf.strings("scores"), EngineError);
    EXPECT_THROW(gguf.bytes("types"), EngineError);
    EXPECT_THROW(gguf.integer("absent"), EngineError);
    EXPECT_THROW(gguf.tensor("absent"), EngineError);
}

TEST(Gguf, EveryTruncationIsRefused)
{
    const std::string file = sound().finish();
    const std::size_t needed = file.size() - 20;  // padding after the last tensor may be missing
    for (std::size_t size = 0; size < needed; ++size)
        expect_refused(file.substr(0, size), Kind::malformed, "cut");
}

TEST(Gguf, RefusesTheCatalogueOfMalformedFiles)
{
    const std::string file = sound().finish();
    const auto changed = [&](std::size_t at, const std::string& bytes) {
        std::string copy = file;
        return copy.replace(at, bytes.size(), bytes);
    };
    const std::size_t first_tensor = file.find("a.weight");
    const std::size_t dimensions = first_tensor + 8;
    const std::size_t second_tensor = file.find("b.weight");
    expect_refused(changed(0, "GGML"), Kind::malformed, "magic");
    expect_refused(changed(4, number(1, 4)), Kind::unsupported, "version 1");
    expect_refused(changed(4, number(4, 4)), Kind::unsupported, "version 4");
    expect_refused(changed(4, number(0x03000000, 4)), Kind::unsupported, "big-endian");
    expect_refused(changed(8, number(~0ull, 8)), Kind::malformed, "tensor count -1");
    expect_refused(changed(8, number(3, 8)), Kind::malformed, "one tensor too many");
    expect_refused(changed(16, number(~0ull, 8)), Kind::malformed, "key count -1");
    expect_refused(changed(16, number(10, 8)), Kind::malformed, "one key too many");
    expect_refused(changed(24, number(~0ull, 8)), Kind::malformed, "key length");
    expect_refused(changed(24, number(0, 8)), Kind::malformed, "empty key");
    expect_refused(changed(dimensions, number(0, 4)), Kind::malformed, "no dimensions");
    expect_refused(changed(dimensions, number(5, 4)), Kind::malformed, "five dimensions");
    expect_refused(changed(dimensions + 4, number(33, 8)), Kind::malformed, "row not of whole blocks");
    expect_refused(changed(dimensions + 4, number(0, 8)), Kind::malformed, "empty row");
    expect_refused(changed(dimensions + 4, number(1ull << 63, 8)), Kind::malformed, "huge row");
    expect_refused(changed(dimensions + 12, number(1ull << 60, 8)), Kind::malformed, "product overflows");
    expect_refused(changed(dimensions + 12, number(3, 8)), Kind::malformed, "overlaps the next tensor");
    expect_refused(changed(dimensions + 20, number(4, 4)), Kind::unsupported, "withdrawn type");
    expect_refused(changed(dimensions + 20, number(9999, 4)), Kind::unsupported, "unknown type");
    expect_refused(changed(dimensions + 24, number(32, 8)), Kind::malformed, "first offset not 0");
    expect_refused(changed(second_tensor, "a"), Kind::malformed, "tensor twice");
    expect_refused(changed(second_tensor + 12, number(1u << 30, 8)), Kind::malformed, "beyond the end");
}

TEST(Gguf, RefusesUnsoundValues)
{
    const auto with = [](const std::function<void(test::GgufWriter&)>& add) {
        test::GgufWriter writer;
        add(writer);
        return writer.finish();
    };
    expect_refused(with([](auto& w) { w.integer("k", 1), w.integer("k", 2); }), Kind::malformed, "key twice");
    expect_refused(with([](auto& w) { w.raw("k", 13, number(0, 8)); }), Kind::malformed, "value type");
    expect_refused(with([](auto& w) { w.raw("k", 9, number(9, 4) + number(1, 8)); }), Kind::malformed,
                   "nested");
    expect_refused(with([](auto& w) { w.raw("k", 9, number(10, 4) + number(1ull << 61, 8)); }),
                   Kind::malformed, "array whose bytes overflow");
    expect_refused(with([](auto& w) { w.raw("k", 8, number(1ull << 40, 8)); }), Kind::malformed,
                   "long string");
    expect_refused(with([](auto& w) {
                       w.integer("general.alignment", 24);
                       w.tensor("t", {1}, 0, "1234");
                   }),
                   Kind::malformed, "alignment not a power of two");
    expect_refused(with([](auto& w) { w.integer("split.count", 2); }), Kind::unsupported, "split file");
}

TEST(Gguf, SurvivesRandomDamage)
{
    const std::string file = sound().finish();
    std::mt19937 random(7);
    int refused = 0;
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::uint8_t> bytes(file.begin(), file.end());
        for (std::uint32_t k = 0; k <= random() % 3; ++k)
            bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
        try {
            const Gguf gguf = Gguf::parse(bytes);
            for (const GgufTensor& tensor : gguf.tensors()) {
                ASSERT_LE(tensor.data.data() + tensor.data.size(), bytes.data() + bytes.size());
            }
        } catch (const EngineError&) {
            ++refused;
        }
    }
    EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace jiphyeon
