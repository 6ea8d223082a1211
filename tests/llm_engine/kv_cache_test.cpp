// The tree of pages and the file below it, without a model: a test's page is filled with numbers that follow
// from its domain and tokens, so that a page in the wrong place shows.
#include "kv_cache.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <numeric>
#include <random>
#include <thread>

#include "support/nameless_file.hpp"
#include "support/temp_dir.hpp"

namespace jiphyeon {
namespace {

constexpr KvShape kShape{.layers = 1, .heads = 1, .head_size = 16};
constexpr std::size_t kSlotBytes = 20480;  // a page of 16 KiB, sealed

using Tokens = std::vector<TokenId>;

// One token more than the pages, which is left to compute.
Tokens prompt_of(TokenId first, std::size_t pages)
{
    Tokens tokens(pages * kChunkPositions + 1);
    std::iota(tokens.begin(), tokens.end(), first);
    return tokens;
}

std::vector<char> content_of(std::string_view domain, std::span<const TokenId> tokens)
{
    std::seed_seq seed(tokens.begin(), tokens.end());
    std::mt19937 random(seed);
    std::vector<char> bytes(kShape.page_bytes());
    for (char& byte : bytes) byte = static_cast<char>(random() + static_cast<unsigned char>(domain.at(0)));
    return bytes;
}

// What a request does that finds the pages `found` of its prompt and computes the rest.
void compute_and_keep(PrefixCache& cache, std::string_view domain, const Tokens& prompt,
                      PrefixCache::Found found = {})
{
    const std::size_t pages = prompt.size() / kChunkPositions;
    for (std::size_t p = found.pages.size(); p < pages; ++p) {
        found.pages.push_back(std::make_shared<KvPage>(kShape));
        const auto bytes = content_of(domain, std::span(prompt).first((p + 1) * kChunkPositions));
        std::copy(bytes.begin(), bytes.end(), found.pages.back()->bytes().begin());
    }
    cache.keep(domain, std::span(prompt).first(pages * kChunkPositions), std::move(found.pages));
}

PrefixCache::Found find_and_load(PrefixCache& cache, std::string_view domain, const Tokens& prompt)
{
    PrefixCache::Found found = cache.find(domain, prompt);
    cache.load(found);
    EXPECT_TRUE(found.stored.empty());
    for (std::size_t p = 0; p < found.pages.size(); ++p) {
        const auto expected = content_of(domain, std::span(prompt).first((p + 1) * kChunkPositions));
        const auto bytes = found.pages[p]->bytes();
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), expected.begin())) << "page " << p;
    }
    return found;
}

std::size_t pages_found(PrefixCache& cache, std::string_view domain, const Tokens& prompt)
{
    return find_and_load(cache, domain, prompt).pages.size();
}

std::vector<float> vector_of(std::size_t position, std::size_t size)
{
    std::mt19937 random(static_cast<unsigned>(position));
    std::normal_distribution<float> normal;
    std::vector<float> out(size);
    for (float& x : out) x = normal(random);
    return out;
}

// In whatever order and by whichever instruction set they come.
TEST(KvPageTest, APositionsBytesDependOnItsOwnNumbersAlone)
{
    for (const std::size_t size : {16u, 64u, 80u, 96u, 128u, 256u}) {
        for (const KvType type : {KvType::f16, KvType::q8}) {
            const KvShape shape{.layers = 2, .heads = 3, .head_size = size, .type = type};
            const auto filled = [&](Isa isa, std::size_t step) {
                KvPage page(shape);
                for (std::size_t i = 0, p = 0; i < kChunkPositions; ++i, p = (p + step) % kChunkPositions) {
                    for (std::size_t plane = 0; plane < 6; ++plane) {
                        const auto key = vector_of(6 * p + plane, size);
                        const auto value = vector_of(7000 + 6 * p + plane, size);
                        page.store(kernels_for(isa), plane / 3, plane % 3, p, key.data(), value.data());
                    }
                }
                return std::vector<char>(page.bytes().begin(), page.bytes().end());
            };
            const std::vector<char> expected = filled(Isa::scalar, 1);
            for (const Isa isa : available_isas())
                EXPECT_EQ(filled(isa, 77), expected) << isa_name(isa) << ' ' << kv_type_name(type) << size;
        }
    }
}

