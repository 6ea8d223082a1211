// Goal: a caged child can compute, read and answer, and nothing else. Method: a real child is told to try
// each forbidden act; the same act outside the cage is the control, so that a refusal is the cage's doing.
#include "jiphyeon/sandbox.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <thread>

#include "support/temp_dir.hpp"

using namespace jiphyeon;
using namespace std::chrono_literals;

namespace {

constexpr auto kLong = 60'000ms;

CagedChild start(const CageLimits& limits = {}, const std::vector<std::string>& environment = {})
{
    return CagedChild::spawn(JIPHYEON_CAGED_CHILD, {}, limits, environment);
}

std::string ask(CagedChild& child, const std::string& message)
{
    child.channel().send(message);
    return child.channel().receive(kLong).value_or("no answer");
}

std::string wait_for_end(CagedChild& child)
{
    for (int i = 0; i < 6000 && child.state() == "running"; ++i) std::this_thread::sleep_for(10ms);
    return child.state();
}

// A killed orphan may stay as a zombie until somebody reaps it.
bool is_running(int pid)
{
    std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(in, line)) return false;
    return line.at(line.rfind(')') + 2) != 'Z';
}

SandboxError::Kind kind_thrown(const std::function<void()>& act)
{
    try {
        act();
    } catch (const SandboxError& e) {
        return e.kind;
    }
    ADD_FAILURE() << "nothing was thrown";
    return SandboxError::Kind::cage;
}

class Forbidden : public testing::TestWithParam<std::string> {};

}  // namespace

TEST_P(Forbidden, FailsInTheCageAndNotOutsideIt)
{
    const test::TempDir dir;
    const std::string file = (dir.path() / "file").string();
    std::ofstream(file) << "text";
    CagedChild caged = start();
    const std::string refusal = ask(caged, GetParam() + "|" + file);
    // clone3 and openat2 are answered "not known", so that libraries use the call that can be looked into.
    EXPECT_EQ(refusal, GetParam() == "clone3" || GetParam() == "openat2" ? "ENOSYS" : "EPERM");

    CagedChild open = CagedChild::spawn(JIPHYEON_CAGED_CHILD, {"open"}, {});
    const std::string control = ask(open, GetParam() + "|" + file);
    EXPECT_NE(control, "EPERM");
    EXPECT_NE(control, "unknown attempt");
}

INSTANTIATE_TEST_SUITE_P(Sandbox, Forbidden,
                         testing::Values("socket inet", "socket inet6", "socket unix", "socket netlink",
                                         "sendto address", "posix_spawn", "fork", "clone3", "open write",
                                         "open both", "open append", "open create", "open truncate",
                                         "open tmpfile", "openat2", "creat", "truncate", "chmod", "rename",
                                         "mkdir", "symlink", "unlink", "memfd", "ptrace", "signal parent",
                                         "prlimit parent", "raise limit"),
                         [](const auto& attempt) {
                             std::string name = attempt.param;
                             std::replace(name.begin(), name.end(), ' ', '_');
                             return name;
                         });

TEST(Sandbox, ExecveFailsInTheCage)
{
    CagedChild child = start();
    EXPECT_EQ(ask(child, "execve"), "EPERM");
    CagedChild open = CagedChild::spawn(JIPHYEON_CAGED_CHILD, {"open"}, {});
    open.channel().send("execve");  // becomes /bin/true, which ends without a word
    EXPECT_EQ(kind_thrown([&open] { open.channel().receive(kLong); }), SandboxError::Kind::closed);
    EXPECT_EQ(wait_for_end(open), "exit 0");
}

TEST(Sandbox, ThreadsStartedBeforeTheCageAreInsideIt)
{
    CagedChild child = start();
    EXPECT_EQ(ask(child, "early thread"), "EPERM");
    CagedChild open = CagedChild::spawn(JIPHYEON_CAGED_CHILD, {"open"}, {});
    EXPECT_EQ(ask(open, "early thread"), "ok");
}

TEST(Sandbox, ReadsFilesAndRunsThreads)
{
    const test::TempDir dir;
    std::ofstream(dir.path() / "문서.txt") << "집현전";
    CagedChild child = start();
    EXPECT_EQ(ask(child, "read|" + (dir.path() / "문서.txt").string()), "집현전");
    EXPECT_EQ(ask(child, "threads|20"), "210");
    EXPECT_EQ(ask(child, "openmp|1000"), "500500");
}

TEST(Sandbox, GivesTheChildNoDescriptorButItsSocket)
{
    const test::TempDir dir;
    // Without close-on-exec, as a careless library would open it.
    const int file = ::open((dir.path() / "secret").c_str(), O_RDWR | O_CREAT, 0600);
    const int leak = ::fcntl(file, F_DUPFD, 50);
    ASSERT_GE(leak, 50);
    CagedChild child = start();
    EXPECT_EQ(ask(child, "descriptors"), "0 1 2 3");
    ::close(leak);
    ::close(file);
}

