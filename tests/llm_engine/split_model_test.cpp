// A model in several files is the model: its logits, its tokens, what quantising makes of it. A file that is
// missing or is another one's is named.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "gguf.hpp"
#include "jiphyeon/crypto.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "support/temp_dir.hpp"
#include "tiny_model.hpp"

namespace jiphyeon {
namespace {

using Kind = EngineError::Kind;
namespace fs = std::filesystem;

// As llama.cpp's gguf-split writes them: all metadata in the first, u16 and i32 for the numbers.
std::vector<std::string> split(const std::string& model, std::size_t parts)
{
    const Gguf file = Gguf::parse({reinterpret_cast<const std::uint8_t*>(model.data()), model.size()});
    const auto number = [](std::size_t value, std::size_t bytes) {
        return std::string(reinterpret_cast<const char*>(&value), bytes);
    };
    std::vector<std::string> out;
    for (std::size_t part = 0; part < parts; ++part) {
        test::GgufWriter w;
        if (part == 0) {
            for (const GgufEntry& entry : file.entries())
                w.entry({reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()});
        }
        w.raw("split.no", 2, number(part, 2));
        w.raw("split.count", 2, number(parts, 2));
        w.raw("split.tensors.count", 5, number(file.tensors().size(), 4));
        const std::size_t count = file.tensors().size();
        for (std::size_t i = part * count / parts; i < (part + 1) * count / parts; ++i) {
            const GgufTensor& tensor = file.tensors()[i];
            w.tensor(tensor.name, {tensor.shape.begin(), tensor.shape.begin() + tensor.dimensions},
                     tensor.type_id, {reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size()});
        }
        out.push_back(w.finish());
    }
    return out;
}

class SplitModel : public testing::Test {
protected:
    SplitModel()
    {
        test::TinyOptions options;
        options.matrices = TensorType::q8_0;
        whole_ = test::tiny_model(options);
        parts_ = split(whole_, 3);
        write(folder_.path() / "whole.gguf", whole_);
        for (std::size_t i = 0; i < 3; ++i) write(part(i), parts_[i]);
    }
    static void write(const fs::path& path, const std::string& bytes)
    {
        std::ofstream(path, std::ios::binary) << bytes;
    }
    fs::path whole() const { return folder_.path() / "whole.gguf"; }
    fs::path part(std::size_t i) const
    {
        return folder_.path() / ("모델-0000" + std::to_string(i + 1) + "-of-00003.gguf");
    }
    static void expect_refused(const fs::path& path, Kind kind, const std::string& named)
    {
        try {
            open_engine(path, {});
            ADD_FAILURE() << "accepted";
        } catch (const EngineError& error) {
            EXPECT_EQ(error.kind, kind) << error.what();
            EXPECT_NE(std::string(error.what()).find(named), std::string::npos) << error.what();
        }
    }

    test::TempDir folder_;
    std::string whole_;
    std::vector<std::string> parts_;
};

TEST_F(SplitModel, ComputesWhatTheWholeDoes)
{
    const auto one = open_engine(whole(), {});
    const auto three = open_engine(part(0), {});
    const std::vector<TokenId> prompt = one->tokenizer().encode("제3조(연차휴가)");
    EXPECT_EQ(three->tokenizer().encode("제3조(연차휴가)"), prompt);
    EXPECT_EQ(three->next_logits(prompt, ""), one->next_logits(prompt, ""));
    EXPECT_EQ(three->info().quantization, one->info().quantization);
    EXPECT_EQ(three->info().memory.total(), one->info().memory.total());
    EXPECT_EQ(three->info().file_bytes, parts_[0].size() + parts_[1].size() + parts_[2].size());
    EXPECT_EQ(open_tokenizer(part(0))->encode("연가"), one->tokenizer().encode("연가"));
}

TEST_F(SplitModel, IsPinnedByTheHashOfAllItsFilesInOrder)
{
    const std::array<std::uint8_t, 32> hash = crypto::sha256(parts_[0] + parts_[1] + parts_[2]);
    EXPECT_EQ(hash_model(part(0)), hash);
    EXPECT_EQ(inspect_model(part(0), {.sha256 = hash}).sha256, hash);
    parts_[2].back() = static_cast<char>(parts_[2].back() ^ 1);
    write(part(2), parts_[2]);
    EXPECT_THROW(
        {
            try {
                open_engine(part(0), {.sha256 = hash});
            } catch (const EngineError& error) {
                EXPECT_EQ(error.kind, Kind::hash_mismatch);
                throw;
            }
        },
        EngineError);
}

TEST_F(SplitModel, QuantisesToWhatTheWholeBecomes)
{
    const fs::path out = folder_.path() / "out.gguf";
    quantize_model(whole(), folder_.path() / "expected.gguf", {.type = "Q4_0", .on_progress = {}});
    quantize_model(part(0), out, {.type = "Q4_0", .on_progress = {}});
    EXPECT_EQ(hash_model(out), hash_model(folder_.path() / "expected.gguf"));
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_THROW(quantize_model(part(0), part(i), {.type = "Q4_0", .replace = true, .on_progress = {}}),
                     EngineError);
    }
}

TEST_F(SplitModel, FilesThatAreMissingOrAnothersAreNamed)
{
    expect_refused(part(1), Kind::unsupported, part(0).filename().string());
    fs::rename(part(1), folder_.path() / "aside");
    expect_refused(part(0), Kind::io, part(1).filename().string());
    fs::copy_file(part(2), part(1));
    expect_refused(part(0), Kind::malformed, part(1).filename().string());
    // Of another model in as many files: a tensor that is there already, or too few of them.
    write(part(1), split(whole_, 4)[1]);
    expect_refused(part(0), Kind::malformed, part(1).filename().string());
    test::GgufWriter w;
    w.integer("split.no", 1);
    w.integer("split.count", 3);
    w.tensor("extra.weight", {32}, 0, std::string(128, '\0'));
    write(part(1), w.finish());
    expect_refused(part(0), Kind::malformed, "tensors of");
    test::GgufWriter twice;
    twice.integer("split.no", 1);
    twice.integer("split.count", 3);
    twice.tensor("token_embd.weight", {32}, 0, std::string(128, '\0'));
    write(part(1), twice.finish());
    expect_refused(part(0), Kind::malformed, "token_embd.weight");
}

TEST_F(SplitModel, NamesThatDoNotSayWhatTheFilesAreAreRefused)
{
    const fs::path renamed = folder_.path() / "model.gguf";
    fs::copy_file(part(0), renamed);
    expect_refused(renamed, Kind::unsupported, "1 of 3");
    const fs::path two = folder_.path() / "two-00001-of-00002.gguf";
    fs::copy_file(part(0), two);
    fs::copy_file(part(1), folder_.path() / "two-00002-of-00002.gguf");
    expect_refused(two, Kind::malformed, "two-00001-of-00002.gguf");
    const fs::path one = folder_.path() / "one-00001-of-00001.gguf";
    fs::copy_file(whole(), one);
    EXPECT_EQ(inspect_model(one, {}).sha256, hash_model(whole()));
}

}  // namespace
}  // namespace jiphyeon
