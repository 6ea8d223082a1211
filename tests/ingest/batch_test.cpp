// Whole runs over folders, with the real index and the real children.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "made_files.hpp"
#include "support/temp_dir.hpp"

extern char** environ;

namespace jiphyeon {
namespace {

using namespace test;
namespace fs = std::filesystem;

void write_file(const fs::path& path, std::string_view bytes)
{
    fs::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary);
    out << bytes;
}

SecretKey test_key()
{
    const std::array<std::uint8_t, 32> bytes{7};
    return SecretKey::from_bytes(bytes);
}

Scope everything(std::vector<std::string> labels = {"public"})
{
    return {std::move(labels), std::numeric_limits<Day>::max(), true};
}

// Hides what stands between two carets, refuses what says SECRET.
Inspection hide_carets(std::string_view text)
{
    Inspection out;
    if (text.find("SECRET") != std::string_view::npos) out.secret_mark = "Ⅱ급비밀";
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t open = text.find('^', at);
        const std::size_t close = open == std::string_view::npos ? open : text.find('^', open + 1);
        if (close == std::string_view::npos) {
            out.text += text.substr(at);
            break;
        }
        out.text += text.substr(at, open - at);
        const std::size_t from = out.text.size();
        out.text += "[가림]";
        out.pieces.push_back({open, close + 1, from, out.text.size()});
        at = close + 1;
    }
    return out;
}

std::vector<float> count_letters(std::span<const std::string> passages)
{
    std::vector<float> out;
    for (const std::string& passage : passages) {
        const float angle = static_cast<float>(passage.size() % 97) / 97.0f;
        out.push_back(std::sqrt(1 - angle * angle));
        out.push_back(angle);
    }
    return out;
}

class Batch : public ::testing::Test {
protected:
    Batch() : extractor_(options())
    {
        archive_ = dir_.path() / "archive";
        fs::create_directories(archive_);
        index_ = Index::open(dir_.path() / "index", {.master_key = &key_});
    }

    static ExtractorOptions options()
    {
        ExtractorOptions given;
        given.program = JIPHYEON_TEST_PARSER;
        given.pdf_program = JIPHYEON_TEST_PDF;
        return given;
    }

    IngestReport run(RunOptions options = {.label = "public"}, IngestOptions with = {})
    {
        Ingest ingest(*index_, extractor_, std::move(with));
        const std::vector<fs::path> paths = {archive_};
        return ingest.run(paths, options, {});
    }

    std::map<std::string, FileState> states(const IngestReport& report)
    {
        std::map<std::string, FileState> out;
        for (const FileOutcome& file : report.files)
            out[fs::path(file.path).lexically_relative(archive_).string()] = file.state;
        return out;
    }

    std::string text_of(const std::string& source)
    {
        std::string out;
        for (const DocumentRecord& record : index_->versions(source))
            for (const Chunk& chunk : index_->chunks_of(record.id, everything({record.label})))
                out += chunk.text + "\n";
        return out;
    }

    const TempDir dir_;
    fs::path archive_;
    SecretKey key_ = test_key();
    std::unique_ptr<Index> index_;
    Extractor extractor_;
};

