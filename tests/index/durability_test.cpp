// What a crash, a full disk and damaged files may and may not do.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <thread>

#include "steps.hpp"

namespace jiphyeon {
namespace {

namespace fs = std::filesystem;
using test::document;
using test::scope;
using test::take_step;
using test::test_key;

// Starts the writer with its standard output at `output`, or where ours is when that is -1.
pid_t start_writer(std::vector<std::string> arguments, int output)
{
    arguments.insert(arguments.begin(), JIPHYEON_INDEX_WRITER);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    if (output >= 0) ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    pid_t child = -1;
    const int failed = ::posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    return failed == 0 ? child : -1;
}

std::string read_file(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// A twin that took the same steps without being disturbed.
std::set<std::string> state_of(const Index& index)
{
    std::set<std::string> state;
    for (const DocumentRecord& record : index.documents()) {
        state.insert(record.id + " " + record.label);
        for (const Chunk& chunk : index.chunks_of(record.id, scope({"public", "hr"})))
            state.insert(chunk.id() + chunk.text);
    }
    for (const auto& [key, value] : index.rows("journal")) state.insert("journal " + key);
    return state;
}

TEST(Durability, KilledWritersLoseNothingTheyAcknowledged)
{
    const char* asked = std::getenv("JIPHYEON_KILL_ROUNDS");
    const int rounds = asked != nullptr ? std::atoi(asked) : 5;
    const SecretKey key = test_key();
    const test::TempDir dir;
    std::mt19937 random(std::random_device{}());
    unsigned steps = 0;  // that are in the index
    const auto twin = Index::open(dir.path() / "twin", {.master_key = &key});
    for (int round = 0; round < rounds; ++round) {
        int pipe_ends[2];
        ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
        const pid_t child =
            start_writer({"steps", dir.path() / "index", std::to_string(steps)}, pipe_ends[1]);
        ASSERT_GT(child, 0);
        ::close(pipe_ends[1]);
        unsigned acknowledged = 0;
        const unsigned enough = 1 + static_cast<unsigned>(random() % 40);
        char done = 0;
        while (acknowledged < enough && ::read(pipe_ends[0], &done, 1) == 1) ++acknowledged;
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
        ::kill(child, SIGKILL);
        while (::read(pipe_ends[0], &done, 1) == 1) ++acknowledged;
        ::close(pipe_ends[0]);
        int status = 0;
        ::waitpid(child, &status, 0);
        ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);

        const auto index = Index::open(dir.path() / "index", {.master_key = &key});
        EXPECT_EQ(index->check(), std::vector<std::string>{}) << "round " << round;
        for (unsigned n = steps; n < steps + acknowledged; ++n) take_step(*twin, n);
        steps += acknowledged;
        // One step more may be in: finished, but killed before it was acknowledged. Its vector alone may be
        // missing.
        if (state_of(*index) != state_of(*twin)) {
            take_step(*twin, steps);
            ++steps;
        }
        ASSERT_EQ(state_of(*index), state_of(*twin)) << "round " << round << ", " << steps << " steps";
    }
}

TEST(Durability, OriginalsNeverTouchTheDiskInClear)
{
    const std::string planted = "PLANTED-7f3a-원본에만-있는-문장";
    const test::TempDir dir;
    const SecretKey key = test_key();
    {
        const auto index = Index::open(dir.path() / "index", {.master_key = &key});
        DocumentWrite write = document("a", "public", {"연가"});
        for (int i = 0; i < 1000; ++i) write.original += planted + std::to_string(i);
        write.view = "CONTROL-본문에-있는-문장";
        index->put(write);
        DocumentWrite small = document("b", "public", {"연가"});
        small.original = planted;
        index->put(small);
        index->backup(dir.path() / "copy");
        EXPECT_EQ(index->original("b"), planted);
    }
    bool control = false;
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
        if (!entry.is_regular_file()) continue;
        ++files;
        const std::string bytes = read_file(entry.path());
        EXPECT_EQ(bytes.find("PLANTED-7f3a"), std::string::npos) << entry.path();
        control = control || bytes.find("CONTROL-") != std::string::npos;
    }
    EXPECT_GT(files, 5u);
    EXPECT_TRUE(control) << "the scan finds nothing at all";
}

TEST(Durability, RemovalDestroysTheKeyOfTheOriginal)
{
    const test::TempDir dir;
    const SecretKey key = test_key();
    const auto index = Index::open(dir.path() / "index", {.master_key = &key});
    const std::string planted = "REMOVED-2b61-지워질-문장";
    DocumentWrite write = document("a", "public", {planted});
    write.document.title = planted;
    write.view = planted;
    write.original = "원본";
    index->put(write);
    index->put(document("b", "public", {"남을 문장 CONTROL-2b61"}));
    index->remove("a");
    bool control = false;
    for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
        if (!entry.is_regular_file()) continue;
        const std::string bytes = read_file(entry.path());
        EXPECT_EQ(bytes.find("REMOVED-2b61"), std::string::npos) << entry.path();
        EXPECT_EQ(bytes.find("original key:a"), std::string::npos) << entry.path();
        control = control || bytes.find("CONTROL-2b61") != std::string::npos;
    }
    EXPECT_TRUE(control) << "the scan finds nothing at all";
}

