// The remote engine against llama-cpp-python's server with a real model. Runs where the environment variable
// JIPHYEON_LLAMA_SERVER_PYTHON names a Python that has it (bench/peers remote prints one).
#include <Poco/Net/ServerSocket.h>
#include <Poco/Process.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "events.hpp"
#include "jiphyeon/llm_engine.hpp"
#include "model_files.hpp"
#include "support/temp_dir.hpp"

namespace jiphyeon::test {
namespace {

using namespace std::chrono_literals;
using Finish = Generated::Finish;

class RemoteServer : public ::testing::Test {
protected:
    static void SetUpTestSuite()
    {
        const char* python = std::getenv("JIPHYEON_LLAMA_SERVER_PYTHON");
        const std::filesystem::path model = model_file(kQwen05b);
        if (python == nullptr || model.empty()) return;
        ::signal(SIGPIPE, SIG_IGN);
        std::uint16_t port = 0;
        {
            const Poco::Net::ServerSocket free(Poco::Net::SocketAddress("127.0.0.1", 0));
            port = free.address().port();
        }
        // logits_all: or the server would tell no likeliest tokens.
        server_ = std::make_unique<Poco::ProcessHandle>(Poco::Process::launch(python, {"-m",
                                                                                       "llama_cpp.server",
                                                                                       "--model",
                                                                                       model.string(),
                                                                                       "--model_alias",
                                                                                       "qwen",
                                                                                       "--host",
                                                                                       "127.0.0.1",
                                                                                       "--port",
                                                                                       std::to_string(port),
                                                                                       "--n_ctx",
                                                                                       "512",
                                                                                       "--n_threads",
                                                                                       "2",
                                                                                       "--logits_all",
                                                                                       "true",
                                                                                       "--interrupt_requests",
                                                                                       "false",
                                                                                       "--verbose",
                                                                                       "false"}));
        RemoteOptions options;
        options.url = "http://127.0.0.1:" + std::to_string(port) + "/v1";
        options.kind = ServerKind::llama_cpp_python;
        options.model = "qwen";
        options.vocabulary = model;
        options.context_tokens = 512;
        options.attempts = 1;
        options_ = std::make_unique<RemoteOptions>(options);
        for (int i = 0; i < 300 && !engine_ && Poco::Process::isRunning(*server_); ++i) {
            try {
                engine_ = connect_engine(options);
            } catch (const EngineError&) {
                std::this_thread::sleep_for(200ms);  // it still reads its model
            }
        }
        ASSERT_TRUE(engine_) << "the server does not come up";
    }
    static void TearDownTestSuite()
    {
        engine_.reset();
        if (!server_) return;
        Poco::Process::kill(*server_);
        server_->wait();
        server_.reset();
    }
    void SetUp() override
    {
        if (!engine_) GTEST_SKIP() << "no server";
    }

    static GenerateRequest chat(const Engine& engine, const std::string& text, std::size_t max_tokens)
    {
        const std::vector<ChatTurn> turns = {{"user", text}};
        GenerateRequest request;
        request.prompt = engine.chat_prompt(turns);
        request.max_tokens = max_tokens;
        return request;
    }

    static std::unique_ptr<Poco::ProcessHandle> server_;
    static std::unique_ptr<RemoteOptions> options_;
    static std::unique_ptr<Engine> engine_;
};
std::unique_ptr<Poco::ProcessHandle> RemoteServer::server_;
std::unique_ptr<RemoteOptions> RemoteServer::options_;
std::unique_ptr<Engine> RemoteServer::engine_;

TEST_F(RemoteServer, AnswersInTheFormOfItsTemplateAndStreams)
{
    std::string heard;
    unsigned pieces = 0;
    const Generated out =
        engine_->generate(chat(*engine_, "대한민국의 수도는 어디입니까? 한 문장으로 답하십시오.", 40),
                          hearing([&](std::string_view text) {
                              heard += text;
                              ++pieces;
                              return true;
                          }));
    EXPECT_NE(out.text.find("서울"), std::string::npos) << out.text;
    EXPECT_EQ(heard, out.text);
    EXPECT_GT(pieces, 2u);
    EXPECT_EQ(out.finish, Finish::end);
    EXPECT_EQ(out.served_as, "qwen");
}

// The model alone would answer with a sentence; the grammar, which the server is given, holds it to digits.
TEST_F(RemoteServer, KeepsToAGrammarThatTheModelWouldNot)
{
    GenerateRequest request = chat(*engine_, "대한민국의 수도는 어디입니까? 한 문장으로 답하십시오.", 20);
    request.grammar = "root ::= [0-9]{3} \"-\" [가-나]";
    const Generated guided = engine_->generate(request, {});
    EXPECT_EQ(guided.finish, Finish::end) << guided.text;
    EXPECT_EQ(guided.text.size(), 4 + std::string("가").size()) << guided.text;

    RemoteOptions unguided = *options_;
    unguided.kind = ServerKind::openai;
    EXPECT_EQ(connect_engine(unguided)->generate(request, {}).finish, Finish::off_grammar);
}

TEST_F(RemoteServer, GoesOnBehindASlotFromItsFill)
{
    GenerateRequest request = chat(*engine_, "1부터 5까지 세십시오.", 60);
    request.grammar = "root ::= \"하나\" <slot:cite> \", \" [가-힣]{1,3} <slot:cite> \".\"";
    std::vector<std::string> since;
    const Generated out = engine_->generate(
        request, filling([&](std::string_view, std::string_view text) {
            since.emplace_back(text);
            return GenerateEvents::SlotFill{" [" + std::to_string(since.size()) + "]", false};
        }));
    ASSERT_EQ(since.size(), 2u) << out.text;
    EXPECT_EQ(since[0], "하나");
    EXPECT_EQ(out.text, "하나 [1]" + since[1] + " [2].");
    EXPECT_EQ(out.finish, Finish::end);
}

TEST_F(RemoteServer, TellsWhichTokenIsLikelier)
{
    const std::vector<TokenId> prompt = engine_->tokenizer().encode("1, 2, 3, 4, 5, 6, ");
    const std::vector<TokenId> choices = {engine_->tokenizer().encode("7").front(),
                                          engine_->tokenizer().encode("2").front()};
    const auto scores = engine_->next_scores(prompt, choices, "");
    ASSERT_TRUE(scores[0]);
    EXPECT_GT(*scores[0], scores[1].value_or(-100));
}

// The server answers one request at a time: a second one soon after a cancelled one shows that it let go.
TEST_F(RemoteServer, StopsWhenItIsHungUpOn)
{
    GenerateRequest request = chat(*engine_, "아주 긴 이야기를 들려주십시오.", 400);
    const Generated cut = engine_->generate(request, hearing([](std::string_view) { return false; }));
    EXPECT_EQ(cut.finish, Finish::cancelled);
    const auto start = std::chrono::steady_clock::now();
    engine_->generate(chat(*engine_, "안녕", 1), {});
    EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

// Settings for another kind of server end in the server's own complaint, not in a wrong answer.
TEST_F(RemoteServer, RefusesWhatIsMeantForAnotherKind)
{
    RemoteOptions wrong = *options_;
    wrong.kind = ServerKind::vllm;
    const auto engine = connect_engine(wrong);
    try {
        engine->generate(chat(*engine, "안녕", 4), {});
        FAIL();
    } catch (const EngineError& error) {
        EXPECT_NE(std::string(error.what()).find("should be a valid string"), std::string::npos)
            << error.what();
    }
}

}  // namespace
}  // namespace jiphyeon::test