TEST_F(Batch, EveryFileEndsInOneStateAndASecondRunChangesNothing)
{
    write_file(archive_ / "가.txt", "연가는 21일로 한다.");
    write_file(archive_ / "나.hwpx", make_hwpx(hwpx_paragraph("병가는 60일로 한다.")));
    write_file(archive_ / "빈.txt", "");
    write_file(archive_ / "다/잘린.pdf", make_pdf({{{72, 72, 10, "x"}}}).substr(0, 60));
    write_file(archive_ / "다/묶음.zip",
               make_zip({{"안.txt", "출장비는 실비로 한다."}, {"잘린.hwpx", "PK\x03\x04xxxx"}}));
    write_file(archive_ / ".숨긴", "점으로 시작하는 파일");
    const IngestReport first = run();
    const std::map<std::string, FileState> expected = {{"가.txt", FileState::indexed},
                                                       {"나.hwpx", FileState::indexed},
                                                       {"빈.txt", FileState::refused},
                                                       {"다/잘린.pdf", FileState::quarantined},
                                                       {"다/묶음.zip", FileState::indexed},
                                                       {"다/묶음.zip!/안.txt", FileState::indexed},
                                                       {"다/묶음.zip!/잘린.hwpx", FileState::quarantined}};
    EXPECT_EQ(states(first), expected);
    EXPECT_EQ(first.indexed, 4u);
    EXPECT_EQ(first.refused, 1u);
    EXPECT_EQ(first.quarantined, 2u);
    for (const FileOutcome& file : first.files) {
        if (file.state != FileState::indexed) {
            EXPECT_FALSE(file.reason.empty()) << file.path;
        }
    }

    const std::uint64_t generation = index_->generation();
    const IngestReport second = run();
    EXPECT_EQ(second.indexed, 0u);
    EXPECT_EQ(second.unchanged, 4u);
    EXPECT_EQ(second.files.size(), first.files.size());
    EXPECT_EQ(index_->generation(), generation);
    EXPECT_EQ(text_of("다/묶음.zip!/안.txt"), "출장비는 실비로 한다.\n");
    Ingest ingest(*index_, extractor_, {});
    EXPECT_EQ(ingest.quarantine().size(), 2u);
    EXPECT_EQ(ingest.journal().size(), 7u);
}

TEST_F(Batch, NewBytesAtAPathSupersedeAndDoNotOverwrite)
{
    write_file(archive_ / "규정.txt", "연가는 20일로 한다.");
    run();
    write_file(archive_ / "규정.txt", "연가는 21일로 한다.");
    run();
    const std::vector<DocumentRecord> versions = index_->versions("규정.txt");
    ASSERT_EQ(versions.size(), 2u);
    EXPECT_EQ(versions[0].state, DocumentState::superseded);
    EXPECT_EQ(versions[1].supersedes, versions[0].id);
    EXPECT_EQ(versions[1].version, 2u);
}

// Three versions of one regulation in files of their own, read in an order that is not theirs.
TEST_F(Batch, DeclaredVersionsFormOneChainInAnyOrder)
{
    const auto regulation = [](const std::string& day) {
        return make_hwpx(hwpx_paragraph("여비 지급 규정") +
                             hwpx_paragraph("[시행 " + day + "] [훈령 제" + day.substr(0, 4) + "호]") +
                             hwpx_paragraph("제1조(목적) 이 규정은 여비를 정한다.") +
                             hwpx_paragraph("제2조(금액) " + day + "의 금액이다."),
                         "", "여비 지급 규정");
    };
    write_file(archive_ / "1.hwpx", regulation("2026. 1. 1."));
    write_file(archive_ / "2.hwpx", regulation("2023. 3. 1."));
    write_file(archive_ / "3.hwpx", regulation("2024. 7. 1."));
    write_file(
        archive_ / "다른.hwpx",
        make_hwpx(hwpx_paragraph("출장 지침") + hwpx_paragraph("[시행 2025. 1. 1.]"), "", "출장 지침"));
    run();
    std::map<std::string, DocumentRecord> by_source;
    for (const DocumentRecord& record : index_->documents()) by_source[record.source_id] = record;
    EXPECT_EQ(by_source["3.hwpx"].supersedes, by_source["2.hwpx"].id);
    EXPECT_EQ(by_source["1.hwpx"].supersedes, by_source["3.hwpx"].id);
    EXPECT_EQ(by_source["1.hwpx"].state, DocumentState::current);
    EXPECT_EQ(by_source["2.hwpx"].effective_to, day_from_text("2024-06-30"));
    EXPECT_TRUE(by_source["다른.hwpx"].supersedes.empty());
    const auto found = [&](const char* day) {
        const std::vector<Hit> hits =
            index_->search_lexical(analyze("여비 금액"), 5, {{"public"}, *day_from_text(day), false});
        std::set<std::string> sources;
        for (const Hit& hit : hits) sources.insert(index_->document(hit.chunk.document_id)->source_id);
        return sources;
    };
    EXPECT_EQ(found("2025-05-01"), std::set<std::string>{"3.hwpx"});
    EXPECT_EQ(found("2026-05-01"), std::set<std::string>{"1.hwpx"});
}

