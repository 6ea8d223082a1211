// A child that tries what it is told to and answers with the name of the error, or "ok". With a first
// argument "open" it stays outside the cage: the control that shows that each attempt can succeed at all.
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <omp.h>
#include <spawn.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <thread>

#include "jiphyeon/sandbox.hpp"

using namespace jiphyeon;

namespace {

std::string outcome(long result)
{
    return result >= 0 ? "ok" : strerrorname_np(errno);
}

std::string closing(int fd)
{
    const std::string answer = outcome(fd);
    if (fd >= 0) ::close(fd);
    return answer;
}

std::string forking(long pid)
{
    if (pid == 0) ::_exit(0);
    const std::string answer = outcome(pid);
    if (pid > 0) ::waitpid(static_cast<pid_t>(pid), nullptr, 0);
    return answer;
}

std::string try_execve(const std::string&)
{
    char name[] = "/bin/true";
    char* arguments[] = {name, nullptr};
    char* environment[] = {nullptr};
    ::execve(name, arguments, environment);
    return strerrorname_np(errno);
}

std::string try_posix_spawn(const std::string&)
{
    char name[] = "/bin/true";
    char* arguments[] = {name, nullptr};
    char* environment[] = {nullptr};
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, name, nullptr, nullptr, arguments, environment);
    if (error != 0) return strerrorname_np(error);
    ::waitpid(pid, nullptr, 0);
    return "ok";
}

