// Caged child processes: a program that may compute and talk to us over one inherited socket, and nothing
// else. Parsers of foreign bytes and the language model live in such children. A leaf library.
//
// The parent spawns (posix_spawn: safe beside threads), the child calls enter_cage() once it has opened what
// it needs. From then on `socket`, `connect`, `execve`, `fork` and opening a file for writing fail with EPERM
// (seccomp), no-new-privileges and rlimits hold, and the child is killed when its parent dies.
//
// Messages are byte strings with a 4-byte little-endian length before them, at most kMessageMax.
// Example:
//     CagedChild child = CagedChild::spawn("/usr/bin/jiphyeon", {"worker", "parse"}, {});
//     child.send(request);
//     const std::optional<std::string> reply = child.receive(30'000ms);
//
// Threads: one thread at a time per CagedChild; a Channel may have one sender and one receiver at once.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon {

class SandboxError : public std::runtime_error {
public:
    enum class Kind { spawn, closed, oversized, timeout, cage };
    SandboxError(Kind k, const std::string& detail) : std::runtime_error(detail), kind(k) {}
    Kind kind;
};

inline constexpr int kWorkerFd = 3;  // where a child finds its socket
inline constexpr std::uint32_t kMessageMax = 1u << 30;

struct CageLimits {
    std::uint64_t memory_bytes = 0;  // address space; 0: unlimited
    std::uint32_t cpu_s = 0;         // processor time of the whole child; 0: unlimited
    int niceness = 0;                // from 0: how far it stands back where its parent wants the processor
    // RLIMIT_FSIZE; 0 is right for all children but one that opens a file for itself before it is caged. What
    // a child says on standard error then reaches a terminal, a pipe or the journal, but not a plain file.
    std::uint64_t file_bytes = 0;
};

// One end of a socket pair. Owns the descriptor.
class Channel {
public:
    explicit Channel(int fd);
    Channel(Channel&&) noexcept;
    Channel& operator=(Channel&&) noexcept;
    ~Channel();
    // Throws closed (the other end is gone), oversized.
    void send(std::string_view message);
    // The next message; nullopt when `timeout` passes first (zero: wait for ever). Throws closed, oversized.
    std::optional<std::string> receive(std::chrono::milliseconds timeout = {});
    int fd() const { return fd_; }

private:
    int fd_ = -1;
    std::string arrived_;  // the part of the next message that has come
};

class CagedChild {
public:
    // Throws SandboxError spawn. The environment of the child is empty but for LANG=C.UTF-8,
    // OMP_THREAD_LIMIT=1, OPENBLAS_NUM_THREADS=1 and `environment` (NAME=VALUE).
    static CagedChild spawn(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                            const CageLimits& limits, const std::vector<std::string>& environment = {});
    CagedChild(CagedChild&&) noexcept;
    CagedChild& operator=(CagedChild&&) noexcept;
    ~CagedChild();  // kills and reaps

    Channel& channel() { return channel_; }
    pid_t pid() const { return pid_; }
    void kill();
    // How it ended, in words for the operator ("killed by signal 9", "exit 3", "running").
    std::string state();

private:
    CagedChild(pid_t pid, Channel channel);
    pid_t pid_ = -1;
    Channel channel_;
    std::string ended_;
};

// Closes the cage around the calling process and all threads it will start. Irrevocable.
// Throws SandboxError cage when the kernel refuses: the caller must then end.
void enter_cage();

}  // namespace jiphyeon