TEST_F(Batch, LabelsComeFromTheNearestFolderAndUnlabelledIsForNobody)
{
    write_file(archive_ / "공개/.label", "public\n");
    write_file(archive_ / "공개/깊이/글.txt", "공개된 글이다.");
    write_file(archive_ / "감사/.label", "restricted:감사관\n");
    write_file(archive_ / "감사/글.txt", "감사에 관한 글이다.");
    write_file(archive_ / "없음/글.txt", "표지가 없는 글이다.");
    write_file(archive_ / "틀림/.label", "아무거나\n");
    write_file(archive_ / "틀림/글.txt", "표지가 틀린 글이다.");
    IngestOptions with;
    with.canonical_label = [](std::string_view text) {
        if (text == "아무거나") throw std::runtime_error("no label");
        return std::string(text);
    };
    const IngestReport report = run({}, with);
    std::map<std::string, std::string> labels;
    for (const DocumentRecord& record : index_->documents()) labels[record.source_id] = record.label;
    const std::map<std::string, std::string> expected = {
        {"공개/깊이/글.txt", "public"}, {"감사/글.txt", "restricted:감사관"}, {"없음/글.txt", kUnlabelled}};
    EXPECT_EQ(labels, expected);
    EXPECT_EQ(states(report).at("틀림/글.txt"), FileState::refused);
    // Another label for the same bytes moves the document, it does not read it again.
    write_file(archive_ / "공개/.label", "internal\n");
    run({}, with);
    EXPECT_EQ(index_->versions("공개/깊이/글.txt").at(0).label, "internal");
}

TEST_F(Batch, WhatIsHiddenIsHiddenInTextCellsLinesAndImages)
{
    write_file(archive_ / "글.pdf", make_pdf({{{72, 100, 11, "open words of the first line"},
                                               {72, 200, 11, "number ^900101-1234568^ end"}}}));
    write_file(
        archive_ / "표.hwpx",
        make_hwpx("<hp:p><hp:run><hp:tbl rowCnt=\"1\" colCnt=\"2\"><hp:tr><hp:tc><hp:subList>" +
                  hwpx_paragraph("번호") +
                  "</hp:subList><hp:cellAddr colAddr=\"0\" rowAddr=\"0\"/></hp:tc><hp:tc><hp:subList>" +
                  hwpx_paragraph("앞 ^900101-1234568^ 뒤") +
                  "</hp:subList><hp:cellAddr colAddr=\"1\" "
                  "rowAddr=\"0\"/></hp:tc></hp:tr></hp:tbl></hp:run></hp:p>"));
    write_file(archive_ / "비밀.eml",
               "From: a@b\nTo: c@d\nSubject: SECRET\nContent-Type: multipart/mixed; boundary=x\n\n"
               "--x\nContent-Type: text/plain\n\nSECRET\n--x\nContent-Type: text/plain; name=a.txt\n"
               "Content-Disposition: attachment; filename=a.txt\n\nattached\n--x--\n");
    IngestOptions with;
    with.inspect = hide_carets;
    const IngestReport report = run({.label = "public"}, with);
    EXPECT_EQ(states(report).at("비밀.eml"), FileState::refused);
    EXPECT_EQ(states(report).at("비밀.eml!/a.txt"), FileState::refused);

    const DocumentRecord pdf = index_->versions("글.pdf").at(0);
    EXPECT_EQ(pdf.masked, 1u);
    const Document seen = Document::from_json(*index_->view(pdf.id));
    EXPECT_EQ(seen.blocks.at(1).text, "number [가림] end");
    ASSERT_EQ(seen.blocks[1].lines.size(), 1u);
    EXPECT_EQ(seen.blocks[1].lines[0].end, seen.blocks[1].text.size());
    ASSERT_EQ(seen.hidden.size(), 1u);
    EXPECT_NEAR(seen.hidden[0].bottom, 1000 * 202 / 842, 12);
    EXPECT_TRUE(seen.hidden_pages.empty());

    const Document table = Document::from_json(*index_->view(index_->versions("표.hwpx").at(0).id));
    EXPECT_EQ(table.blocks.at(0).cells.at(1).text, "앞 [가림] 뒤");
    EXPECT_EQ(table.blocks[0].text, "번호\t앞 [가림] 뒤");
    EXPECT_FALSE(table.hidden_pages.empty());  // no box: no image
    for (const DocumentRecord& record : index_->documents()) {
        EXPECT_EQ(index_->view(record.id)->find("900101"), std::string::npos);
        EXPECT_EQ(text_of(record.source_id).find("900101"), std::string::npos);
    }
}

