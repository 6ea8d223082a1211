#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "fixture.hpp"

namespace jiphyeon {
namespace {

using test::document;
using test::ids;
using test::kToday;
using test::scope;
using Ids = std::vector<std::string>;

class StoreTest : public ::testing::Test {
protected:
    void open() { index = Index::open(dir.path() / "index", {.master_key = &key}); }
    void reopen()
    {
        index.reset();
        open();
    }
    void SetUp() override { open(); }
    Ids find(const char* question, const Scope& within, std::size_t k = 10) const
    {
        return ids(index->search_lexical(analyze(question), k, within));
    }
    void expect_sound() const { EXPECT_EQ(index->check(), std::vector<std::string>{}); }

    test::TempDir dir;
    SecretKey key = SecretKey::random();
    std::unique_ptr<Index> index;
};

TEST_F(StoreTest, KeepsADocumentThroughReopening)
{
    DocumentWrite write = document("휴가규정", "public", {"연가는 15일로 한다.", "병가는 60일 이내로 한다."});
    write.document.title = "휴가 운영 규정";
    write.document.effective_from = 100;
    write.document.pages = 3;
    write.document.masked = 2;
    write.document.document_number = "제2026-12호";
    write.chunks[1].header = "휴가 운영 규정 > 제7조(병가)";
    write.chunks[1].kind = ChunkKind::table;
    write.chunks[1].place = {2, 3, true, "제7조제2항", {{2, 10, 20, 990, 1000}}};
    write.original = "파일의 바이트";
    write.rows = {{"journal", "휴가.hwpx", "indexed"}};
    index->put(write);
    reopen();

    const auto record = index->document("휴가규정");
    ASSERT_TRUE(record);
    EXPECT_EQ(record->title, "휴가 운영 규정");
    EXPECT_EQ(record->effective_from, 100);
    EXPECT_EQ(record->effective_to, std::nullopt);
    EXPECT_EQ(record->chunks, 2u);
    EXPECT_EQ(record->pages, 3u);
    EXPECT_EQ(record->masked, 2u);
    EXPECT_EQ(record->document_number, "제2026-12호");
    EXPECT_EQ(record->state, DocumentState::current);
    EXPECT_EQ(index->view("휴가규정"), "view of 휴가규정");
    EXPECT_EQ(index->original("휴가규정"), "파일의 바이트");
    EXPECT_EQ(index->row("journal", "휴가.hwpx"), "indexed");
    EXPECT_EQ(find("병가", scope({"public"})), (Ids{"휴가규정#1"}));
    const auto chunk = index->chunk("휴가규정#1", scope({"public"}));
    ASSERT_TRUE(chunk);
    EXPECT_EQ(chunk->header, "휴가 운영 규정 > 제7조(병가)");
    EXPECT_EQ(chunk->kind, ChunkKind::table);
    EXPECT_EQ(chunk->place.section, "제7조제2항");
    EXPECT_EQ(chunk->place.page_end, 3u);
    EXPECT_TRUE(chunk->place.page_exact);
    ASSERT_EQ(chunk->place.boxes.size(), 1u);
    EXPECT_EQ(chunk->place.boxes[0].right, 990);
    EXPECT_EQ(index->chunks_of("휴가규정", scope({"public"})).size(), 2u);
    expect_sound();
}

TEST_F(StoreTest, HeadersAreSearched)
{
    DocumentWrite write = document("a", "public", {"15일로 한다."});
    write.chunks[0].header = "휴가 운영 규정 > 제7조(연가)";
    index->put(write);
    EXPECT_EQ(find("제7조 연가", scope({"public"})), Ids{"a#0"});
}

TEST_F(StoreTest, ScopeDecidesBeforeRanking)
{
    index->put(document("hidden", "audit", {"감사 감사 감사 결과"}));
    index->put(document("shown", "public", {"감사 계획과 그 밖의 일을 알린다"}));
    EXPECT_EQ(find("감사", scope({"public"}), 1), Ids{"shown#0"});
    EXPECT_EQ(find("감사", scope({"audit", "public"}), 1), Ids{"hidden#0"});
    EXPECT_TRUE(find("감사", Scope{}).empty());
    EXPECT_TRUE(find("감사", scope({"없는 것"})).empty());
    EXPECT_FALSE(index->chunk("hidden#0", scope({"public"})));
    EXPECT_TRUE(index->chunks_of("hidden", scope({"public"})).empty());
    EXPECT_EQ(index->statistics(scope({"public"})).documents, 1u);
    EXPECT_EQ(index->labels_in_use(), (Ids{"audit", "public"}));
}

TEST_F(StoreTest, PuttingTheSameAgainChangesNothingThatIsFound)
{
    const DocumentWrite write = document("a", "public", {"연가 신청", "병가 신청"});
    index->put(write);
    index->put(document("b", "public", {"연가 신청", "공가"}));
    const std::string model = "m";
    index->put_vectors(Ids{"a#0"}, std::vector<float>{1, 0}, model);
    const Ids before = find("연가 신청", scope({"public"}));
    const std::uint64_t generation = index->generation();
    index->put(write);
    EXPECT_EQ(find("연가 신청", scope({"public"})), before);
    EXPECT_GT(index->generation(), generation);
    EXPECT_EQ(index->statistics(scope({"public"})).embedded, 1u);
    expect_sound();
}

TEST_F(StoreTest, ReplacingADocumentLeavesNothingOfTheOldText)
{
    index->put(document("a", "public", {"연가는 열닷새", "병가는 예순날", "공가"}));
    index->put_vectors(Ids{"a#0", "a#1"}, std::vector<float>{1, 0, 0, 1}, "m");
    index->put(document("a", "public", {"병가는 예순날", "특별휴가"}));
    EXPECT_TRUE(find("연가", scope({"public"})).empty());
    EXPECT_EQ(find("병가", scope({"public"})), Ids{"a#0"});
    EXPECT_EQ(index->statistics(scope({"public"})).chunks, 2u);
    // The chunk whose text is as before keeps its vector.
    const auto hits = index->search_dense(std::vector<float>{0, 1}, 5, scope({"public"}));
    ASSERT_EQ(ids(hits), Ids{"a#0"});
    EXPECT_FLOAT_EQ(hits[0].score, 1.0f);
    expect_sound();
    reopen();
    EXPECT_EQ(find("병가", scope({"public"})), Ids{"a#0"});
    expect_sound();
}

TEST_F(StoreTest, VersionsFollowOneAnotherByDay)
{
    const Day change = kToday - 10;
    DocumentWrite first = document("v1", "public", {"연가는 10일"}),
                  second = document("v2", "public", {"연가는 15일"});
    first.document.source_id = second.document.source_id = "규정.hwpx";
    first.document.effective_from = change - 100;
    second.document.version = 2;
    second.document.effective_from = change;
    second.document.supersedes = "v1";
    index->put(first);
    index->put(second);
    EXPECT_EQ(find("연가", scope({"public"}, change)), Ids{"v2#0"});
    EXPECT_EQ(find("연가", scope({"public"}, change - 1)), Ids{"v1#0"});
    EXPECT_TRUE(find("연가", scope({"public"}, change - 101)).empty());
    EXPECT_EQ(find("연가", Scope{{"public"}, change, true}).size(), 2u);
    const auto versions = index->versions("규정.hwpx");
    ASSERT_EQ(versions.size(), 2u);
    EXPECT_EQ(versions[0].state, DocumentState::superseded);
    EXPECT_EQ(versions[0].superseded_by, "v2");
    EXPECT_EQ(versions[0].effective_to, change - 1);
    EXPECT_EQ(versions[1].state, DocumentState::current);

    reopen();
    EXPECT_EQ(find("연가", scope({"public"}, change - 1)), Ids{"v1#0"});
    index->remove("v2");  // a mistake: what it replaced is in force again
    EXPECT_EQ(find("연가", scope({"public"}, change)), Ids{"v1#0"});
    EXPECT_EQ(index->document("v1")->effective_to, std::nullopt);
}

TEST_F(StoreTest, AVersionWithoutADateReplacesFromTheDayItWasStored)
{
    constexpr std::int64_t kDayUs = 86'400'000'000;
    DocumentWrite first = document("v1", "public", {"연가는 10일"}),
                  second = document("v2", "public", {"연가는 15일"});
    second.document.supersedes = "v1";
    second.document.stored_us = (kToday - 5) * kDayUs;
    index->put(second);  // the order of putting does not matter
    index->put(first);
    EXPECT_EQ(find("연가", scope({"public"}, kToday - 5)), Ids{"v2#0"});
    EXPECT_EQ(find("연가", scope({"public"}, kToday - 6)), Ids{"v1#0"});
}

TEST_F(StoreTest, WithdrawnIsKeptButNeverFound)
{
    index->put(document("a", "public", {"연가"}));
    index->withdraw("a");
    EXPECT_TRUE(find("연가", Scope{{"public"}, kToday, true}).empty());
    EXPECT_FALSE(index->chunk("a#0", scope({"public"})));
    EXPECT_EQ(index->document("a")->state, DocumentState::withdrawn);
    EXPECT_TRUE(index->not_embedded("m", 10).empty());
    reopen();
    EXPECT_TRUE(find("연가", scope({"public"})).empty());
    expect_sound();
}

TEST_F(StoreTest, ANewLabelMovesTextVectorsAndStatistics)
{
    index->put(document("a", "public", {"연가", "병가"}));
    index->put_vectors(Ids{"a#0"}, std::vector<float>{1, 0}, "m");
    index->set_label("a", "hr");
    EXPECT_TRUE(find("연가", scope({"public"})).empty());
    EXPECT_EQ(find("연가", scope({"hr"})), Ids{"a#0"});
    EXPECT_EQ(index->chunk("a#0", scope({"hr"}))->label, "hr");
    EXPECT_EQ(index->document("a")->label, "hr");
    EXPECT_EQ(index->statistics(scope({"public"})).chunks, 0u);
    EXPECT_EQ(index->statistics(scope({"hr"})).embedded, 1u);
    EXPECT_TRUE(index->search_dense(std::vector<float>{1, 0}, 5, scope({"public"})).empty());
    expect_sound();
}

TEST_F(StoreTest, RemovingEndsEverything)
{
    DocumentWrite write = document("a", "public", {"연가", "병가"});
    write.original = "비밀스러운 원본";
    index->put(write);
    index->put(document("b", "public", {"연가"}));
    index->put_vectors(Ids{"a#0", "b#0"}, std::vector<float>{1, 0, 0, 1}, "m");
    index->remove("a");
    EXPECT_EQ(find("연가 병가", scope({"public"})), Ids{"b#0"});
    EXPECT_EQ(index->document("a"), std::nullopt);
    EXPECT_EQ(index->view("a"), std::nullopt);
    EXPECT_EQ(index->original("a"), std::nullopt);
    EXPECT_EQ(ids(index->search_dense(std::vector<float>{1, 0}, 5, scope({"public"}))), Ids{"b#0"});
    expect_sound();
    reopen();
    EXPECT_EQ(find("연가 병가", scope({"public"})), Ids{"b#0"});
    expect_sound();
    EXPECT_THROW(index->remove("a"), IndexError);
}

TEST_F(StoreTest, VectorsOfAnotherModelGoWithItsFirstPut)
{
    index->put(document("a", "public", {"연가", "병가", "공가"}));
    index->put_vectors(Ids{"a#0", "a#1"}, std::vector<float>{1, 0, 0, 1}, "one");
    EXPECT_EQ(index->not_embedded("one", 10).size(), 1u);
    EXPECT_EQ(index->not_embedded("two", 10).size(), 3u);
    EXPECT_EQ(index->not_embedded("two", 2).size(), 2u);
    index->put_vectors(Ids{"a#2", "gone#7"}, std::vector<float>{0, 0, 1, 0, 0, 1}, "two");
    EXPECT_EQ(ids(index->search_dense(std::vector<float>{1, 1, 1}, 5, scope({"public"}))), Ids{"a#2"});
    EXPECT_THROW(index->search_dense(std::vector<float>{1, 0}, 5, scope({"public"})), IndexError);
    EXPECT_THROW(index->put_vectors(Ids{"a#0"}, std::vector<float>{1, 0}, "two"), IndexError);
    EXPECT_THROW(index->put_vectors(Ids{"a#0"}, std::vector<float>{1, 0, NAN}, "two"), IndexError);
    reopen();
    EXPECT_EQ(index->statistics(scope({"public"})).embedded, 1u);
    expect_sound();
}

TEST_F(StoreTest, RefusesWhatContradictsItself)
{
    DocumentWrite other_label = document("a", "public", {"연가"});
    other_label.chunks[0].label = "audit";
    DocumentWrite other_document = document("a", "public", {"연가"});
    other_document.chunks[0].document_id = "b";
    DocumentWrite no_label = document("a", "", {});
    const std::uint64_t before = index->generation();
    for (const DocumentWrite& write : {other_label, other_document, no_label}) {
        try {
            index->put(write);
            FAIL();
        } catch (const IndexError& e) {
            EXPECT_EQ(e.kind, IndexError::Kind::bad_request);
        }
    }
    EXPECT_EQ(index->generation(), before);
    EXPECT_TRUE(index->documents().empty());
}

TEST_F(StoreTest, RowsOfOtherOwnersAreKeptBySpace)
{
    index->put_rows(std::vector<DocumentWrite::Row>{
        {"journal", "나", "2"}, {"journal", "가", "1"}, {"journa", "다", "3"}});
    EXPECT_EQ(index->rows("journal"),
              (std::vector<std::pair<std::string, std::string>>{{"가", "1"}, {"나", "2"}}));
    index->remove_row("journal", "가");
    EXPECT_EQ(index->row("journal", "가"), std::nullopt);
    EXPECT_EQ(index->row("journa", "다"), "3");
}

TEST_F(StoreTest, AnotherOpenerIsToldThatItIsLocked)
{
    try {
        Index::open(dir.path() / "index", {});
        FAIL();
    } catch (const IndexError& e) {
        EXPECT_EQ(e.kind, IndexError::Kind::locked) << e.what();
    }
}

TEST_F(StoreTest, ABackupIsAWholeIndex)
{
    DocumentWrite write = document("a", "public", {"연가"});
    write.original = "원본";
    index->put(write);
    index->backup(dir.path() / "copy");
    index->put(document("b", "public", {"연가"}));
    const auto copy = Index::open(dir.path() / "copy", {.master_key = &key, .read_only = true});
    EXPECT_EQ(ids(copy->search_lexical(analyze("연가"), 5, scope({"public"}))), Ids{"a#0"});
    EXPECT_EQ(copy->original("a"), "원본");
    EXPECT_TRUE(copy->check().empty());
    EXPECT_THROW(copy->put(write), IndexError);
    EXPECT_THROW(index->backup(dir.path() / "copy"), IndexError);
}

TEST_F(StoreTest, OriginalsNeedTheKeyThatSealedThem)
{
    DocumentWrite write = document("a", "public", {"연가"});
    write.original = "원본";
    index->put(write);
    index.reset();
    const SecretKey other = SecretKey::random();
    index = Index::open(dir.path() / "index", {.master_key = &other});
    try {
        index->original("a");
        FAIL();
    } catch (const IndexError& e) {
        EXPECT_EQ(e.kind, IndexError::Kind::corrupt);
    }
    EXPECT_EQ(index->check().size(), 1u);
    index.reset();
    index = Index::open(dir.path() / "index", {});
    EXPECT_THROW(index->original("a"), IndexError);
    EXPECT_THROW(index->put(write), IndexError);
    EXPECT_EQ(find("연가", scope({"public"})), Ids{"a#0"});
}

}  // namespace
}  // namespace jiphyeon
