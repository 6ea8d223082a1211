// Messages over a stream socket. A reader that runs into its deadline keeps what has come so far, so the next
// call goes on in the middle of the message.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "jiphyeon/sandbox.hpp"

namespace jiphyeon {

namespace {

constexpr std::size_t kHeadBytes = 4;
constexpr std::size_t kStepBytes = 1 << 20;  // memory follows the bytes that came, not the length they claim
constexpr std::size_t kCopyMax = 1 << 16;    // up to here one system call is cheaper than not copying

SandboxError closed()
{
    return {SandboxError::Kind::closed, "the other end of the channel is gone"};
}

void send_all(int fd, std::string_view bytes)
{
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(n));
        } else if (errno != EINTR) {
            throw closed();
        }
    }
}

std::uint32_t length_in(std::string_view head)
{
    std::uint32_t length = 0;
    for (std::size_t i = 0; i < kHeadBytes; ++i)
        length |= static_cast<std::uint32_t>(static_cast<unsigned char>(head[i])) << (8 * i);
    return length;
}

}  // namespace

Channel::Channel(int fd) : fd_(fd) {}

Channel::Channel(Channel&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), arrived_(std::exchange(other.arrived_, {}))
{
}

Channel& Channel::operator=(Channel&& other) noexcept
{
    if (this == &other) return *this;
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
    arrived_ = std::exchange(other.arrived_, {});
    return *this;
}

Channel::~Channel()
{
    if (fd_ >= 0) ::close(fd_);
}

void Channel::send(std::string_view message)
{
    if (message.size() > kMessageMax)
        throw SandboxError(SandboxError::Kind::oversized,
                           "a message of " + std::to_string(message.size()) + " bytes is too long to send");
    const auto length = static_cast<std::uint32_t>(message.size());
    std::string head(kHeadBytes, '\0');
    for (std::size_t i = 0; i < kHeadBytes; ++i) head[i] = static_cast<char>((length >> (8 * i)) & 0xff);
    if (message.size() <= kCopyMax) {
        send_all(fd_, head.append(message));
        return;
    }
    send_all(fd_, head);
    send_all(fd_, message);
}

std::optional<std::string> Channel::receive(std::chrono::milliseconds timeout)
{
    using Clock = std::chrono::steady_clock;
    const Clock::time_point deadline = Clock::now() + timeout;
    for (;;) {
        std::size_t wanted = kHeadBytes;
        if (arrived_.size() >= kHeadBytes) {
            const std::uint32_t length = length_in(arrived_);
            if (length > kMessageMax)
                throw SandboxError(SandboxError::Kind::oversized,
                                   "a message claims " + std::to_string(length) + " bytes");
            wanted += length;
            if (arrived_.size() == wanted) return std::exchange(arrived_, {}).substr(kHeadBytes);
        }
        if (timeout.count() > 0) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
            if (left <= 0) return std::nullopt;
            pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
            const int ready = ::poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left, 1 << 30)));
            if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
        }
        const std::size_t have = arrived_.size();
        arrived_.resize(have + std::min(wanted - have, kStepBytes));
        const ssize_t n = ::recv(fd_, arrived_.data() + have, arrived_.size() - have, 0);
        const int error = errno;
        arrived_.resize(have + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
        if (n == 0 || (n < 0 && error != EINTR)) throw closed();
    }
}

}  // namespace jiphyeon
