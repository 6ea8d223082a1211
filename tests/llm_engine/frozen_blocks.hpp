// What data/make_blocks.py wrote: blocks of a weight type and the values that belong to them.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gguf.hpp"

namespace jiphyeon::test {

inline std::string name_of(TensorType type)
{
    return std::string(tensor_type_info(static_cast<std::uint32_t>(type))->name);
}

struct FrozenBlocks {
    TensorType type;
    std::vector<std::uint8_t> blocks;
    std::vector<float> values;
};

inline std::vector<FrozenBlocks> frozen_blocks(const std::string& file)
{
    const auto from_hex = [](const std::string& text) {
        std::vector<std::uint8_t> out;
        for (std::size_t i = 0; i < text.size(); i += 2)
            out.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
        return out;
    };
    std::ifstream data(std::filesystem::path(JIPHYEON_TEST_DATA) / file);
    std::vector<FrozenBlocks> all;
    for (std::string line; std::getline(data, line);) {
        const nlohmann::json frozen = nlohmann::json::parse(line);
        FrozenBlocks& one = all.emplace_back();
        one.type = static_cast<TensorType>(frozen.at("id").get<std::uint32_t>());
        EXPECT_EQ(name_of(one.type), frozen.at("type").get<std::string>());
        one.blocks = from_hex(frozen.at("blocks").get<std::string>());
        const std::vector<std::uint8_t> values = from_hex(frozen.at("values").get<std::string>());
        one.values.resize(values.size() / sizeof(float));
        std::memcpy(one.values.data(), values.data(), values.size());
    }
    return all;
}

}  // namespace jiphyeon::test
