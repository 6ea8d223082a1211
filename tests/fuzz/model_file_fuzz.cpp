// A model file from its first byte to its first logits. The first byte of the input chooses a family: what
// follows are changes to a tiny model of it, three bytes each, offset (u16) and the byte to put there, so
// that inputs stay small and get far. Beyond the families, the rest is the file itself. Whatever a file says,
// it is refused as malformed or unsupported, or it is a model that computes.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>

#include "../llm_engine/tiny_model.hpp"
#include "chat_template.hpp"
#include "kv_cache.hpp"
#include "model.hpp"
#include "model_info.hpp"
#include "tokenizer.hpp"

namespace {

using namespace jiphyeon;

constexpr std::size_t kContext = 64;
constexpr std::size_t kTensorsMax = 64;
constexpr std::uint64_t kBytesMax = std::uint64_t{256} << 20;  // of a model that is computed

constexpr const char* kTemplate =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{{ '<|im_start|>assistant\\n' }}";

std::vector<std::string> models()
{
    std::vector<std::string> all;
    for (test::TinyOptions options : test::tiny_families()) {
        options.layers = 1;
        options.width = options.inner = 32;
        options.heads = options.kv_heads = 2;
        options.head_size = 0;
        options.context = kContext;
        options.spare_rows = 0;
        all.push_back(test::tiny_model(options, kTemplate));
    }
    return all;
}

void ask_for_every_kind(const Gguf& file, std::string_view key)
{
    const auto ask = [](const auto& call) {
        try {
            call();
        } catch (const EngineError& error) {
            assert(error.kind == EngineError::Kind::malformed);
        }
    };
    ask([&] { file.find_integer(key); });
    ask([&] { file.find_number(key); });
    ask([&] { file.find_bool(key); });
    ask([&] { file.find_string(key); });
    ask([&] { file.strings(key); });
    ask([&] { file.integers(key); });
    ask([&] { file.floats(key); });
    ask([&] { file.bytes(key); });
}

void run_model(const Gguf& file)
{
    const ModelShape shape = read_shape(file, kContext);
    const ModelInfo info = describe(file, shape, {}, "모델.gguf");
    assert(info.context_tokens > 0 && info.memory.total() > info.memory.weights);
    if (file.tensors().size() > kTensorsMax || info.memory.weights + info.memory.caches > kBytesMax) return;

    Model model(file, shape, 1, kKernelsScalar);
    KvPages pages{std::make_shared<KvPage>(shape.kv())};
    const std::size_t count = std::min<std::size_t>(shape.context, 3);
    std::vector<Row> rows;
    std::vector<std::size_t> wanted;
    for (std::size_t i = 0; i < count; ++i) {
        const auto token = static_cast<TokenId>((i * 37 + 2) % shape.vocabulary);
        rows.push_back({token, i, 0, shape.family->causal ? i + 1 : count, &pages});
        wanted.push_back(i);
    }
    std::vector<float> out;
    model.forward(rows, wanted, out);
    assert(out.size() == count * (shape.generates() ? shape.vocabulary : shape.width));
    if (shape.generates()) return;
    std::vector<float> vector(shape.vector_size);
    model.pool(out.data(), count, vector.data());
}

// Runs one part of the way; a file may fail at each of them.
template <typename Part>
void refused_or_done(const Part& part)
{
    try {
        part();
    } catch (const EngineError& error) {
        assert(error.kind == EngineError::Kind::malformed || error.kind == EngineError::Kind::unsupported);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const std::vector<std::string> kModels = models();
    if (size == 0) return 0;
    std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
    if (data[0] < kModels.size()) {
        bytes = kModels[data[0]];
        for (std::size_t i = 1; i + 2 < size; i += 3) {
            const std::size_t offset = data[i] | static_cast<std::size_t>(data[i + 1]) << 8;
            if (offset < bytes.size()) bytes[offset] = static_cast<char>(data[i + 2]);
        }
    }
    refused_or_done([&] {
        const Gguf file = Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
        for (const GgufEntry& entry : file.entries()) ask_for_every_kind(file, entry.key);
        unsigned sum = 0;
        for (const GgufTensor& tensor : file.tensors()) sum += tensor.data.front() + tensor.data.back();
        assert(sum <= 510 * file.tensors().size());
        refused_or_done([&] {
            const std::unique_ptr<Tokenizer> tokenizer = make_tokenizer(file);
            tokenizer->decode(tokenizer->encode("제1조 목적 a", true));
            const std::vector<ChatTurn> turns = {{"user", "연가는 며칠입니까?"}};
            ChatTemplate::from(file).prompt(*tokenizer, turns);
        });
        run_model(file);
    });
    return 0;
}