TEST(KvPageTest, BytesTakeLittleMoreThanHalfOfWhatHalvesTake)
{
    for (const std::size_t size : {64u, 80u, 96u, 128u, 256u}) {
        const KvShape f16{.layers = 28, .heads = 2, .head_size = size};
        const KvShape q8{.layers = 28, .heads = 2, .head_size = size, .type = KvType::q8};
        EXPECT_EQ(f16.page_bytes(), 28 * 2 * 2 * 256 * size * 2);
        EXPECT_LT(q8.page_bytes(), f16.page_bytes() * 58 / 100) << size;
        EXPECT_GT(q8.page_bytes(), f16.page_bytes() / 2) << size;
    }
}

class KvFile : public ::testing::Test {
protected:
    std::unique_ptr<PageFile> file(std::size_t slots) const
    {
        return std::make_unique<PageFile>(dir_.path(), kShape.page_bytes(), slots * kSlotBytes);
    }
    void change(std::size_t offset, const std::function<char(char)>& how) const
    {
        const auto files = test::nameless_files(dir_.path());
        ASSERT_EQ(files.size(), 1u);
        std::fstream bytes(files[0], std::ios::binary | std::ios::in | std::ios::out);
        bytes.seekg(static_cast<std::streamoff>(offset));
        const char was = static_cast<char>(bytes.get());
        bytes.seekp(static_cast<std::streamoff>(offset));
        bytes.put(how(was));
    }
    void flip(std::size_t offset) const
    {
        change(offset, [](char was) { return static_cast<char>(was ^ 0x10); });
    }

    const test::TempDir dir_;
};
using PageFileTest = KvFile;
using PrefixCacheTest = KvFile;

TEST_F(PageFileTest, ItHasNoNameAndTakesItsSpaceAtOnce)
{
    const auto pages = file(3);
    EXPECT_EQ(pages->slots(), 3u);
    EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
    const auto files = test::nameless_files(dir_.path());
    ASSERT_EQ(files.size(), 1u);
    struct stat status {};
    ASSERT_EQ(::stat(files[0].c_str(), &status), 0);
    EXPECT_EQ(static_cast<std::size_t>(status.st_size), 3 * kSlotBytes);
    EXPECT_GE(static_cast<std::size_t>(status.st_blocks) * 512, 3 * kSlotBytes);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_EQ(status.st_nlink, 0u);
}

TEST_F(PageFileTest, AFolderThatTakesNoFileIsRefused)
{
    try {
        PageFile(dir_.path() / "missing", kShape.page_bytes(), kSlotBytes);
        ADD_FAILURE() << "accepted";
    } catch (const EngineError& error) {
        EXPECT_EQ(error.kind, EngineError::Kind::io);
    }
}

TEST_F(PageFileTest, APageOpensForItsIdentityAlone)
{
    const auto pages = file(2);
    const std::vector<char> page = content_of("d", Tokens{1});
    std::vector<char> got(page.size());
    ASSERT_TRUE(pages->write(1, Digest{1}, page));
    EXPECT_TRUE(pages->read(1, Digest{1}, got));
    EXPECT_EQ(got, page);
    EXPECT_FALSE(pages->read(1, Digest{2}, got)) << "another identity";
    EXPECT_FALSE(pages->read(0, Digest{1}, got)) << "a slot that was never written";
    ASSERT_TRUE(pages->write(1, Digest{3}, page));
    EXPECT_FALSE(pages->read(1, Digest{1}, got)) << "written over";
}

