// The settings file: what is written is read back, and what is wrong is named with its place.
#include "config.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <utility>

#include "support/temp_dir.hpp"

namespace jiphyeon::app {
namespace {

std::string error_of(const std::string& text, std::string* where = nullptr)
{
    const test::TempDir dir;
    const auto file = dir.path() / "jiphyeon.toml";
    std::ofstream(file) << text;
    try {
        Config::load(file);
    } catch (const CommandError& e) {
        EXPECT_EQ(e.kind, CommandError::Kind::config);
        if (where) *where = e.where.substr(e.where.rfind('/') + 1);
        return e.what();
    }
    return "";
}

TEST(Config, EverySettingSurvivesWritingAndReading)
{
    const test::TempDir dir;
    Config config;
    config.address = "10.0.0.7";
    config.port = 443;
    config.hosts = {"jiphyeon.부처.go.kr", "답변"};
    config.llm = {"/models/a b.gguf", std::string(64, 'a')};
    config.embedder = {"/models/e.gguf", std::string(64, 'b')};
    config.adapter = {"/models/어댑터.gguf", std::string(64, 'c')};
    config.threads = 3;
    config.isa = Isa::avx2;
    config.context_tokens = 8192;
    config.kv = KvType::q8;
    config.prefix_cache_mib = 0;
    config.prefix_disk_mib = 4096;
    config.remote = {.url = "",
                     .kind = ServerKind::vllm,
                     .model = "K/모델",
                     .authorities = "/etc/ca.pem",
                     .api_key_file = "/keys/서버.key",
                     .likeliest = 0,
                     .first_word_s = 7};
    config.key_file = "/keys/마스터.key";
    config.waiting = 5;
    config.session_idle_s = 600;
    config.ingest_workers = 4;
    config.save(dir.path() / "c.toml");

    const Config got = Config::load(dir.path() / "c.toml");
    EXPECT_EQ(got.address, config.address);
    EXPECT_EQ(got.port, config.port);
    EXPECT_EQ(got.hosts, config.hosts);
    EXPECT_EQ(got.llm.file, config.llm.file);
    EXPECT_EQ(got.llm.sha256, config.llm.sha256);
    EXPECT_EQ(got.embedder.file, config.embedder.file);
    EXPECT_EQ(got.adapter.file, config.adapter.file);
    EXPECT_EQ(got.adapter.sha256, config.adapter.sha256);
    EXPECT_EQ(got.threads, 3u);
    EXPECT_EQ(got.isa, Isa::avx2);
    EXPECT_EQ(got.context_tokens, 8192u);
    EXPECT_EQ(got.kv, KvType::q8);
    EXPECT_EQ(got.prefix_cache_mib, 0u);
    EXPECT_EQ(got.prefix_disk_mib, 4096u);
    EXPECT_EQ(got.remote.kind, ServerKind::vllm);
    EXPECT_EQ(got.remote.model, config.remote.model);
    EXPECT_EQ(got.remote.authorities, config.remote.authorities);
    EXPECT_EQ(got.remote.api_key_file, config.remote.api_key_file);
    EXPECT_EQ(got.remote.likeliest, 0u);
    EXPECT_EQ(got.remote.first_word_s, 7u);
    EXPECT_EQ(got.key_file, config.key_file);
    EXPECT_EQ(got.waiting, 5u);
    EXPECT_EQ(got.session_idle_s, 600u);
    EXPECT_EQ(got.ingest_workers, 4u);
}

TEST(Config, AServerThatWritesTheAnswersSurvivesWritingAndReading)
{
    const test::TempDir dir;
    Config config;
    config.remote.url = "https://llm.부처.go.kr:8000/v1";
    config.save(dir.path() / "c.toml");
    EXPECT_EQ(Config::load(dir.path() / "c.toml").remote.url, config.remote.url);
}

TEST(Config, WhatAServerThatWritesTheAnswersIgnoresIsRefusedWithItsLine)
{
    const std::string server = "[remote]\nurl = \"https://llm.부처.go.kr:8000/v1\"\n";
    const std::pair<const char*, const char*> ignored[] = {
        {"models.adapter", "[models]\nadapter = \"a.gguf\"\n"},
        {"engine.kv", "[engine]\nkv = \"q8\"\n"},
        {"engine.prefix_disk_mib", "[engine]\nprefix_disk_mib = 1\n"}};
    for (const auto& [name, text] : ignored) {
        std::string where;
        EXPECT_NE(error_of(server + text, &where).find(name), std::string::npos) << name;
        EXPECT_EQ(where, "jiphyeon.toml:4");
        EXPECT_EQ(error_of(text), "") << name;
    }
    EXPECT_EQ(error_of(server + "[models]\nadapter = \"\"\n[engine]\nkv = \"f16\"\nprefix_disk_mib = 0\n"),
              "");
}

TEST(Config, AMisspeltSettingIsNamedWithItsLine)
{
    std::string where;
    EXPECT_NE(error_of("[server]\nadress = \"127.0.0.1\"\n", &where).find("adress"), std::string::npos);
    EXPECT_EQ(where, "jiphyeon.toml:2");
    EXPECT_NE(error_of("[sever]\nport = 1\n").find("sever"), std::string::npos);
}

TEST(Config, ValuesOutOfRangeOrOfAnotherTypeAreRefused)
{
    EXPECT_NE(error_of("[server]\nport = 65536\n"), "");
    EXPECT_NE(error_of("[server]\nport = \"8443\"\n"), "");
    EXPECT_NE(error_of("[engine]\nthreads = 0\n"), "");
    EXPECT_NE(error_of("[server]\nhosts = [1]\n"), "");
    EXPECT_EQ(error_of("[server]\nport = 65535\n"), "");
}

TEST(Config, AFileThatIsNoTomlIsRefused)
{
    EXPECT_NE(error_of("[server\n"), "");
}

}  // namespace
}  // namespace jiphyeon::app