TEST_F(Batch, CorpusLinesAreDocumentsAndNameTheirPredecessorInAnyOrder)
{
    write_file(
        archive_ / "말뭉치.jsonl",
        "{\"id\":\"법-2\",\"title\":\"여비법\",\"text\":\"여비는 2만원으로 "
        "한다.\",\"effective_from\":\"2026-01-01\",\"supersedes\":\"법-1\"}\n"
        "{\"id\":\"법-1\",\"title\":\"여비법\",\"text\":\"여비는 1만원으로 한다.\",\"label\":\"internal\"}\n"
        "{\"title\":\"번호가 없다\",\"text\":\"글\"}\n"
        "{\"id\":\"셋\",\"text\":\"날이 틀렸다\",\"effective_from\":\"2026-13-01\"}\n");
    const IngestReport report = run({});
    EXPECT_EQ(report.indexed, 2u);
    EXPECT_EQ(report.refused, 2u);
    EXPECT_EQ(index_->versions("법-2").at(0).supersedes, index_->versions("법-1").at(0).id);
    EXPECT_EQ(index_->versions("법-1").at(0).label, "internal");
    EXPECT_EQ(run({}).unchanged, 2u);
}

TEST_F(Batch, VectorsAreThereWhenTheRunEnds)
{
    for (int i = 0; i < 40; ++i)
        write_file(archive_ / (std::to_string(i) + ".txt"), "문서 " + std::to_string(i) + "의 글이다.");
    IngestOptions with;
    with.embed = count_letters;
    with.embed_model = "letters";
    Ingest ingest(*index_, extractor_, with);
    std::uint64_t told = 0, most = 0;
    const std::vector<fs::path> paths = {archive_};
    ingest.run(paths, {.label = "public"}, [&](const IngestProgress& progress) {
        ++told;
        EXPECT_LE(progress.files_done, progress.files_total);
        most = std::max(most, progress.files_done);
    });
    EXPECT_EQ(index_->statistics(everything()).embedded, 40u);
    EXPECT_GE(told, 40u);
    EXPECT_EQ(most, 40u);
    EXPECT_EQ(ingest.embed_missing({}), 0u);
}

TEST_F(Batch, GivesWayBeforeEachDocumentAndBeforeVectors)
{
    for (int i = 0; i < 5; ++i)
        write_file(archive_ / (std::to_string(i) + ".txt"), "문서 " + std::to_string(i) + "의 글이다.");
    std::atomic<unsigned> gave_way = 0, embedded = 0;
    IngestOptions with;
    with.embed = [&](std::span<const std::string> passages) {
        ++embedded;
        return count_letters(passages);
    };
    with.embed_model = "letters";
    with.give_way = [&] { ++gave_way; };
    Ingest ingest(*index_, extractor_, with);
    const std::vector<fs::path> paths = {archive_};
    ingest.run(paths, {.label = "public"}, {});
    EXPECT_GE(embedded, 1u);
    EXPECT_EQ(gave_way, 5 + embedded);
    ingest.run(paths, {.label = "public"}, {});
    EXPECT_EQ(gave_way, 5 + embedded) << "what is known already costs nothing";
}

