// The sample archive, of which every page's true text is known.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "code_points.hpp"
#include "jiphyeon/ingest.hpp"
#include "made_files.hpp"

namespace jiphyeon {
namespace {

using namespace test;
namespace fs = std::filesystem;

std::map<char32_t, int> letters_of(std::string_view text)
{
    std::map<char32_t, int> out;
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = next_code_point(text, at);
        if (c > ' ' && c != 0x3000) ++out[c];
    }
    return out;
}

// Share of the letters of `wanted` that `seen` holds.
double recall(std::string_view wanted, std::string_view seen)
{
    const std::map<char32_t, int> in = letters_of(seen);
    int all = 0, found = 0;
    for (const auto& [letter, count] : letters_of(wanted)) {
        all += count;
        const auto there = in.find(letter);
        found += there == in.end() ? 0 : std::min(count, there->second);
    }
    return all == 0 ? 1 : static_cast<double>(found) / all;
}

struct Truth {
    std::map<std::uint32_t, std::string> pages;  // 0: the format has none
};

std::map<std::string, Truth> read_truth(const fs::path& folder)
{
    std::map<std::string, Truth> out;
    std::ifstream in(folder / "truth.jsonl");
    std::string line;
    while (std::getline(in, line)) {
        const nlohmann::json row = nlohmann::json::parse(line);
        const std::uint32_t page = row["page"].is_null() ? 0 : row["page"].get<std::uint32_t>();
        out[row["document"]].pages[page] = row["text"];
    }
    return out;
}

TEST(Samples, EveryPageIsReadOntoItsPage)
{
    const fs::path folder = fs::path(JIPHYEON_SOURCE_DIR) / "build/samples";
    if (!fs::exists(folder / "truth.jsonl")) GTEST_SKIP() << "the sample archive has not been made";
    ExtractorOptions options;
    options.program = JIPHYEON_TEST_PARSER;
    options.pdf_program = JIPHYEON_TEST_PDF;
    Extractor extractor(options);
    // Reading scans takes long: one stands for all.
    std::map<std::string, std::string> formats;
    std::ifstream list(fs::path(JIPHYEON_SOURCE_DIR) / "samples/archive.jsonl");
    for (std::string line; std::getline(list, line);) {
        const nlohmann::json row = nlohmann::json::parse(line);
        formats[row["path"]] = row["format"];
    }
    bool scan_read = false;
    std::size_t pages = 0;
    for (const auto& [name, truth] : read_truth(folder)) {
        const fs::path file = folder / name;
        if (!fs::exists(file)) continue;  // a part of an archive
        const std::string& format = formats[name];
        if (format == "scan" || format == "tiff") continue;
        if (format == "jpeg" && std::exchange(scan_read, true)) continue;
        std::ifstream in(file, std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(in), {}};
        const Extraction seen = extractor.extract(file.filename().string(), bytes);
        ASSERT_TRUE(seen.document) << name << ": " << seen.not_read->reason;
        const double least = seen.document->scanned ? 0.9 : 0.985;
        for (const auto& [page, text] : truth.pages) {
            std::string got;
            for (const Block& block : seen.document->blocks)
                if (page == 0 || block.page == page) got += block.text + "\n";
            EXPECT_GE(recall(text, got), least) << name << " page " << page;
            ++pages;
        }
        for (const Block* table : blocks_of(*seen.document, BlockKind::table))
            EXPECT_TRUE(grid_is_exact(*table)) << name;
    }
    EXPECT_GT(pages, 80u);
}

}  // namespace
}  // namespace jiphyeon