TEST(Durability, AFullDiskIsAnErrorAndLosesNothing)
{
    const test::TempDir dir;
    const pid_t child = start_writer({"full", dir.path() / "index"}, -1);
    ASSERT_GT(child, 0);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    const auto index = Index::open(dir.path() / "index", {});
    EXPECT_TRUE(index->document("kept"));
    EXPECT_EQ(index->check(), std::vector<std::string>{});
}

// Every file of a closed index is damaged in several places, one at a time. Each time the damage is an
// IndexError, is listed by check(), or hits bytes that carry nothing; never a crash, a hang or another
// answer.
TEST(Durability, DamagedFilesAreFoundOrHarmless)
{
    const test::TempDir dir;
    const fs::path whole = dir.path() / "index", damaged = dir.path() / "damaged";
    {
        const auto index = Index::open(whole, {});
        for (int i = 0; i < 30; ++i) {
            index->put(document("d" + std::to_string(i), "public", {"연가 " + std::to_string(i), "병가"}));
        }
        index->remove("d0");  // writes the tables out
        index->put(document("tail", "public", {"공가"}));
    }
    std::mt19937 random(5);
    unsigned refused = 0, listed = 0;
    for (const auto& entry : fs::directory_iterator(whole)) {
        const std::string name = entry.path().filename();
        if (!entry.is_regular_file() || entry.file_size() == 0 || name.starts_with("LOG") || name == "LOCK")
            continue;
        for (int round = 0; round < 4; ++round) {
            fs::remove_all(damaged);
            fs::copy(whole, damaged);
            std::string bytes = read_file(entry.path());
            if (round == 0) {
                bytes.resize(bytes.size() / 2);
            } else {
                bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
            }
            std::ofstream(damaged / name, std::ios::binary) << bytes;
            try {
                const auto index = Index::open(damaged, {});
                if (!index->check().empty()) ++listed;
                for (const Hit& hit :
                     index->search_lexical(analyze("연가 병가 공가"), 100, scope({"public"}))) {
                    EXPECT_EQ(hit.chunk.label, "public");
                }
            } catch (const IndexError&) {
                ++refused;
            }
        }
    }
    EXPECT_GT(refused, 10u);
    EXPECT_GT(refused + listed, 20u);
}

TEST(Durability, AnotherFormatIsRefusedByName)
{
    const test::TempDir dir;
    fs::create_directories(dir.path() / "index");
    std::ofstream(dir.path() / "index" / "CURRENT") << "MANIFEST-000001\n";
    EXPECT_THROW(Index::open(dir.path() / "index", {}), IndexError);
    try {
        Index::open(dir.path() / "nothing", {.read_only = true});
        FAIL();
    } catch (const IndexError& e) {
        EXPECT_NE(e.kind, IndexError::Kind::locked) << e.what();
    }
}

}  // namespace
}  // namespace jiphyeon