TEST_F(Batch, AStoppedRunIsResumed)
{
    for (int i = 0; i < 12; ++i)
        write_file(archive_ / (std::to_string(10 + i) + ".txt"), "문서 " + std::to_string(i));
    Ingest ingest(*index_, extractor_, {});
    std::atomic<bool> stop = false;
    const std::vector<fs::path> paths = {archive_};
    const IngestReport part = ingest.run(
        paths, {.label = "public"}, [&](const IngestProgress& progress) { stop = progress.files_done >= 5; },
        &stop);
    EXPECT_TRUE(part.stopped);
    EXPECT_EQ(part.indexed, 5u);
    const IngestReport rest = ingest.run(paths, {.label = "public"}, {});
    EXPECT_EQ(rest.indexed, 7u);
    EXPECT_EQ(rest.unchanged, 5u);
}

TEST_F(Batch, QuarantinedFilesAreTriedAgainOnlyWhenAsked)
{
    write_file(archive_ / "잘린.hwpx", "PK\x03\x04xxxx");
    run();
    const std::uint64_t generation = index_->generation();
    EXPECT_EQ(run().quarantined, 1u);
    EXPECT_EQ(index_->generation(), generation);
    EXPECT_EQ(run({.label = "public", .retry = true}).quarantined, 1u);
    EXPECT_GT(index_->generation(), generation);
}

std::set<std::string> all_chunks(const fs::path& dir)
{
    const SecretKey key = test_key();
    const std::unique_ptr<Index> index = Index::open(dir, {.master_key = &key});
    std::set<std::string> out;
    for (const DocumentRecord& record : index->documents())
        for (const Chunk& chunk : index->chunks_of(record.id, everything()))
            out.insert(chunk.id() + "\n" + chunk.header + "\n" + chunk.text + "\n" + record.supersedes);
    EXPECT_TRUE(index->check().empty());
    return out;
}

pid_t start_run(const fs::path& index, const fs::path& archive)
{
    std::vector<std::string> words = {JIPHYEON_TEST_PARSER, "ingest", index.string(), JIPHYEON_TEST_PDF,
                                      archive.string()};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, words[0].c_str(), nullptr, nullptr, arguments.data(), environ), 0);
    return pid;
}

int wait_for(pid_t pid)
{
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
}

// kill -9 at five random moments; the next run ends with the same chunks as a run that nobody disturbed.
TEST(BatchKill, ARunThatWasKilledEndsLikeOneThatWasNot)
{
    const TempDir dir;
    const fs::path archive = dir.path() / "archive";
    for (int i = 0; i < 60; ++i) {
        const std::string number = std::to_string(i);
        const std::string text = "제1조(목적) 이 규정은 " + number + "번 일을 정한다.";
        if (i % 3 == 0) write_file(archive / (number + ".txt"), text);
        if (i % 3 == 1)
            write_file(archive / (number + ".hwpx"),
                       make_hwpx(hwpx_paragraph("규정 " + number) + hwpx_paragraph(text)));
        if (i % 3 == 2)
            write_file(archive / (number + ".zip"),
                       make_zip({{"가.txt", text}, {"나.txt", text + " 둘째."}}));
    }
    ASSERT_EQ(wait_for(start_run(dir.path() / "calm", archive)), 0);
    const std::set<std::string> expected = all_chunks(dir.path() / "calm");
    ASSERT_GT(expected.size(), 70u);
    std::mt19937 random(20260101);
    for (int round = 0; round < 5; ++round) {
        const fs::path index = dir.path() / ("killed" + std::to_string(round));
        const pid_t pid = start_run(index, archive);
        std::this_thread::sleep_for(
            std::chrono::milliseconds(std::uniform_int_distribution<int>(20, 900)(random)));
        kill(pid, SIGKILL);
        wait_for(pid);
        ASSERT_EQ(wait_for(start_run(index, archive)), 0) << "round " << round;
        EXPECT_EQ(all_chunks(index), expected) << "round " << round;
    }
}

}  // namespace
}  // namespace jiphyeon
