// Starting and ending a child. posix_spawn, because a fork between threads may copy a held lock; so nothing
// of ours runs between fork and exec, and the limits are set on the child from outside (prlimit) before spawn
// returns: the child has seen no foreign byte by then.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "jiphyeon/sandbox.hpp"

namespace jiphyeon {

namespace {

// A sanitizer reserves terabytes of addresses, and its report must come through.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

void check(int error, const std::string& what)
{
    if (error != 0) throw SandboxError(SandboxError::Kind::spawn, what + ": " + std::strerror(error));
}

class FileActions {
public:
    // Standard input is empty, standard output goes to standard error (the parent's own output is read by
    // programs), the socket lies at kWorkerFd, and nothing else comes along.
    explicit FileActions(int socket)
    {
        check(posix_spawn_file_actions_init(&actions_), "spawn actions");
        check(posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0),
              "spawn actions");
        check(posix_spawn_file_actions_adddup2(&actions_, STDERR_FILENO, STDOUT_FILENO), "spawn actions");
        check(posix_spawn_file_actions_adddup2(&actions_, socket, kWorkerFd), "spawn actions");
        check(posix_spawn_file_actions_addclosefrom_np(&actions_, kWorkerFd + 1), "spawn actions");
    }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;
    ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
    const posix_spawn_file_actions_t* get() const { return &actions_; }

private:
    posix_spawn_file_actions_t actions_;
};

class Attributes {
public:
    // A group of its own, so that Ctrl-C on the terminal reaches the parent alone, which then ends its
    // children. SIGXFSZ stays blocked: a note to a log file then fails instead of killing the child.
    Attributes()
    {
        check(posix_spawnattr_init(&attributes_), "spawn attributes");
        sigset_t all, blocked;
        sigfillset(&all);
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGXFSZ);
        check(posix_spawnattr_setsigdefault(&attributes_, &all), "spawn attributes");
        check(posix_spawnattr_setsigmask(&attributes_, &blocked), "spawn attributes");
        check(posix_spawnattr_setpgroup(&attributes_, 0), "spawn attributes");
        check(posix_spawnattr_setflags(
                  &attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP),
              "spawn attributes");
    }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;
    ~Attributes() { posix_spawnattr_destroy(&attributes_); }
    const posix_spawnattr_t* get() const { return &attributes_; }

private:
    posix_spawnattr_t attributes_;
};

// The pair's descriptors are above kWorkerFd, so that no file action overwrites one that a later one needs.
std::pair<Channel, Channel> socket_pair()
{
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) check(errno, "socketpair");
    std::pair<Channel, Channel> pair{Channel(fds[0]), Channel(fds[1])};
    const auto raise = [](Channel& channel) {
        if (channel.fd() > kWorkerFd) return;
        const int higher = ::fcntl(channel.fd(), F_DUPFD_CLOEXEC, kWorkerFd + 1);
        if (higher < 0) check(errno, "fcntl");
        channel = Channel(higher);
    };
    raise(pair.first);
    raise(pair.second);
    return pair;
}

std::vector<std::string> child_environment(const std::vector<std::string>& added)
{
    std::vector<std::string> all = {"LANG=C.UTF-8", "OMP_THREAD_LIMIT=1", "OPENBLAS_NUM_THREADS=1"};
    for (const std::string& entry : added) {
        const std::string name = entry.substr(0, entry.find('=') + 1);
        std::erase_if(all, [&name](const std::string& other) { return other.starts_with(name); });
        all.push_back(entry);
    }
    return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts)
{
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (std::string& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

void limit(pid_t pid, __rlimit_resource resource, std::uint64_t value)
{
    const rlimit both{.rlim_cur = value, .rlim_max = value};
    if (::prlimit(pid, resource, &both, nullptr) != 0) check(errno, "prlimit");
}

void apply(const CageLimits& limits, pid_t pid)
{
    limit(pid, RLIMIT_CORE, 0);  // a core file would hold what the child was shown
    if (limits.cpu_s != 0) limit(pid, RLIMIT_CPU, limits.cpu_s);
    if (limits.niceness != 0) {
        const int niceness = ::getpriority(PRIO_PROCESS, 0) + limits.niceness;  // more than 19 counts as 19
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(pid), niceness);
    }
    if (kSanitized) return;
    if (limits.memory_bytes != 0) limit(pid, RLIMIT_AS, limits.memory_bytes);
    limit(pid, RLIMIT_FSIZE, limits.file_bytes);
}

std::string describe(int status)
{
    if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
    return "exit " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

CagedChild::CagedChild(pid_t pid, Channel channel) : pid_(pid), channel_(std::move(channel)) {}

CagedChild CagedChild::spawn(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                             const CageLimits& limits, const std::vector<std::string>& environment)
{
    auto [ours, theirs] = socket_pair();
    const FileActions actions(theirs.fd());
    const Attributes attributes;
    std::vector<std::string> argument_texts = {program.string()};
    argument_texts.insert(argument_texts.end(), arguments.begin(), arguments.end());
    std::vector<std::string> environment_texts = child_environment(environment);

    pid_t pid = -1;
    check(::posix_spawn(&pid, program.c_str(), actions.get(), attributes.get(),
                        pointers_to(argument_texts).data(), pointers_to(environment_texts).data()),
          "cannot start " + program.string());
    CagedChild child(pid, std::move(ours));  // from here on a throw ends the child
    apply(limits, pid);
    return child;
}

CagedChild::CagedChild(CagedChild&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      channel_(std::move(other.channel_)),
      ended_(std::move(other.ended_))
{
}

CagedChild& CagedChild::operator=(CagedChild&& other) noexcept
{
    if (this == &other) return *this;
    kill();
    pid_ = std::exchange(other.pid_, -1);
    channel_ = std::move(other.channel_);
    ended_ = std::move(other.ended_);
    return *this;
}

CagedChild::~CagedChild()
{
    kill();
}

void CagedChild::kill()
{
    if (pid_ < 0 || !ended_.empty()) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    pid_t reaped = 0;
    while ((reaped = ::waitpid(pid_, &status, 0)) < 0 && errno == EINTR) {
    }
    ended_ = reaped == pid_ ? describe(status) : "gone";
}

std::string CagedChild::state()
{
    if (pid_ < 0) return "never started";
    if (!ended_.empty()) return ended_;
    int status = 0;
    const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
    if (reaped == 0) return "running";
    ended_ = reaped == pid_ ? describe(status) : "gone";
    return ended_;
}

}  // namespace jiphyeon