std::string try_clone3_fork(const std::string&)
{
    clone_args arguments{};
    arguments.exit_signal = SIGCHLD;
    return forking(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

std::string try_openat2(const std::string& path)
{
    open_how how{};
    how.flags = O_WRONLY;
    return closing(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
}

std::string try_send_to_address(const std::string&)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    return outcome(::sendto(kWorkerFd, "x", 1, 0, reinterpret_cast<sockaddr*>(&address), sizeof address));
}

std::string read_file(const std::string& path)
{
    std::ifstream in(path);
    if (!in) return "cannot read";
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::string add_in_threads(const std::string& count)
{
    std::atomic<int> sum = 0;
    std::vector<std::thread> threads;
    for (int i = 1; i <= std::stoi(count); ++i) threads.emplace_back([&sum, i] { sum += i; });
    for (std::thread& thread : threads) thread.join();
    return std::to_string(sum);
}

std::string add_by_openmp(const std::string& count)
{
    int sum = 0;
    omp_set_num_threads(2);
#pragma omp parallel for reduction(+ : sum)
    for (int i = 1; i <= std::stoi(count); ++i) sum += i;
    return std::to_string(sum);
}

std::string allocate(const std::string& bytes)
{
    try {
        std::string block(std::stoull(bytes), '\1');
        return block[block.size() / 2] == '\1' ? "ok" : "lost";
    } catch (const std::bad_alloc&) {
        return "bad_alloc";
    }
}

std::string open_descriptors(const std::string&)
{
    std::vector<int> numbers;
    DIR* const dir = ::opendir("/proc/self/fd");
    if (dir == nullptr) return "cannot list";
    while (const dirent* entry = ::readdir(dir))
        if (const int n = std::atoi(entry->d_name); entry->d_name[0] != '.' && n != ::dirfd(dir))
            numbers.push_back(n);
    ::closedir(dir);
    std::sort(numbers.begin(), numbers.end());
    std::string out;
    for (const int n : numbers) out += (out.empty() ? "" : " ") + std::to_string(n);
    return out;
}

std::string environment(const std::string&)
{
    std::string out;
    for (char** entry = environ; *entry != nullptr; ++entry) out += std::string(*entry) + "\n";
    return out;
}

std::string limits(const std::string&)
{
    std::string out;
    for (const auto resource : {RLIMIT_CORE, RLIMIT_AS, RLIMIT_FSIZE, RLIMIT_CPU}) {
        rlimit value{};
        ::getrlimit(resource, &value);
        out += (value.rlim_cur == RLIM_INFINITY ? std::string("-") : std::to_string(value.rlim_cur)) + " ";
    }
    return out;
}

[[noreturn]] void spin()
{
    for (std::atomic<unsigned> turns = 0;;) ++turns;
}

// For a child outside the cage: a caged child of its own, busy and never asked again.
std::string become_parent(const std::string& program)
{
    static std::optional<CagedChild> child;
    child.emplace(CagedChild::spawn(program, {}, {}));
    child->channel().send("pid");
    child->channel().receive();  // the cage is closed
    child->channel().send("spin");
    return std::to_string(child->pid());
}

using Attempt = std::function<std::string(const std::string&)>;

const std::map<std::string, Attempt, std::less<>>& attempts()
{
    static const std::map<std::string, Attempt, std::less<>> table = {
        {"echo", [](const std::string& text) { return text; }},
        {"socket inet", [](const std::string&) { return closing(::socket(AF_INET, SOCK_STREAM, 0)); }},
        {"socket inet6", [](const std::string&) { return closing(::socket(AF_INET6, SOCK_DGRAM, 0)); }},
        {"socket unix", [](const std::string&) { return closing(::socket(AF_UNIX, SOCK_STREAM, 0)); }},
        {"socket netlink", [](const std::string&) { return closing(::socket(AF_NETLINK, SOCK_RAW, 0)); }},
        {"sendto address", try_send_to_address},
        {"execve", try_execve},
        {"posix_spawn", try_posix_spawn},
        {"fork", [](const std::string&) { return forking(::fork()); }},
        {"clone3", try_clone3_fork},
        {"open write", [](const std::string& p) { return closing(::open(p.c_str(), O_WRONLY)); }},
        {"open both", [](const std::string& p) { return closing(::open(p.c_str(), O_RDWR)); }},
        {"open append", [](const std::string& p) { return closing(::open(p.c_str(), O_WRONLY | O_APPEND)); }},
        {"open create",
         [](const std::string& p) { return closing(::open(p.c_str(), O_RDONLY | O_CREAT, 0600)); }},
        {"open truncate",
         [](const std::string& p) { return closing(::open(p.c_str(), O_RDONLY | O_TRUNC)); }},
        {"open tmpfile",
         [](const std::string&) { return closing(::open("/tmp", O_TMPFILE | O_WRONLY, 0600)); }},
        {"openat2", try_openat2},
        {"creat", [](const std::string& p) { return closing(::creat(p.c_str(), 0600)); }},
        {"truncate", [](const std::string& p) { return outcome(::truncate(p.c_str(), 0)); }},
        {"chmod", [](const std::string& p) { return outcome(::chmod(p.c_str(), 0600)); }},
        {"rename", [](const std::string& p) { return outcome(::rename(p.c_str(), (p + ".2").c_str())); }},
        {"mkdir", [](const std::string& p) { return outcome(::mkdir((p + ".dir").c_str(), 0700)); }},
        {"symlink", [](const std::string& p) { return outcome(::symlink("x", (p + ".link").c_str())); }},
        {"unlink", [](const std::string& p) { return outcome(::unlink(p.c_str())); }},
        {"memfd",
         [](const std::string&) { return closing(static_cast<int>(::syscall(SYS_memfd_create, "m", 0))); }},
        {"ptrace", [](const std::string&) { return outcome(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }},
        {"signal parent", [](const std::string&) { return outcome(::kill(::getppid(), 0)); }},
        {"prlimit parent",
         [](const std::string&) { return outcome(::prlimit(::getppid(), RLIMIT_CORE, nullptr, nullptr)); }},
        {"raise limit",
         [](const std::string&) {
             const rlimit value{0, 0};
             return outcome(::setrlimit(RLIMIT_NOFILE, &value));
         }},
        {"read", read_file},
        {"threads", add_in_threads},
        {"openmp", add_by_openmp},
        {"allocate", allocate},
        {"descriptors", open_descriptors},
        {"environment", environment},
        {"limits", limits},
        {"pid", [](const std::string&) { return std::to_string(::getpid()); }},
        {"print",
         [](const std::string& text) {
             std::cout << text << std::endl;
             return std::string("ok");
         }},
        {"spin", [](const std::string&) -> std::string { spin(); }},
        {"parent", become_parent},
        {"abort", [](const std::string&) -> std::string { std::abort(); }},
        {"exit", [](const std::string& code) -> std::string { std::exit(std::stoi(code)); }},
        {"claim 4 GiB",
         [](const std::string&) {
             static_cast<void>(!::write(kWorkerFd, "\xff\xff\xff\xff", 4));
             return std::string("sent");
         }},
        {"half a message",
         [](const std::string&) {
             static_cast<void>(!::write(kWorkerFd, "\x09\0\0\0half", 8));
             ::_exit(0);
             return std::string();
         }},
        {"slow message",
         [](const std::string&) {
             static_cast<void>(!::write(kWorkerFd, "\x0a\0\0\0first", 9));
             std::this_thread::sleep_for(std::chrono::milliseconds(300));
             static_cast<void>(!::write(kWorkerFd, "later", 5));
             return std::string("done");
         }},
    };
    return table;
}

}  // namespace

int main(int argc, char** argv)
{
    // A thread that exists before the cage closes must be inside it too.
    std::atomic<int> ask = 0;
    std::string early_answer;
    std::thread early([&] {
        ask.wait(0);
        early_answer = closing(::socket(AF_INET, SOCK_STREAM, 0));
    });
    if (argc < 2 || std::string_view(argv[1]) != "open") enter_cage();
    ask = 1;
    ask.notify_one();
    early.join();

    Channel channel(kWorkerFd);
    try {
        for (;;) {
            const std::string message = *channel.receive();
            const std::size_t bar = message.find('|');
            const std::string name = message.substr(0, bar);
            const std::string argument = bar == std::string::npos ? "" : message.substr(bar + 1);
            if (name == "early thread") {
                channel.send(early_answer);
                continue;
            }
            const auto found = attempts().find(name);
            channel.send(found == attempts().end() ? "unknown attempt" : found->second(argument));
        }
    } catch (const SandboxError&) {
        return 0;
    }
}
