// The engine through its public interface, on tiny random models.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <future>
#include <random>
#include <set>
#include <thread>

#include "gguf.hpp"
#include "jiphyeon/crypto.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "kernels.hpp"
#include "sampler.hpp"
#include "support/temp_dir.hpp"
#include "text_stream.hpp"
#include "tiny_model.hpp"

namespace jiphyeon {
namespace {

class ModelFile {
public:
    explicit ModelFile(const test::TinyOptions& options, const std::string& chat_template = "")
        : ModelFile(test::tiny_model(options, chat_template))
    {
    }
    explicit ModelFile(const std::string& bytes)
        : path_(std::filesystem::temp_directory_path() /
                ("jiphyeon-engine-" + crypto::random_text(12) + ".gguf"))
    {
        std::ofstream(path_, std::ios::binary) << bytes;
    }
    ~ModelFile() { std::filesystem::remove(path_); }
    ModelFile(const ModelFile&) = delete;
    ModelFile& operator=(const ModelFile&) = delete;
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

test::TinyOptions generator()
{
    test::TinyOptions options;
    options.matrices = TensorType::q4_k;
    options.others = TensorType::q6_k;
    return options;
}

test::TinyOptions encoder()
{
    test::TinyOptions options;
    options.architecture = "bert";
    options.matrices = TensorType::q4_0;
    options.kv_heads = options.heads;
    options.context = 512;
    return options;
}

GenerateRequest request_of(const Engine& engine, const std::string& text, std::size_t max_tokens)
{
    GenerateRequest request;
    request.prompt = engine.tokenizer().encode(text);
    request.max_tokens = max_tokens;
    return request;
}

// What must be the same whenever the request is.
auto result_of(const Generated& out)
{
    return std::tuple(out.text, out.tokens, out.finish, out.logits_hash);
}

EngineError::Kind kind_of(const std::function<void()>& call)
{
    try {
        call();
    } catch (const EngineError& error) {
        return error.kind;
    }
    ADD_FAILURE() << "no error";
    return EngineError::Kind::lost;
}

const std::string kLongText = [] {
    std::string text;
    for (int i = 0; i < 60; ++i) text += "article " + std::to_string(i) + "; ";
    return text;  // some 700 tokens of one byte
}();

TEST(Engine, ACachedPrefixGivesTheSameBytesAsAColdStart)
{
    const ModelFile file(generator());
    const auto cold_engine = open_engine(file.path(), {});
    const auto engine = open_engine(file.path(), {});
    const std::string domain = "department 3";
    // Shares 0, some, a whole page, more than a page, and everything with what came before.
    for (const std::size_t size : {100u, 300u, 200u, 512u, 513u, 700u, 700u, 256u, 257u, 650u}) {
        const GenerateRequest cold = request_of(*cold_engine, kLongText.substr(0, size), 12);
        GenerateRequest warm = cold;
        warm.cache_domain = domain;
        const Generated expected = cold_engine->generate(cold, {});
        const Generated got = engine->generate(warm, {});
        EXPECT_EQ(result_of(got), result_of(expected)) << size;
        EXPECT_EQ(expected.cached_tokens, 0u);
        EXPECT_GE(got.cached_tokens, size == 100 ? 0u : 99u) << size;
        EXPECT_LT(got.cached_tokens, size);
    }
    GenerateRequest stranger = request_of(*engine, kLongText, 1);
    stranger.cache_domain = "department 4";
    EXPECT_EQ(engine->generate(stranger, {}).cached_tokens, 0u) << "another domain's pages are out of reach";
}

TEST(Engine, GuessingAheadChangesNoAnswer)
{
    const ModelFile file(generator());
    const auto plain = open_engine(file.path(), {.guess_tokens = 0});
    const auto guessing = open_engine(file.path(), {});
    std::size_t saved = 0;
    for (const char* grammar :
         {"", "root ::= \"article \" [0-9]{1,3} \"; article \" [0-9]{1,3} \"; article \" [0-9]{1,3} \";\"",
          "root ::= (\"article \" [0-9]{2} <slot:cite> \"; \"){4}"}) {
        for (const float temperature : {0.0f, 1.0f}) {
            for (const std::size_t size : {40u, 250u, 700u}) {
                GenerateRequest request = request_of(*plain, kLongText.substr(0, size), 60);
                request.grammar = grammar;
                request.sampling.temperature = temperature;
                GenerateEvents events;
                events.on_slot = [](std::string_view, std::string_view) {
                    return GenerateEvents::SlotFill{"; article 1", false};
                };
                const Generated expected = plain->generate(request, events);
                const Generated got = guessing->generate(request, events);
                EXPECT_EQ(result_of(got), result_of(expected))
                    << grammar << ' ' << temperature << ' ' << size;
                EXPECT_LE(got.steps, expected.steps);
                saved += expected.steps - got.steps;
            }
        }
    }
    EXPECT_GT(saved, 50u) << "nothing was guessed";
}

TEST(Engine, UsersOfOneDocumentAreServedTogetherAndEachAsIfAlone)
{
    const ModelFile file(generator());
    const auto alone = open_engine(file.path(), {});
    const auto engine = open_engine(file.path(), {});
    std::vector<std::future<Generated>> users;
    const auto request_of_user = [&](int i) {
        GenerateRequest request = request_of(*engine, kLongText.substr(0, 600) + std::to_string(i), 20);
        request.cache_domain = "department";
        request.sampling.temperature = i % 2 == 0 ? 0.0f : 1.0f;
        return request;
    };
    for (int i = 0; i < 8; ++i)
        users.push_back(
            std::async(std::launch::async, [&, i] { return engine->generate(request_of_user(i), {}); }));
    std::size_t first_readers = 0;
    for (int i = 0; i < 8; ++i) {
        const Generated got = users[static_cast<std::size_t>(i)].get();
        GenerateRequest request = request_of_user(i);
        request.cache_domain.clear();
        EXPECT_EQ(result_of(got), result_of(alone->generate(request, {}))) << i;
        if (got.cached_tokens == 0) ++first_readers;
    }
    EXPECT_EQ(first_readers, 1u) << "the others found the document's pages";
}

TEST(Engine, TheCacheStaysWithinItsBytes)
{
    const ModelFile file(generator());
    // Two pages of the tiny model fit, three do not.
    const auto engine = open_engine(file.path(), {.prefix_cache_bytes = 700'000});
    for (int round = 0; round < 3; ++round) {
        for (char c = 'a'; c < 'f'; ++c) {
            GenerateRequest request = request_of(*engine, std::string(300, c), 1);
            request.cache_domain = "d";
            EXPECT_EQ(engine->generate(request, {}).cached_tokens, 0u) << "evicted by the others";
            EXPECT_EQ(engine->generate(request, {}).cached_tokens, 299u) << "still there";
        }
    }
}

TEST(Engine, APrefixReadBackFromTheDiskGivesTheSameBytes)
{
    const ModelFile file(generator());
    const test::TempDir dir;
    const auto cold = open_engine(file.path(), {});
    const auto engine = open_engine(file.path(), {.prefix_cache_bytes = 700'000,  // two pages
                                                  .prefix_disk_bytes = 8'000'000,
                                                  .prefix_disk_folder = dir.path()});
    const auto request_of_letter = [&](char letter, const char* domain) {
        GenerateRequest request = request_of(*engine, letter + kLongText, 12);
        request.cache_domain = domain;
        return request;
    };
    for (const std::size_t cached : {0u, 512u, 512u}) {
        for (char letter = 'a'; letter < 'e'; ++letter) {
            const GenerateRequest request = request_of_letter(letter, "d");
            const Generated got = engine->generate(request, {});
            EXPECT_EQ(result_of(got), result_of(cold->generate(request, {}))) << letter << ' ' << cached;
            EXPECT_EQ(got.cached_tokens, cached) << letter;
            EXPECT_EQ(engine->next_logits(request.prompt, "d"), cold->next_logits(request.prompt, "d"));
        }
    }
    EXPECT_EQ(engine->generate(request_of_letter('a', "another domain"), {}).cached_tokens, 0u);
}

TEST(Engine, RequestsAtOnceGetTheSameBytesAsAlone)
{
    const ModelFile file(generator());
    const auto engine = open_engine(file.path(), {});
    std::vector<GenerateRequest> requests;
    std::vector<Generated> alone;
    for (std::size_t i = 0; i < 6; ++i) {
        requests.push_back(request_of(*engine, kLongText.substr(40 * i, 60 + 50 * i), 20));
        requests.back().sampling = {.temperature = i % 2 == 0 ? 0.0f : 0.9f, .seed = i};
        if (i >= 3) requests.back().cache_domain = "shared";
        alone.push_back(engine->generate(requests.back(), {}));
    }
    std::vector<Generated> together(requests.size());
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < requests.size(); ++i) {
            threads.emplace_back([&, i] { together[i] = engine->generate(requests[i], {}); });
        }
    }
    for (std::size_t i = 0; i < requests.size(); ++i)
        EXPECT_EQ(result_of(together[i]), result_of(alone[i])) << i;
}

TEST(Engine, SeedsAndPositionsDecideTheDraw)
{
    const ModelFile file(generator());
    const auto engine = open_engine(file.path(), {});
    GenerateRequest request = request_of(*engine, "a question", 24);
    request.sampling = {.temperature = 1.2f, .top_k = 0, .top_p = 1.0f, .seed = 7};
    const Generated first = engine->generate(request, {});
    EXPECT_EQ(result_of(engine->generate(request, {})), result_of(first));
    request.sampling.seed = 8;
    EXPECT_NE(engine->generate(request, {}).tokens, first.tokens);
}

TEST(Engine, NextLogitsAreThoseThatAreSampled)
{
    const ModelFile file(generator());
    const auto engine = open_engine(file.path(), {});
    const GenerateRequest request = request_of(*engine, kLongText.substr(0, 300), 1);
    const std::vector<float> logits = engine->next_logits(request.prompt, "");
    ASSERT_EQ(logits.size(), engine->info().vocabulary);
    EXPECT_EQ(logits, engine->next_logits(request.prompt, "some domain"));
    EXPECT_EQ(logits, engine->next_logits(request.prompt, "some domain"));
    const Generated out = engine->generate(request, {});
    EXPECT_EQ(out.logits_hash,
              crypto::sha256({reinterpret_cast<const char*>(logits.data()), logits.size() * sizeof(float)}));
}

TEST(Engine, CancelsByFlagAndByCallback)
{
    const ModelFile file(generator());
    const auto engine = open_engine(file.path(), {});
    std::atomic<bool> cancel = true;
    GenerateRequest request = request_of(*engine, kLongText, 100);
    request.cancel = &cancel;
    EXPECT_EQ(engine->generate(request, {}).finish, Generated::Finish::cancelled);

    cancel = false;
    GenerateEvents events;
    events.on_prompt = [&](std::size_t done, std::size_t total) {
        EXPECT_EQ(total, request.prompt.size());
        if (done >= 256) cancel = true;
    };
    const Generated during_prompt = engine->generate(request, events);
    EXPECT_EQ(during_prompt.finish, Generated::Finish::cancelled);
    EXPECT_TRUE(during_prompt.tokens.empty());

    request.cancel = nullptr;
    request.grammar = "root ::= [a-z]+";
    std::string seen;
    events = {};
    events.on_text = [&](std::string_view text) {
        seen += text;
        return seen.size() < 5;
    };
    const Generated by_callback = engine->generate(request, events);
    EXPECT_EQ(by_callback.finish, Generated::Finish::cancelled);
    EXPECT_GE(seen.size(), 5u);
    EXPECT_LT(seen.size(), 100u);

    events.on_text = [](std::string_view) -> bool { throw std::runtime_error("from the callback"); };
    EXPECT_THROW(engine->generate(request, events), std::runtime_error);
    EXPECT_EQ(engine->generate(request_of(*engine, "still there", 1), {}).tokens.size(), 1u);
}

TEST(Engine, AGrammarDecidesWhatComesAndSlotsAreFilledByTheCaller)
{
    const ModelFile file(generator());
    const auto engine = open_engine(file.path(), {});
    GenerateRequest request = request_of(*engine, "q", 60);
    request.grammar = "root ::= (word <slot:cite> \"\\n\"){2} \"끝\"\nword ::= [가-힣]{2} \".\"";
    std::vector<std::string> since;
    std::string streamed;
    GenerateEvents events;
    events.on_slot = [&](std::string_view name, std::string_view text) {
        EXPECT_EQ(name, "cite");
        since.emplace_back(text);
        return GenerateEvents::SlotFill{" [" + std::to_string(since.size()) + "]", false};
    };
    events.on_text = [&](std::string_view text) {
        streamed += text;
        return true;
    };
    const Generated out = engine->generate(request, events);
    EXPECT_EQ(out.finish, Generated::Finish::end);
    ASSERT_EQ(since.size(), 2u);
    EXPECT_EQ(since[0].size(), 7u) << since[0];
    EXPECT_EQ(since[1].size(), 8u) << since[1];
    EXPECT_EQ(out.text, since[0] + " [1]" + since[1] + " [2]\n끝");
    EXPECT_EQ(streamed, out.text);
    EXPECT_EQ(engine->tokenizer().decode(out.tokens), out.text);

    events.on_slot = [](std::string_view, std::string_view) { return GenerateEvents::SlotFill{"!", true}; };
    const Generated stopped = engine->generate(request, events);
    EXPECT_EQ(stopped.finish, Generated::Finish::slot);
    EXPECT_TRUE(stopped.text.ends_with(".!"));

    request.grammar = "root ::= (";
    EXPECT_EQ(kind_of([&] { engine->generate(request, {}); }), EngineError::Kind::bad_request);
}

TEST(Engine, StopTextsAndLengthsEndAnAnswer)
{
    const ModelFile file(generator());
    const auto engine = open_engine(file.path(), {});
    GenerateRequest request = request_of(*engine, "q", 10);
    request.grammar = "root ::= \"하나 둘 셋\"";
    request.max_tokens = 40;
    request.stop = {"둘"};
    std::string streamed;
    GenerateEvents events;
    events.on_text = [&](std::string_view text) {
        streamed += text;
        return true;
    };
    const Generated out = engine->generate(request, events);
    EXPECT_EQ(out.finish, Generated::Finish::stop);
    EXPECT_EQ(out.text, "하나 ");
    EXPECT_EQ(streamed, "하나 ");
    request.stop.clear();
    request.max_tokens = 4;  // in the middle of the second character
    const Generated cut = engine->generate(request, {});
    EXPECT_EQ(cut.finish, Generated::Finish::length);
    EXPECT_EQ(cut.text, "하");
}

TEST(Engine, RequestsThatCannotBeMetAreRefused)
{
    const ModelFile file(generator());
    const auto engine = open_engine(file.path(), {.context_tokens = 300});
    EXPECT_EQ(engine->info().context_tokens, 300u);
    EXPECT_EQ(kind_of([&] { engine->generate(request_of(*engine, "", 1), {}); }),
              EngineError::Kind::bad_request);
    EXPECT_EQ(kind_of([&] { engine->generate(request_of(*engine, "ab", 299), {}); }),
              EngineError::Kind::too_large);
    EXPECT_EQ(kind_of([&] { engine->generate(request_of(*engine, kLongText, 0), {}); }),
              EngineError::Kind::too_large);
    GenerateRequest request = request_of(*engine, "ab", 1);
    request.prompt.push_back(100'000);
    EXPECT_EQ(kind_of([&] { engine->generate(request, {}); }), EngineError::Kind::bad_request);
    EXPECT_EQ(kind_of([&] { engine->embed(std::vector<std::string>{"a"}); }), EngineError::Kind::bad_request);
    EXPECT_EQ(kind_of([&] { engine->chat_prompt({}); }), EngineError::Kind::unsupported);
    EXPECT_EQ(engine->generate(request_of(*engine, "ab", 298), {}).tokens.empty(), false);
}

TEST(Engine, FilesThatCannotBeOpenedAreRefusedForTheRightReason)
{
    const ModelFile file(generator());
    EXPECT_EQ(kind_of([] { open_engine("no-such-file.gguf", {}); }), EngineError::Kind::io);
    EngineOptions options;
    options.sha256.emplace();
    EXPECT_EQ(kind_of([&] { open_engine(file.path(), options); }), EngineError::Kind::hash_mismatch);
    options.sha256 = hash_model(file.path());
    EXPECT_EQ(open_engine(file.path(), options)->info().sha256, *options.sha256);
    options.prefix_cache_bytes = std::size_t{1} << 50;
    EXPECT_EQ(kind_of([&] { open_engine(file.path(), options); }), EngineError::Kind::too_large);
    options.prefix_cache_bytes = 0;
    if (available_isas().back() != Isa::amx) {
        options.isa = Isa::amx;
        EXPECT_EQ(kind_of([&] { open_engine(file.path(), options); }), EngineError::Kind::unsupported);
        options.isa = Isa::best;
    }
    test::TinyOptions other = generator();
    other.architecture = "mamba";
    const ModelFile unknown(other);
    EXPECT_EQ(kind_of([&] { open_engine(unknown.path(), {}); }), EngineError::Kind::unsupported);
}

TEST(Engine, KeysAndValuesInBytesAreAnotherModelInLessMemory)
{
    const ModelFile file(generator());
    const EngineOptions halves{.prefix_cache_bytes = 0};
    const EngineOptions bytes{.kv = KvType::q8, .prefix_cache_bytes = 0};
    const MemoryNeed need = inspect_model(file.path(), halves).memory;
    const ModelInfo info = inspect_model(file.path(), bytes);
    EXPECT_EQ(info.kv, KvType::q8);
    EXPECT_EQ(info.memory.weights, need.weights);
    EXPECT_LT(info.memory.caches, need.caches * 58 / 100);
    const auto engine = open_engine(file.path(), bytes);
    const GenerateRequest request = request_of(*engine, "대한민국", 8);
    const Generated first = engine->generate(request, {});
    EXPECT_EQ(result_of(engine->generate(request, {})), result_of(first));
    EXPECT_NE(open_engine(file.path(), halves)->generate(request, {}).logits_hash, first.logits_hash);
}

TEST(Engine, KeysAndValuesInBytesAreOnlyForModelsThatGenerate)
{
    const ModelFile file(encoder());
    try {
        open_engine(file.path(), {.kv = KvType::q8});
        ADD_FAILURE() << "opened";
    } catch (const EngineError& error) {
        EXPECT_EQ(error.kind, EngineError::Kind::unsupported);
        EXPECT_NE(std::string(error.what()).find("keys and values in q8"), std::string::npos) << error.what();
    }
}

TEST(Engine, InspectingTellsWhatOpeningDoes)
{
    const ModelFile file(generator());
    const ModelInfo before = inspect_model(file.path(), {});
    const auto engine = open_engine(file.path(), {});
    const ModelInfo& info = engine->info();
    EXPECT_EQ(before.memory.total(), info.memory.total());
    EXPECT_EQ(before.sha256, hash_model(file.path()));
    EXPECT_EQ(info.architecture, "qwen2");
    EXPECT_EQ(info.quantization, "Q4_K, Q6_K");
    EXPECT_EQ(info.context_tokens, 1024u);
    EXPECT_TRUE(info.generates);
    EXPECT_FALSE(info.embeds);
    EXPECT_TRUE(info.replayable);
    EXPECT_GT(info.memory.weights, info.file_bytes);
}

TEST(Engine, TextsEmbedTheSameAloneAndTogether)
{
    const ModelFile file(encoder());
    const auto engine = open_engine(file.path(), {.threads = 3});
    std::vector<std::string> texts = {"a", "hello world", "query x", std::string(200, 'z'), "한글"};
    for (int i = 0; i < 20; ++i)
        texts.push_back(std::string(static_cast<std::size_t>(i * 13 + 1), static_cast<char>('a' + i)));
    texts.push_back(std::string(2000, 'q'));  // longer than the context
    const std::vector<float> together = engine->embed(texts);
    const std::size_t width = engine->info().embedding_size;
    ASSERT_EQ(together.size(), texts.size() * width);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::vector<float> alone = engine->embed({&texts[i], 1});
        EXPECT_EQ(std::memcmp(alone.data(), together.data() + i * width, width * sizeof(float)), 0) << i;
        double length = 0;
        for (const float v : alone) length += static_cast<double>(v) * v;
        EXPECT_NEAR(length, 1, 1e-5);
    }
    EXPECT_EQ(kind_of([&] { engine->generate(request_of(*engine, "a", 1), {}); }),
              EngineError::Kind::bad_request);
}

TEST(ChooseToken, TiesGoToTheLowerIdAndOnlyAllowedOnesCount)
{
    const std::vector<float> logits = {1, 5, 5, std::nanf(""), 4};
    EXPECT_EQ(choose_token(logits, {}, 0, nullptr), 1);
    EXPECT_EQ(choose_token(logits, {}, 0, [](TokenId id) { return id != 1; }), 2);
    EXPECT_EQ(choose_token(logits, {}, 0, [](TokenId id) { return id == 0; }), 0);
    EXPECT_EQ(choose_token(logits, {}, 0, [](TokenId) { return false; }), std::nullopt);
}

// Of vocabularies of many sizes, with equal logits, some that are no numbers and some that are not allowed.
TEST(ChooseToken, TheBestAreThoseThatSortingFinds)
{
    std::mt19937 random(11);
    for (std::size_t size = 1; size < 300; size += 7) {
        std::vector<float> logits(size);
        for (float& logit : logits)
            logit = random() % 50 == 0 ? std::nanf("") : static_cast<float>(random() % 200);
        const auto allowed = [](TokenId id) { return id % 9 != 4; };
        std::vector<TokenId> sorted;
        for (std::size_t i = 0; i < size; ++i) {
            const auto id = static_cast<TokenId>(i);
            if (!std::isnan(logits[i]) && allowed(id)) sorted.push_back(id);
        }
        std::ranges::stable_sort(sorted, std::greater{},
                                 [&](TokenId id) { return logits[static_cast<std::size_t>(id)]; });
        if (sorted.empty()) continue;
        EXPECT_EQ(choose_token(logits, {}, 0, allowed), sorted.front()) << size;
        sorted.resize(std::min<std::size_t>(sorted.size(), 5));
        std::set<TokenId> drawn;
        for (std::uint64_t position = 0; position < 300; ++position)
            drawn.insert(
                *choose_token(logits, {.temperature = 1e4f, .top_k = 5, .top_p = 1}, position, allowed));
        EXPECT_EQ(drawn, std::set<TokenId>(sorted.begin(), sorted.end())) << size;
    }
}

// Draws over many positions come as often as the probabilities say, within the set that top-k and top-p
// leave.
TEST(ChooseToken, DrawsFollowTheProbabilities)
{
    const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
    const auto shares = [&](const Sampling& sampling) {
        std::vector<double> share(4);
        for (std::uint64_t p = 0; p < 20000; ++p)
            share[static_cast<std::size_t>(*choose_token(logits, sampling, p, nullptr))] += 1 / 20000.0;
        return share;
    };
    const auto all = shares({.temperature = 1, .top_k = 0, .top_p = 1, .seed = 3});
    EXPECT_NEAR(all[0], 0.5, 0.02);
    EXPECT_NEAR(all[3], 0.05, 0.01);
    const auto cut = shares({.temperature = 1, .top_k = 0, .top_p = 0.7f, .seed = 3});
    EXPECT_NEAR(cut[0], 0.625, 0.02);
    EXPECT_EQ(cut[2], 0);
    const auto two = shares({.temperature = 0.5f, .top_k = 2, .top_p = 1, .seed = 3});
    EXPECT_NEAR(two[0], 0.25 / 0.34, 0.02);
    EXPECT_EQ(two[2], 0);
}

// Any cut of any bytes: only sound UTF-8 leaves, and what leaves is the text of all bytes up to the stop.
TEST(TextStream, WholeCharactersOnlyAndNothingOfAStopText)
{
    std::mt19937 random(4);
    const std::vector<std::string> parts = {"가", "각",       "a",    "\xff", "\xed\xa0\x80",
                                            "😀",  "\xe3\x81", "그만", "그",   "만"};
    for (int round = 0; round < 2000; ++round) {
        std::string bytes;
        for (int i = 0; i < 8; ++i) bytes += parts[random() % parts.size()];
        TextStream whole({"그만"});
        whole.push(bytes);
        TextStream stream({"그만"});
        std::string seen;
        for (std::size_t at = 0; at < bytes.size();) {
            const std::size_t size = std::min<std::size_t>(1 + random() % 3, bytes.size() - at);
            stream.push(bytes.substr(at, size));
            const std::string out = stream.take();
            EXPECT_FALSE(!out.empty() && (static_cast<unsigned char>(out[0]) & 0xc0) == 0x80);
            seen += out;
            at += size;
        }
        seen += stream.finish();
        EXPECT_EQ(seen, whole.text());
        EXPECT_EQ(seen.find("그만"), std::string::npos);
        EXPECT_EQ(stream.stopped(), bytes.find("그만") != std::string::npos);
    }
}

// Why a replay that gives the recorded logits proves that these weights gave them.
TEST(Engine, OneFlippedBitOfAWeightGivesOtherLogits)
{
    std::string bytes = test::tiny_model(generator(), "");
    const Gguf sound = Gguf::parse({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    const GgufTensor& down = sound.tensor("blk.0.ffn_down.weight");
    const auto at = static_cast<std::size_t>(reinterpret_cast<const char*>(down.data.data()) - bytes.data());
    const auto hash_of = [&] {
        const ModelFile file(bytes);
        const auto engine = open_engine(file.path(), {});
        return engine->generate(request_of(*engine, "대한민국의 수도는", 3), {}).logits_hash;
    };
    const auto before = hash_of();
    EXPECT_EQ(hash_of(), before);
    bytes[at + down.data.size() / 2] ^= 1;
    EXPECT_NE(hash_of(), before);
}

TEST(Perplexity, IsThatOfTheLogitsAfterEachPrefix)
{
    const ModelFile file(generator());
    const auto engine = open_engine(file.path(), {});
    const std::string text = "제7조(연차휴가) ① 1년간 근무한 공무원에게는 15일의 휴가를 준다. 第七條와 같다.";
    constexpr std::size_t kContext = 16;
    const std::vector<TokenId> tokens = engine->tokenizer().encode(text, true);
    ASSERT_GE(tokens.size(), 3 * kContext);
    double cost = 0;
    std::size_t scored = 0;
    for (std::size_t part = 0; (part + 1) * kContext <= tokens.size(); ++part) {
        const std::span<const TokenId> of_part(tokens.data() + part * kContext, kContext);
        for (std::size_t i = kContext / 2; i + 1 < kContext; ++i, ++scored) {
            const std::vector<float> logits = engine->next_logits(of_part.first(i + 1), "");
            double sum = 0;
            for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
            cost += std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(of_part[i + 1])]);
        }
    }
    PerplexityOptions options;
    options.context_tokens = kContext;
    const Perplexity measured = measure_perplexity(file.path(), text, options);
    EXPECT_EQ(measured.tokens, tokens.size());
    EXPECT_EQ(measured.scored, scored);
    EXPECT_NEAR(measured.value, std::exp(cost / static_cast<double>(scored)), 1e-6 * measured.value);
    EXPECT_GT(measured.standard_error, 0);

    options.isa = Isa::scalar;
    options.threads = 3;
    const Perplexity again = measure_perplexity(file.path(), text, options);
    EXPECT_EQ(again.value, measured.value);
    EXPECT_EQ(again.standard_error, measured.standard_error);
}

TEST(Perplexity, IsRefusedForATextOfLessThanOnePartAndForEncoders)
{
    const ModelFile file(generator());
    EXPECT_EQ(kind_of([&] { measure_perplexity(file.path(), "짧은 글", {}); }),
              EngineError::Kind::bad_request);
    const ModelFile embedding(encoder());
    EXPECT_EQ(kind_of([&] { measure_perplexity(embedding.path(), std::string(4096, 'a'), {}); }),
              EngineError::Kind::unsupported);
}

}  // namespace
}  // namespace jiphyeon
