// Goal: nothing acknowledged is ever lost, and what is left after any kill or failed call is in order.
// Method: a real program works on a record and says on a pipe what was acknowledged; it is killed at random,
// or strace kills it or fails its calls one by one; then the record is opened and held against what was said.
// JIPHYEON_KILL_ROUNDS sets the number of random kills (5).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "jiphyeon/audit.hpp"
#include "support/temp_dir.hpp"

using namespace jiphyeon;
namespace fs = std::filesystem;

namespace {

std::string read_all(const fs::path& path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// What the worker said, and whether a record may hold it against us.
class Oracle {
public:
    void hear(const std::string& line)
    {
        std::istringstream words(line);
        std::string act, text;
        words >> act;
        if (act == "open" || act.empty()) return;
        ++heard_;
        if (act == "checkpoint") {
            remembered_ = line.substr(act.size() + 1);
            std::replace(remembered_.begin(), remembered_.end(), '|', '\n');
            return;
        }
        RecordId id = 0;
        words >> id >> text;
        Said& said = said_[id];
        said.text = text;
        if (act == "note") said.note = true;
        if (act == "piece") words >> said.last_piece;
        if (act == "finish") words >> said.closed_by.emplace();
        if (act == "erasing") said.may_be_erased = true;
        if (act == "erased") said.erased = true;
    }

    void check(const AuditLog& log) const
    {
        for (const auto& [id, said] : said_) {
            SCOPED_TRACE("record " + std::to_string(id) + " " + said.text);
            try {
                const StoredRecord record = log.record(id);
                EXPECT_FALSE(said.erased);
                check_record(record, said);
            } catch (const AuditError& e) {
                EXPECT_TRUE(e.kind == AuditError::Kind::erased && said.may_be_erased) << e.what();
            }
        }
    }

    const std::string& remembered() const { return remembered_; }
    std::size_t heard() const { return heard_; }

private:
    struct Said {
        std::string text;
        bool note = false;
        int last_piece = -1;
        std::optional<std::uint64_t> closed_by;
        bool may_be_erased = false;
        bool erased = false;
    };

    static void check_record(const StoredRecord& record, const Said& said)
    {
        EXPECT_EQ(record.question, (said.note ? "note " : "question ") + said.text);
        if (said.note) return;
        // A piece that was written but not acknowledged may be there too.
        EXPECT_GE(static_cast<int>(record.pieces.size()), said.last_piece + 1);
        EXPECT_LE(static_cast<int>(record.pieces.size()), said.last_piece + 2);
        for (std::size_t i = 0; i < record.pieces.size(); ++i)
            EXPECT_TRUE(record.pieces[i].starts_with("piece " + std::to_string(i) + " of " + said.text));
        ASSERT_TRUE(record.closed);  // by itself, or by the start after the kill
        if (!said.closed_by) return;
        EXPECT_EQ(record.closed->sequence, *said.closed_by);
        EXPECT_EQ(record.closed->action, "answered");
        EXPECT_EQ(record.body, "answer " + said.text);
    }

    std::map<RecordId, Said> said_;
    std::string remembered_;
    std::size_t heard_ = 0;
};

// A child program whose standard output we read line by line.
class Worker {
public:
    explicit Worker(std::vector<std::string> words)
    {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        std::vector<char*> pointers;
        for (std::string& word : words) pointers.push_back(word.data());
        pointers.push_back(nullptr);
        const int error = ::posix_spawnp(&pid_, pointers[0], &actions, nullptr, pointers.data(), environ);
        posix_spawn_file_actions_destroy(&actions);
        ::close(ends[1]);
        out_ = ends[0];
        if (error != 0) throw std::runtime_error("cannot start " + words[0]);
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker()
    {
        kill();
        wait();
        ::close(out_);
    }

    std::optional<std::string> line()
    {
        for (;;) {
            const std::size_t end = buffer_.find('\n');
            if (end != std::string::npos) {
                const std::string out = buffer_.substr(0, end);
                buffer_.erase(0, end + 1);
                return out;
            }
            char bytes[4096];
            const ssize_t n = ::read(out_, bytes, sizeof bytes);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return std::nullopt;  // a line without its end was not said
            buffer_.append(bytes, static_cast<std::size_t>(n));
        }
    }
    void kill()
    {
        if (pid_ > 0) ::kill(pid_, SIGKILL);
    }
    int wait()
    {
        int status = -1;
        if (pid_ > 0) ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return status;
    }

private:
    pid_t pid_ = -1;
    int out_ = -1;
    std::string buffer_;
};

struct Site {
    test::TempDir folder;
    fs::path site = folder.path() / "site";
    fs::path dir = folder.path() / "record";

    Site()
    {
        Worker init({JIPHYEON_AUDIT_DRIVER, "init", site.string()});
        if (init.wait() != 0) throw std::runtime_error("audit_driver init");
    }
    std::vector<std::string> work(unsigned seed, int calls) const
    {
        return {JIPHYEON_AUDIT_DRIVER, "work", site.string(), dir.string(), std::to_string(seed),
                std::to_string(calls)};
    }
    std::unique_ptr<AuditLog> open() const
    {
        const std::string bytes = read_all(site / "bodies");
        return AuditLog::open(
            dir, SecretKey::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}),
            crypto::SigningKey::from_pem(read_all(site / "signer")), "jiphyeon.test/audit");
    }
    void check(const Oracle& oracle) const
    {
        const auto log = open();
        oracle.check(*log);
        const AuditReport report = log->verify(oracle.remembered());
        EXPECT_TRUE(report.ok) << (report.problems.empty() ? "" : report.problems[0].what);
    }
};

int rounds()
{
    const char* text = std::getenv("JIPHYEON_KILL_ROUNDS");
    return text == nullptr ? 5 : std::max(1, std::atoi(text));
}

bool strace_works()
{
    Worker probe({"strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync", "true"});
    const int status = probe.wait();
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST(AuditKill, RandomKillsLoseNothingThatWasAcknowledged)
{
    const Site site;
    Oracle oracle;
    std::mt19937 random(20261122);
    int unclean = 0;
    for (int round = 0; round < rounds(); ++round) {
        const std::size_t before = oracle.heard();
        {
            Worker worker(site.work(static_cast<unsigned>(round), 100'000));
            // Sometimes in the middle of the start, and of the recovery it does.
            const unsigned lines = round % 4 == 3 ? 0 : static_cast<unsigned>(random() % 60 + 1);
            for (unsigned i = 0; i < lines; ++i) {
                const std::optional<std::string> line = worker.line();
                ASSERT_TRUE(line) << "the worker ended by itself";
                oracle.hear(*line);
            }
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
            worker.kill();
            while (const std::optional<std::string> line = worker.line()) oracle.hear(*line);
        }
        // Every third kill is left for the next worker to recover from.
        if (round % 3 == 2) continue;
        const auto log = site.open();
        oracle.check(*log);
        const AuditReport report = log->verify(oracle.remembered());
        ASSERT_TRUE(report.ok) << report.problems[0].what;
        for (std::uint64_t i = 0; i < log->size(); ++i) unclean += log->leaf(i).action == "unclean start";
        if (HasFailure()) FAIL() << "round " << round << " after " << before << " calls";
    }
    site.check(oracle);
    EXPECT_GT(unclean, 0);
    EXPECT_GT(oracle.heard(), 10u);
    std::cout << rounds() << " kills, " << oracle.heard() << " acknowledged calls\n";
}

// A kill loses nothing that was written, synced or not; only a power cut does. So the calls themselves are
// looked at: between what a call writes and the word that it is done lie the syncs, the head last.
TEST(AuditSync, NothingIsAcknowledgedBeforeItIsOnTheDisk)
{
    if (!strace_works()) GTEST_SKIP() << "strace cannot trace here";
    const Site site;
    const fs::path trace = site.folder.path() / "trace";
    Worker worker({"strace", "-f", "-y", "-o", trace.string(), "-e", "trace=pwrite64,fdatasync,write",
                   JIPHYEON_AUDIT_DRIVER, "add", site.site.string(), site.dir.string(), "5"});
    worker.wait();
    std::ifstream in(trace);
    std::string line, calls;  // a letter for each
    int acknowledged = 0;
    while (std::getline(in, line)) {
        const bool sync = line.find("fdatasync(") != std::string::npos;
        if (line.find("write(1<") != std::string::npos) {
            // The last log write before the word, then keys, log, head written, head.
            const std::size_t written = calls.rfind('l');
            ASSERT_NE(written, std::string::npos);
            EXPECT_EQ(calls.substr(written), "lKLhH") << acknowledged;
            calls.clear();
            ++acknowledged;
        } else if (line.find("/record/log>") != std::string::npos) {
            calls += sync ? 'L' : 'l';
        } else if (line.find("/record/keys>") != std::string::npos && sync) {
            calls += 'K';
        } else if (line.find("/record/head>") != std::string::npos) {
            calls += sync ? 'H' : 'h';
        }
    }
    EXPECT_EQ(acknowledged, 5);
}

// Each system call that touches the record fails once, and is where the program is killed once: first,
// second, …
class AuditFault : public testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(AuditFault, AtEveryCallLeavesWhatWasAcknowledged)
{
    if (!strace_works()) GTEST_SKIP() << "strace cannot trace here";
    const auto& [call, fault] = GetParam();
    int faults = 0;
    for (int n = 1; n <= 40; n = n < 8 ? n + 1 : n * 3 / 2) {
        const Site site;
        Oracle oracle;
        ASSERT_EQ(Worker(site.work(1, 2)).wait(), 0);  // so that the faults meet a start as well
        Worker worker([&] {
            std::vector<std::string> words = {
                "strace", "-f",
                "-o",     "/dev/null",
                "-e",     "trace=" + call,
                "-e",     "inject=" + call + ":" + fault + ":when=" + std::to_string(n)};
            for (const std::string& word : site.work(7, 6)) words.push_back(word);
            return words;
        }());
        while (const std::optional<std::string> line = worker.line()) oracle.hear(*line);
        const int status = worker.wait();
        faults += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        try {
            site.check(oracle);
        } catch (const AuditError& e) {
            FAIL() << call << " " << fault << " " << n << ": " << e.what();
        }
        if (HasFailure()) FAIL() << call << " " << fault << " " << n;
    }
    EXPECT_GT(faults, 5);  // the injection did happen
}

INSTANTIATE_TEST_SUITE_P(Audit, AuditFault,
                         testing::Values(std::pair{"fdatasync", "error=EIO"},
                                         std::pair{"pwrite64", "error=ENOSPC"},
                                         std::pair{"fdatasync", "signal=KILL"},
                                         std::pair{"pwrite64", "signal=KILL"}),
                         [](const auto& fault) {
                             std::string name = fault.param.first + "_" + fault.param.second;
                             std::replace(name.begin(), name.end(), '=', '_');
                             return name;
                         });
