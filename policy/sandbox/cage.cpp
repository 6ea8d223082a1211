// The seccomp filter of a caged child: a list of what computing needs, and EPERM for all else. The list was
// found by tracing children of this tree (glibc, OpenMP, Tesseract, poppler); what is missing shows
// as EPERM in a trace, never as a hole. Arguments are checked where a call has a harmless and a harmful side:
// open for reading, clone of a thread, send on the inherited socket.
//
// The death of the parent is seen by a thread that waits for the hang-up of the inherited socket.
// PR_SET_PDEATHSIG would fire when the thread ends that spawned us, which may be long before its process
// does.
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "jiphyeon/sandbox.hpp"

#if defined(__SANITIZE_ADDRESS__)
namespace {
bool caged = false;
}
// The leak check at exit forks and traces, which the cage forbids. The runtime asks this function.
extern "C" int __lsan_is_turned_off()
{
    return caged ? 1 : 0;
}
#endif

namespace jiphyeon {

namespace {

struct FilterDeleter {
    void operator()(void* filter) const noexcept { seccomp_release(filter); }
};
using FilterPtr = std::unique_ptr<void, FilterDeleter>;

void check(int result, const char* what)
{
    if (result != 0)
        throw SandboxError(SandboxError::Kind::cage, std::string(what) + ": " + std::strerror(-result));
}

// Harmless with any arguments: they reach only this process and what it already holds.
constexpr int kAllowed[] = {
    // memory
    SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(brk),
    SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock), SCMP_SYS(mincore), SCMP_SYS(msync),
    SCMP_SYS(get_mempolicy), SCMP_SYS(membarrier),
    // reading files
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(close), SCMP_SYS(fstat),
    SCMP_SYS(newfstatat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(statfs),
    SCMP_SYS(fstatfs), SCMP_SYS(lseek), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd), SCMP_SYS(fadvise64),
    SCMP_SYS(readahead), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
    // what can be open for writing was handed over, or is a pipe to itself (UBSan probes memory by one)
    SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(recvfrom), SCMP_SYS(shutdown),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(pselect6),
    // threads
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
    SCMP_SYS(sched_get_priority_max), SCMP_SYS(sched_get_priority_min), SCMP_SYS(getpriority),
    SCMP_SYS(getcpu), SCMP_SYS(gettid),
    // signals of its own
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    // clocks and facts
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(times), SCMP_SYS(getrusage), SCMP_SYS(getrlimit),
    SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(getppid),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(arch_prctl),  // AMX tiles are asked for by it
};

void allow(void* filter, int call)
{
    check(seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 0, nullptr), "seccomp rule");
}

template <class... Conditions>
void allow_if(void* filter, int call, Conditions... conditions)
{
    const scmp_arg_cmp list[] = {conditions...};
    check(seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, sizeof...(conditions), list), "seccomp rule");
}

scmp_arg_cmp is(unsigned argument, std::uint64_t value)
{
    return {.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value, .datum_b = 0};
}

scmp_arg_cmp bits(unsigned argument, std::uint64_t mask, std::uint64_t value)
{
    return {.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

FilterPtr make_filter()
{
    FilterPtr filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
    if (!filter) throw SandboxError(SandboxError::Kind::cage, "seccomp is not to be had");
    check(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1), "seccomp for all threads");
    for (const int call : kAllowed) allow(filter.get(), call);

    // __O_TMPFILE, without O_DIRECTORY's bit in it.
    constexpr std::uint64_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
    allow_if(filter.get(), SCMP_SYS(open), bits(1, kWriting, 0));
    allow_if(filter.get(), SCMP_SYS(openat), bits(2, kWriting, 0));
    allow_if(filter.get(), SCMP_SYS(clone), bits(0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM));
    allow_if(filter.get(), SCMP_SYS(sendto), is(4, 0));  // no address
    for (const int command : {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC})
        allow_if(filter.get(), SCMP_SYS(fcntl), is(1, static_cast<unsigned>(command)));
    for (const unsigned long request :
         {static_cast<unsigned long>(TCGETS), static_cast<unsigned long>(FIONREAD)})
        allow_if(filter.get(), SCMP_SYS(ioctl), is(1, request));
    allow_if(filter.get(), SCMP_SYS(tgkill), is(0, static_cast<std::uint64_t>(::getpid())));  // abort()
    allow_if(filter.get(), SCMP_SYS(kill), is(0, static_cast<std::uint64_t>(::getpid())));
    allow_if(filter.get(), SCMP_SYS(prlimit64), is(0, 0), is(2, 0));  // asking
    allow_if(filter.get(), SCMP_SYS(sched_setaffinity), is(0, 0));    // the calling thread
    for (const int option : {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA})
        allow_if(filter.get(), SCMP_SYS(prctl), is(0, static_cast<unsigned>(option)));

    // Their arguments lie in memory where a filter cannot look. "Not known" makes callers use the older call.
    check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0), "seccomp rule");
    check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0), "seccomp rule");
    return filter;
}

void* end_with_parent(void*)
{
    for (;;) {
        pollfd parent{.fd = kWorkerFd, .events = 0, .revents = 0};
        const int n = ::poll(&parent, 1, -1);
        if (n > 0 || (n < 0 && errno != EINTR)) {
            ::kill(::getpid(), SIGKILL);
            ::_exit(1);
        }
    }
}

void watch_parent()
{
    struct stat status {};
    if (::fstat(kWorkerFd, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;  // caged by hand, without a parent
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 128 * 1024);  // counts against the memory limit
    pthread_sigmask(SIG_SETMASK, &all, &before);         // signals are for the threads that compute
    pthread_t thread;
    const int error = pthread_create(&thread, &attributes, end_with_parent, nullptr);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    check(-error, "watching the parent");
}

}  // namespace

void enter_cage()
{
    watch_parent();
    const FilterPtr filter = make_filter();
    // Sets no-new-privileges first, without which an ordinary user may load no filter.
    check(seccomp_load(filter.get()), "seccomp");
#if defined(__SANITIZE_ADDRESS__)
    caged = true;
#endif
}

}  // namespace jiphyeon