TEST_F(PageFileTest, NothingOfAPageIsReadableOnTheDisk)
{
    const auto pages = file(1);
    const std::string text = "이 문서는 대외비입니다";
    std::vector<char> page(kShape.page_bytes(), 'x');
    std::copy(text.begin(), text.end(), page.begin() + 1000);
    ASSERT_TRUE(pages->write(0, Digest{}, page));
    std::ifstream in(test::nameless_files(dir_.path()).at(0), std::ios::binary);
    const std::string disk{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(disk.size(), kSlotBytes);
    EXPECT_EQ(disk.find(text), std::string::npos);
    EXPECT_EQ(disk.find("xxxxxxxx"), std::string::npos);
}

TEST_F(PageFileTest, ChangedAndMissingBytesAreAMiss)
{
    const auto pages = file(2);
    const std::vector<char> page = content_of("d", Tokens{1});
    std::vector<char> got(page.size());
    const std::size_t end = kSlotBytes + page.size() + crypto::kSealBytes;
    for (const std::size_t offset :
         {kSlotBytes, kSlotBytes + 1, kSlotBytes + 13, kSlotBytes + 5000, end - 17, end - 16, end - 1}) {
        ASSERT_TRUE(pages->write(1, Digest{1}, page));
        flip(offset);
        EXPECT_FALSE(pages->read(1, Digest{1}, got)) << offset;
    }
    ASSERT_TRUE(pages->write(1, Digest{1}, page));
    std::filesystem::resize_file(test::nameless_files(dir_.path()).at(0), end - 1);
    EXPECT_FALSE(pages->read(1, Digest{1}, got)) << "cut short";
}

TEST_F(PrefixCacheTest, PagesThatMemoryHasNoRoomForComeBackFromTheFile)
{
    PrefixCache cache(kShape, 2 * kShape.page_bytes(), file(8));
    for (TokenId i = 0; i < 5; ++i) compute_and_keep(cache, "d", prompt_of(1000 * i, 2));
    EXPECT_EQ(cache.bytes(), 2 * kShape.page_bytes());
    for (TokenId i = 0; i < 5; ++i) {
        const PrefixCache::Found found = cache.find("d", prompt_of(1000 * i, 2));
        EXPECT_EQ(found.pages.size(), i == 4 ? 2u : 0u);
        EXPECT_EQ(found.stored.size(), i == 4 ? 0u : 2u);
        EXPECT_EQ(pages_found(cache, "d", prompt_of(1000 * i, 2)), 2u) << i;
    }
}

// A page read back and evicted again need not be written again; its place must still be its own.
TEST_F(PrefixCacheTest, PagesMayGoAndComeManyTimes)
{
    PrefixCache cache(kShape, 2 * kShape.page_bytes(), file(5));
    std::mt19937 random(5);
    for (int round = 0; round < 300; ++round) {
        const Tokens prompt = prompt_of(1000 * static_cast<TokenId>(random() % 4), 1 + random() % 3);
        compute_and_keep(cache, "d", prompt, find_and_load(cache, "d", prompt));
        EXPECT_LE(cache.bytes(), 2 * kShape.page_bytes());
    }
}

TEST_F(PrefixCacheTest, TheLongestUnusedPageLeavesTheFileFirst)
{
    PrefixCache cache(kShape, kShape.page_bytes(), file(2));
    for (TokenId i = 0; i < 3; ++i) compute_and_keep(cache, "d", prompt_of(1000 * i, 1));
    EXPECT_EQ(pages_found(cache, "d", prompt_of(0, 1)), 1u);  // 0 and 1 are in the file; 1 is now older
    compute_and_keep(cache, "d", prompt_of(3000, 1));         // pushes 2 out of memory, and so 1 out
    EXPECT_EQ(pages_found(cache, "d", prompt_of(0, 1)), 1u);
    EXPECT_EQ(pages_found(cache, "d", prompt_of(1000, 1)), 0u);
    EXPECT_EQ(pages_found(cache, "d", prompt_of(2000, 1)), 1u);
}

TEST_F(PrefixCacheTest, APromptThatTurnsOffInsideAStoredPageUsesItsBeginning)
{
    PrefixCache cache(kShape, kShape.page_bytes(), file(4));
    compute_and_keep(cache, "d", prompt_of(0, 2));
    compute_and_keep(cache, "d", prompt_of(9000, 1));
    Tokens prompt = prompt_of(0, 2);
    prompt[kChunkPositions + 100] = -1;
    const PrefixCache::Found found = [&] {
        PrefixCache::Found all = cache.find("d", prompt);
        cache.load(all);
        return all;
    }();
    EXPECT_EQ(found.pages.size(), 2u);
    EXPECT_EQ(found.tokens, kChunkPositions + 100);
}

TEST_F(PrefixCacheTest, AnotherDomainFindsNothingInTheFile)
{
    PrefixCache cache(kShape, kShape.page_bytes(), file(8));
    for (TokenId i = 0; i < 3; ++i) compute_and_keep(cache, "a", prompt_of(1000 * i, 1));
    EXPECT_EQ(pages_found(cache, "b", prompt_of(0, 1)), 0u);
    compute_and_keep(cache, "b", prompt_of(0, 1));  // the same tokens, other numbers: checked by pages_found
    compute_and_keep(cache, "b", prompt_of(5000, 1));
    EXPECT_EQ(pages_found(cache, "b", prompt_of(0, 1)), 1u);
    EXPECT_EQ(pages_found(cache, "a", prompt_of(0, 1)), 1u);
}

TEST_F(PrefixCacheTest, PagesOfAnotherTypeAreOtherPages)
{
    const auto stored_as = [&](KvType type) {
        KvShape shape = kShape;
        shape.type = type;
        PrefixCache cache(shape, shape.page_bytes(),
                          std::make_unique<PageFile>(dir_.path(), shape.page_bytes(), 8 * kSlotBytes));
        for (const TokenId first : {0, 9000}) {
            const Tokens prompt = prompt_of(first, 1);
            cache.keep("d", std::span(prompt).first(kChunkPositions), {std::make_shared<KvPage>(shape)});
        }
        return cache.find("d", prompt_of(0, 1)).stored.at(0).identity;
    };
    EXPECT_EQ(stored_as(KvType::q8), stored_as(KvType::q8));
    EXPECT_NE(stored_as(KvType::q8), stored_as(KvType::f16));
}

TEST_F(PrefixCacheTest, ADamagedPageIsComputedAnewAndThoseBeforeItServe)
{
    PrefixCache cache(kShape, 3 * kShape.page_bytes(), file(8));
    const Tokens prompt = prompt_of(0, 3);
    compute_and_keep(cache, "d", prompt);
    compute_and_keep(cache, "d", prompt_of(9000, 3));  // the last page goes first, into the last slot
    ASSERT_EQ(pages_found(cache, "d", prompt), 3u);
    flip(6 * kSlotBytes + 77);  // the second page
    PrefixCache::Found found = find_and_load(cache, "d", prompt);
    EXPECT_EQ(found.pages.size(), 1u);
    EXPECT_EQ(found.tokens, kChunkPositions);
    EXPECT_EQ(cache.find("d", prompt).stored.size(), 1u) << "not tried a second time";
    compute_and_keep(cache, "d", prompt, std::move(found));
    compute_and_keep(cache, "d", prompt_of(9000, 3));
    EXPECT_EQ(pages_found(cache, "d", prompt), 3u);
}

// What a request holds cannot be evicted. Were it free for whoever finds it, a chain of requests that each
// find the pages of one before could hold any number.
TEST_F(PrefixCacheTest, PagesBeyondTheLimitAreNotSharedForFree)
{
    PrefixCache cache(kShape, 2 * kShape.page_bytes());
    compute_and_keep(cache, "d", prompt_of(0, 2));
    const PrefixCache::Found held = cache.find("d", prompt_of(0, 2));
    EXPECT_EQ(held.shared, 2u);
    PrefixCache::Found running;
    for (int i = 0; i < 2; ++i) running.pages.push_back(std::make_shared<KvPage>(kShape));
    compute_and_keep(cache, "d", prompt_of(1000, 2), running);  // and goes on using them
    EXPECT_EQ(cache.bytes(), 4 * kShape.page_bytes());
    const PrefixCache::Found second = cache.find("d", prompt_of(1000, 2));
    EXPECT_EQ(second.pages.size(), 2u);
    EXPECT_EQ(second.shared, 0u);
}

// A cache of three pages and a file of four slots under many hands: what is found is always right.
TEST_F(PrefixCacheTest, ManyThreadsFindNothingButWhatWasKept)
{
    PrefixCache cache(kShape, 3 * kShape.page_bytes(), file(4));
    std::atomic<std::size_t> found_pages = 0;
    {
        std::vector<std::jthread> threads;
        for (unsigned t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                std::mt19937 random(t);
                for (int round = 0; round < 100; ++round) {
                    const Tokens prompt =
                        prompt_of(1000 * static_cast<TokenId>(random() % 4), 1 + random() % 3);
                    const char* domain = random() % 2 == 0 ? "a" : "b";
                    PrefixCache::Found found = find_and_load(cache, domain, prompt);
                    found_pages += found.pages.size();
                    compute_and_keep(cache, domain, prompt, std::move(found));
                }
            });
        }
    }
    EXPECT_GT(found_pages, 0u);
    EXPECT_LE(cache.bytes(), 3 * kShape.page_bytes());
}

}  // namespace
}  // namespace jiphyeon
