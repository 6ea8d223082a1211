#include "models.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "../llm_engine/tiny_model.hpp"
#include "console.hpp"
#include "support/temp_dir.hpp"

namespace jiphyeon::app {
namespace {

TEST(Models, OneThatDoesNotFitIsRefusedInTheOperatorsLanguageWithNumbersAndAWayOut)
{
    const test::TempDir folder;
    const std::filesystem::path model = folder.path() / "모델.gguf";
    std::ofstream(model, std::ios::binary) << test::tiny_model({});
    const EngineOptions options{.prefix_cache_bytes = std::size_t{1} << 50};
    for (const bool english : {false, true}) {
        Language::english = english;
        try {
            open_explained(model, options, [&] { return open_engine(model, options); });
            ADD_FAILURE() << "not refused";
        } catch (const EngineError& error) {
            EXPECT_EQ(error.kind, EngineError::Kind::too_large);
            const std::string text = error.what();
            EXPECT_NE(text.find(english ? "caches 1048576.0 GiB" : "캐시 1048576.0 GiB"), std::string::npos)
                << text;
            EXPECT_NE(text.find(english ? "available: " : "쓸 수 있음: "), std::string::npos) << text;
            EXPECT_NE(text.find("engine.prefix_cache_mib"), std::string::npos) << text;
        }
    }
    Language::english = false;
}

TEST(Models, WhatElseKeepsOneFromOpeningIsToldAsItIs)
{
    const auto lost = []() -> std::unique_ptr<Engine> { throw EngineError(EngineError::Kind::lost, "gone"); };
    try {
        open_explained("모델.gguf", {}, lost);
        ADD_FAILURE() << "no error";
    } catch (const EngineError& error) {
        EXPECT_STREQ(error.what(), "gone");
    }
}

}  // namespace
}  // namespace jiphyeon::app