TEST(Sandbox, ParentsSocketClosesOnExec)
{
    CagedChild first = start();
    EXPECT_NE(::fcntl(first.channel().fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Sandbox, EnvironmentHoldsOnlyWhatWasGiven)
{
    ::setenv("JIPHYEON_TEST_SECRET", "1", 1);
    CagedChild child = start({}, {"OMP_THREAD_LIMIT=2", "TESSDATA_PREFIX=/models"});
    EXPECT_EQ(ask(child, "environment"),
              "LANG=C.UTF-8\nOPENBLAS_NUM_THREADS=1\nOMP_THREAD_LIMIT=2\nTESSDATA_PREFIX=/models\n");
}

TEST(Sandbox, StandardOutputOfTheChildIsNotOurs)
{
    testing::internal::CaptureStdout();
    CagedChild child = start();
    EXPECT_EQ(ask(child, "print|{\"answer\":1}"), "ok");
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

TEST(Sandbox, MessagesOfEverySizeComeBackWhole)
{
    CagedChild child = start();
    for (const std::size_t size : {0u, 1u, 65'535u, 65'536u, 65'537u, 3'000'001u}) {
        std::string text(size, '\0');
        for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
        EXPECT_EQ(ask(child, "echo|" + text), text) << size;
    }
}

TEST(Sandbox, MessageCutByTheDeadlineIsFinishedByTheNextCall)
{
    CagedChild child = start();
    child.channel().send("slow message");
    std::optional<std::string> message;
    int timeouts = 0;
    while (!(message = child.channel().receive(20ms))) ++timeouts;
    EXPECT_EQ(*message, "firstlater");
    EXPECT_GT(timeouts, 0);
    EXPECT_EQ(child.channel().receive(kLong).value_or("no answer"), "done");
}

TEST(Sandbox, OversizedClaimIsRefusedWithoutMemory)
{
    CagedChild child = start();
    child.channel().send("claim 4 GiB");
    EXPECT_EQ(kind_thrown([&child] { child.channel().receive(kLong); }), SandboxError::Kind::oversized);
}

TEST(Sandbox, ChildThatEndsInTheMiddleOfAMessageIsClosed)
{
    CagedChild child = start();
    child.channel().send("half a message");
    EXPECT_EQ(kind_thrown([&child] { child.channel().receive(kLong); }), SandboxError::Kind::closed);
}

TEST(Sandbox, SendingToADeadChildThrowsAndDoesNotKillUs)
{
    CagedChild child = start();
    child.kill();
    EXPECT_EQ(kind_thrown([&child] {
                  for (int i = 0; i < 3; ++i) child.channel().send("echo|x");
              }),
              SandboxError::Kind::closed);
}

TEST(Sandbox, SaysHowTheChildEnded)
{
    CagedChild child = start();
    EXPECT_EQ(child.state(), "running");
    child.channel().send("exit|3");
    EXPECT_EQ(wait_for_end(child), "exit 3");
    CagedChild aborted = start();
    aborted.channel().send("abort");
    EXPECT_EQ(wait_for_end(aborted), "killed by signal 6");
    CagedChild killed = start();
    killed.kill();
    EXPECT_EQ(killed.state(), "killed by signal 9");
}

TEST(Sandbox, MissingProgramIsASpawnError)
{
    EXPECT_EQ(kind_thrown([] { CagedChild::spawn("/nonexistent/program", {}, {}); }),
              SandboxError::Kind::spawn);
}

TEST(Sandbox, DestroyedChildIsGone)
{
    pid_t pid = -1;
    {
        CagedChild child = start();
        CagedChild moved = std::move(child);
        pid = moved.pid();
        EXPECT_EQ(ask(moved, "pid"), std::to_string(pid));
    }
    EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Sandbox, ProcessorTimeIsLimited)
{
    CagedChild child = start({.cpu_s = 1});
    child.channel().send("spin");
    const std::string end = wait_for_end(child);
    EXPECT_TRUE(end == "killed by signal 24" || end == "killed by signal 9") << end;
}

// The grandchild hangs in a computation and reads nothing; only its watch can see that its parent was killed.
TEST(Sandbox, ChildDiesWithItsParent)
{
    CagedChild parent = CagedChild::spawn(JIPHYEON_CAGED_CHILD, {"open"}, {});
    const int pid = std::stoi(ask(parent, std::string("parent|") + JIPHYEON_CAGED_CHILD));
    ASSERT_TRUE(is_running(pid));
    parent.kill();
    for (int i = 0; i < 6000 && is_running(pid); ++i) std::this_thread::sleep_for(10ms);
    EXPECT_FALSE(is_running(pid));
}

TEST(Sandbox, ChildOutlivesTheThreadThatStartedIt)
{
    std::optional<CagedChild> child;
    std::thread([&child] { child.emplace(start()); }).join();
    EXPECT_EQ(ask(*child, "echo|still here"), "still here");
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(child->state(), "running");
}

TEST(Sandbox, AChildMayStandBack)
{
    const auto niceness_of = [](const CagedChild& child) {
        return ::getpriority(PRIO_PROCESS, static_cast<id_t>(child.pid()));
    };
    const int own = ::getpriority(PRIO_PROCESS, 0);
    EXPECT_EQ(niceness_of(start()), own);
    EXPECT_EQ(niceness_of(start({.niceness = 5})), std::min(own + 5, 19));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(Sandbox, MemoryIsLimited)
{
    CagedChild child = start({.memory_bytes = 256u << 20});
    EXPECT_EQ(ask(child, "allocate|" + std::to_string(64u << 20)), "ok");
    EXPECT_EQ(ask(child, "allocate|" + std::to_string(512u << 20)), "bad_alloc");
    CagedChild unlimited = start();
    EXPECT_EQ(ask(unlimited, "allocate|" + std::to_string(512u << 20)), "ok");
}

TEST(Sandbox, LimitsHoldBeforeTheFirstMessage)
{
    CagedChild child = start({.memory_bytes = 1u << 30, .cpu_s = 7});
    EXPECT_EQ(ask(child, "limits"), "0 1073741824 0 7 ");
}
#endif
