// A real child process in a real cage, driven through the public interface. The child's engine is scripted:
// its prompts are commands (engine_child.cpp).
#include "worker.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <future>
#include <thread>

#include "jiphyeon/crypto.hpp"
#include "load.hpp"
#include "support/temp_dir.hpp"
#include "tiny_model.hpp"
#include "worker_messages.hpp"

namespace jiphyeon {
namespace {

std::unique_ptr<Engine> scripted(const std::string& model = "scripted")
{
    return spawn_engine(JIPHYEON_ENGINE_CHILD, {"scripted"}, model, {.context_tokens = 77});
}

GenerateRequest command(Engine& engine, std::string_view text)
{
    GenerateRequest request;
    request.prompt = engine.tokenizer().encode(text);
    return request;
}

EngineError::Kind kind_of(const std::function<void()>& call)
{
    try {
        call();
    } catch (const EngineError& error) {
        return error.kind;
    }
    ADD_FAILURE() << "no error";
    return EngineError::Kind::io;
}

TEST(Worker, InfoAndTokenizerAreThoseOfTheChild)
{
    const auto engine = scripted();
    EXPECT_EQ(engine->info().context_tokens, 77u);
    EXPECT_TRUE(engine->info().name.ends_with("/scripted"));
    const Tokenizer& tokenizer = engine->tokenizer();
    EXPECT_EQ(tokenizer.size(), 258u);
    EXPECT_EQ(tokenizer.encode("a", true), (std::vector<TokenId>{256, 'a'}));
    EXPECT_EQ(tokenizer.decode(tokenizer.encode("한글\xff")), "한글\xff");
    EXPECT_EQ(tokenizer.control("<start>"), 256);
    EXPECT_FALSE(tokenizer.control("a"));
    EXPECT_TRUE(tokenizer.ends_generation(257));
    EXPECT_FALSE(tokenizer.ends_generation(-1));
    EXPECT_EQ(tokenizer.piece(300), "");
    const std::vector<ChatTurn> turns = {{"user", "질문"}, {"assistant", ""}};
    EXPECT_EQ(tokenizer.decode(engine->chat_prompt(turns)), "user:질문;assistant:;");
    const std::vector<std::string> texts = {"", "abc"};
    EXPECT_EQ(engine->embed(texts), (std::vector<float>{0.5f, 3.5f}));
    const std::vector<TokenId> prompt = {1, 151'935};
    EXPECT_EQ(engine->next_logits(prompt, "도"), (std::vector<float>{1, 151'935, 3}));
}

TEST(Worker, RequestsArriveWholeAndErrorsComeBackAsTheyWere)
{
    const auto engine = scripted();
    GenerateRequest request = command(*engine, "echo");
    request.grammar = "root ::= \"가\"";
    request.stop = {"끝"};
    request.cache_domain = "public";
    request.max_tokens = 12;
    request.sampling.seed = ~std::uint64_t{0};
    request.quoting = {
        .passages = {"", "근거"}, .open = "「", .close = "」", .characters_min = 3, .characters_max = 9};
    const Generated out = engine->generate(request, {});
    EXPECT_EQ(out.text, "root ::= \"가\"|끝|public|12|18446744073709551615|근거|「」|3|9");
    EXPECT_EQ(out.quotes, (std::vector<Quote>{{1, 2, 3, 4}, {5, 6, 7, 8}}));
    EXPECT_EQ(out.tokens, request.prompt);
    EXPECT_EQ(out.logits_hash[31], 9);
    EXPECT_EQ(kind_of([&] { engine->generate(command(*engine, "refuse"), {}); }),
              EngineError::Kind::too_large);
}

TEST(Worker, TheChildIsCaged)
{
    const auto engine = scripted();
    EXPECT_EQ(engine->generate(command(*engine, "cage"), {}).text, "Operation not permitted");
}

TEST(Worker, SlotsAreFilledByTheCallersFunction)
{
    const auto engine = scripted();
    GenerateEvents events;
    std::string seen;
    events.on_prompt = [&](std::size_t done, std::size_t total) {
        seen += std::to_string(done) + "/" + std::to_string(total);
    };
    events.on_slot = [&](std::string_view name, std::string_view since) {
        seen += std::string(name) + since.data();
        return GenerateEvents::SlotFill{.text = " [1]", .stop = since == "둘."};
    };
    EXPECT_EQ(engine->generate(command(*engine, "slots"), events).text, "하나. [1]둘. [1]");
    EXPECT_EQ(seen, "3/5cite하나.cite둘.");
    events.on_slot = [](std::string_view, std::string_view) {
        return GenerateEvents::SlotFill{.text = "", .stop = true};
    };
    EXPECT_EQ(engine->generate(command(*engine, "slots"), events).text, "하나.");
}

// The caller may use the engine inside its own callback.
TEST(Worker, ACallbackMayAskTheEngine)
{
    const auto engine = scripted();
    GenerateEvents events;
    events.on_slot = [&](std::string_view, std::string_view since) {
        return GenerateEvents::SlotFill{.text = std::to_string(engine->tokenizer().encode(since).size()),
                                        .stop = false};
    };
    EXPECT_EQ(engine->generate(command(*engine, "slots"), events).text, "하나.7둘.4");
}

TEST(Worker, AFalseAnswerToTextStopsAtThatPiece)
{
    const auto engine = scripted();
    GenerateEvents events;
    std::string seen;
    events.on_text = [&](std::string_view text) {
        seen += text;
        return text != "5 ";
    };
    const Generated out = engine->generate(command(*engine, "count"), events);
    EXPECT_EQ(out.finish, Generated::Finish::cancelled);
    EXPECT_EQ(seen, "0 1 2 3 4 5 ");
    EXPECT_EQ(out.text, seen);
}

TEST(Worker, WhatACallbackThrowsPassesThroughAndTheEngineGoesOn)
{
    const auto engine = scripted();
    GenerateEvents events;
    events.on_text = [](std::string_view) -> bool { throw std::domain_error("mine"); };
    EXPECT_THROW(engine->generate(command(*engine, "count"), events), std::domain_error);
    events.on_text = nullptr;
    events.on_slot = [](std::string_view, std::string_view) -> GenerateEvents::SlotFill {
        throw std::domain_error("mine");
    };
    EXPECT_THROW(engine->generate(command(*engine, "slots"), events), std::domain_error);
    GenerateEvents silent;  // what it throws in must be told to an engine that asks nothing more
    silent.on_prompt = [](std::size_t, std::size_t) { throw std::domain_error("mine"); };
    EXPECT_THROW(engine->generate(command(*engine, "wait"), silent), std::domain_error);
    EXPECT_EQ(engine->tokenizer().encode("a"), std::vector<TokenId>{'a'});
}

TEST(Worker, CancelReachesARequestThatSaysNothing)
{
    const auto engine = scripted();
    std::atomic<bool> cancel = false;
    GenerateRequest request = command(*engine, "wait");
    request.cancel = &cancel;
    auto running = std::async(std::launch::async, [&] { return engine->generate(request, {}).finish; });
    EXPECT_EQ(engine->tokenizer().encode("b"), std::vector<TokenId>{'b'});  // others are served meanwhile
    cancel = true;
    EXPECT_EQ(running.get(), Generated::Finish::cancelled);
}

TEST(Worker, ManyRequestsAtOnceGetEachItsOwnAnswers)
{
    const auto engine = scripted();
    std::vector<std::thread> threads;
    std::atomic<int> right = 0;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 20; ++i) {
                const std::string text = std::to_string(t) + ":" + std::to_string(i);
                if (engine->tokenizer().decode(engine->tokenizer().encode(text)) == text) ++right;
                std::string seen;
                GenerateEvents events;
                events.on_slot = [&](std::string_view, std::string_view) {
                    return GenerateEvents::SlotFill{.text = text, .stop = true};
                };
                if (engine->generate(command(*engine, "slots"), events).text == "하나." + text) ++right;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(right, 320);
}

TEST(Worker, ADeadChildLosesWhatRunsAndTheNextRequestStartsAnother)
{
    const auto engine = scripted();
    std::atomic<bool> never = false;
    GenerateRequest waiting = command(*engine, "wait");
    waiting.cancel = &never;
    std::promise<void> begun;  // else it may come to the second child, and nobody ends it there
    GenerateEvents events;
    events.on_prompt = [&](std::size_t, std::size_t) { begun.set_value(); };
    auto running =
        std::async(std::launch::async, [&] { return kind_of([&] { engine->generate(waiting, events); }); });
    begun.get_future().wait();
    const GenerateRequest die = command(*engine, "die");
    EXPECT_EQ(kind_of([&] { engine->generate(die, {}); }), EngineError::Kind::lost);
    EXPECT_EQ(running.get(), EngineError::Kind::lost);
    EXPECT_EQ(engine->tokenizer().encode("a"), std::vector<TokenId>{'a'});
    EXPECT_EQ(engine->generate(command(*engine, "cage"), {}).text, "Operation not permitted");
}

// What answers after a restart must be what was approved and asked before.
TEST(Worker, ANewChildOpensTheSameFileOrNone)
{
    const std::filesystem::path model =
        std::filesystem::temp_directory_path() / ("jiphyeon-worker-" + crypto::random_text(12));
    std::ofstream(model) << "one";
    const auto engine = scripted(model.string());
    std::ofstream(model) << "two";
    const GenerateRequest die = command(*engine, "die");
    EXPECT_EQ(kind_of([&] { engine->generate(die, {}); }), EngineError::Kind::lost);
    EXPECT_EQ(kind_of([&] { engine->tokenizer().encode("a"); }), EngineError::Kind::hash_mismatch);
    std::ofstream(model) << "one";
    EXPECT_EQ(engine->tokenizer().encode("a"), std::vector<TokenId>{'a'});
    std::filesystem::remove(model);
}

TEST(Worker, AChildThatCannotOpenTheModelSaysWhy)
{
    EXPECT_EQ(kind_of([] { scripted("unsound"); }), EngineError::Kind::malformed);
    EXPECT_EQ(kind_of([] { scripted("garbage"); }), EngineError::Kind::lost);
    EXPECT_EQ(kind_of([] { spawn_engine("/nonexistent/program", {}, "m", {}); }), EngineError::Kind::lost);
    EXPECT_EQ(kind_of([] { spawn_engine(JIPHYEON_ENGINE_CHILD, {"model"}, "nonexistent.gguf", {}); }),
              EngineError::Kind::io);
}

// The engine of this process and the one in the cage are one program: equal requests, equal bytes.
TEST(Worker, ATinyModelInTheCageGivesTheSameBytes)
{
    const std::filesystem::path model =
        std::filesystem::temp_directory_path() / ("jiphyeon-worker-" + crypto::random_text(12) + ".gguf");
    std::ofstream(model, std::ios::binary) << test::tiny_model(
        {},
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
        "{% endfor %}{{ '<|im_start|>assistant\\n' }}");
    const EngineOptions options{.context_tokens = 256};
    const auto caged = spawn_engine(JIPHYEON_ENGINE_CHILD, {"model"}, model, options);
    const auto here = open_engine(model, options);

    const std::vector<ChatTurn> turns = {{"user", "제1조는?"}};
    GenerateRequest request;
    request.prompt = caged->chat_prompt(turns);
    request.max_tokens = 12;
    request.grammar = "root ::= ([a-z]{3} <slot:cite>){3}";
    GenerateEvents events;
    events.on_slot = [](std::string_view, std::string_view since) {
        return GenerateEvents::SlotFill{.text = " [" + std::string(since) + "] ", .stop = false};
    };
    EXPECT_EQ(request.prompt, here->chat_prompt(turns));
    const Generated a = caged->generate(request, events);
    const Generated b = here->generate(request, events);
    EXPECT_EQ(a.text, b.text);
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_EQ(a.logits_hash, b.logits_hash);
    EXPECT_NE(a.text.find("] "), std::string::npos);
    EXPECT_EQ(caged->next_logits(request.prompt, ""), here->next_logits(request.prompt, ""));
    EXPECT_EQ(caged->info().sha256, here->info().sha256);
    EXPECT_EQ(caged->info().template_sha256, here->info().template_sha256);
    std::filesystem::remove(model);

    EngineOptions other = options;
    other.sha256.emplace();
    std::ofstream(model, std::ios::binary) << "GGUF";
    EXPECT_EQ(kind_of([&] { spawn_engine(JIPHYEON_ENGINE_CHILD, {"model"}, model, other); }),
              EngineError::Kind::hash_mismatch);
    std::filesystem::remove(model);
}

// In the cage no file can be opened for writing, and the child may write no more than its file holds.
TEST(Worker, PagesGoToTheFileAndComeBackInTheCage)
{
    const test::TempDir dir;
    const std::filesystem::path model = dir.path() / "tiny.gguf";
    std::ofstream(model, std::ios::binary) << test::tiny_model({});
    const auto here = open_engine(model, {});
    // One page of 256 KiB in memory, ten sealed ones on the disk.
    const auto caged = spawn_engine(
        JIPHYEON_ENGINE_CHILD, {"model"}, model,
        {.prefix_cache_bytes = 300'000, .prefix_disk_bytes = 2'700'000, .prefix_disk_folder = dir.path()});
    for (const bool again : {false, true}) {
        for (const char letter : {'a', 'b', 'c'}) {
            GenerateRequest request;
            request.prompt = here->tokenizer().encode(std::string(600, letter));
            request.max_tokens = 8;
            request.cache_domain = "부서";
            const Generated got = caged->generate(request, {});
            EXPECT_EQ(got.logits_hash, here->generate(request, {}).logits_hash);
            EXPECT_EQ(got.cached_tokens, again ? 512u : 0u);
        }
    }
}

TEST(Worker, UsersOfAKilledEngineAreToldAtOnceAndTheNextOneAnswersAsBefore)
{
    const test::TempDir dir;
    const std::filesystem::path model = dir.path() / "tiny.gguf";
    std::ofstream(model, std::ios::binary) << test::tiny_model({});
    const auto engine = spawn_engine(JIPHYEON_ENGINE_CHILD, {"model"}, model, {});
    GenerateRequest request;
    request.prompt = engine->tokenizer().encode("제1조(목적)");
    request.max_tokens = 16;
    const Generated before = engine->generate(request, {});
    const pid_t first_child = test::child_process();
    ASSERT_GT(first_child, 0);

    GenerateRequest endless = request;
    endless.max_tokens = 200;  // all six find room
    endless.grammar = "root ::= [a-z]+";
    constexpr std::size_t kUsers = 6;
    std::atomic<std::size_t> writing = 0;
    std::atomic<bool> killed = false;
    std::vector<std::future<EngineError::Kind>> users;
    for (std::size_t i = 0; i < kUsers; ++i) {
        users.push_back(std::async(std::launch::async, [&] {
            GenerateEvents events;
            events.on_text = [&](std::string_view) {
                ++writing;
                while (!killed) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                return true;
            };
            return kind_of([&] { engine->generate(endless, events); });
        }));
    }
    while (writing < kUsers) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ::kill(first_child, SIGKILL);
    killed = true;
    for (auto& user : users) EXPECT_EQ(user.get(), EngineError::Kind::lost);

    const Generated after = engine->generate(request, {});
    EXPECT_EQ(after.logits_hash, before.logits_hash);
    EXPECT_NE(test::child_process(), first_child);
}

// The fields of every message, there and back, and every shorter or longer message refused.
TEST(WorkerMessages, AreReadBackAndRefusedWhenCutOrLengthened)
{
    using namespace worker;
    const auto check = [](const std::string& message, const auto& read, const auto& again) {
        std::string_view body = message;
        const Header header = read_header(body);
        EXPECT_EQ(again(header.id, read(body)), message);
        for (std::size_t n = 0; n < body.size(); ++n) EXPECT_THROW(read(body.substr(0, n)), EngineError) << n;
        EXPECT_THROW(read(std::string(body) + "x"), EngineError);
    };
    const auto plain = [](std::uint32_t id, const auto& value) { return write(id, value); };
    Open open{"/m.gguf",
              {.threads = 3,
               .isa = Isa::avx2,
               .context_tokens = 9,
               .kv = KvType::q8,
               .prefix_cache_bytes = 8,
               .prefix_disk_bytes = 7,
               .prefix_disk_folder = "/자료/run"}};
    check(write(5, open), read_open, plain);
    open.options.sha256.emplace().fill(3);
    check(write(5, open), read_open, plain);
    open.options.adapters = {{.file = "/a.gguf", .sha256 = open.options.sha256, .scale = 0.5f},
                             {.file = "b"}};
    check(write(5, open), read_open, plain);
    Opened opened;
    opened.info.adapters = {{.name = "말투", .scale = 2}};
    opened.info.name = "이름";
    opened.info.embeds = true;
    opened.info.kv = KvType::q8;
    opened.pieces = {"a", "", "한"};
    opened.ends = {2};
    check(write(6, opened), read_opened, plain);
    check(write(1, Encode{"글", true}), read_encode, plain);
    check(write(2, std::vector<ChatTurn>{{"user", "x"}, {"", ""}}), read_chat, plain);
    check(write(3, Logits{{1, 2}, "d"}), read_logits, plain);
    check(write(4, std::vector<std::string>{"x", ""}), read_embed, plain);
    check(write(4, Rerank{"질문", {"x", ""}}), read_rerank, plain);
    Generate generate{.request = {}, .wants_text = true, .wants_slot = false, .wants_progress = true};
    generate.request.prompt = {1, -1};
    generate.request.stop = {"s"};
    generate.request.sampling.temperature = 0.7f;
    check(write(7, generate), read_generate, plain);
    Generated generated;
    generated.finish = Generated::Finish::length;
    generated.decode_ms = 1.5;
    generated.tokens = {4};
    check(write(8, generated), read_generated, plain);
    check(write(9, Failed{EngineError::Kind::lost, "why"}), read_failed, plain);
    check(write(9, Slot{"n", "s"}), read_slot, plain);
    check(write(9, GenerateEvents::SlotFill{"t", true}), read_fill, plain);
    check(write(9, Progress{1, 2}), read_progress, plain);
    check(write_flag({Type::go_on, 1}, true), read_flag, [](std::uint32_t id, bool v) {
        return write_flag({Type::go_on, id}, v);
    });
    check(write_tokens(1, {5, 6}), read_tokens, write_tokens);
    check(write_floats(1, {0.5f}), read_floats, write_floats);
    EXPECT_EQ(write_empty({Type::cancel, 0x01020304}), std::string("\x08\x04\x03\x02\x01", 5));
}

TEST(WorkerMessages, LengthsThatCannotBeAreNotMadeRoomFor)
{
    using namespace worker;
    EXPECT_THROW(read_tokens(std::string("\xff\xff\xff\xff", 4)), EngineError);
    EXPECT_THROW(read_embed(std::string("\xff\xff\xff\x7f____", 8)), EngineError);
    EXPECT_THROW(read_flag("\x02"), EngineError);
    std::string_view unknown = "\x33____";
    EXPECT_THROW(read_header(unknown), EngineError);
}

}  // namespace
}  // namespace jiphyeon
