#include "control.hpp"

#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "config.hpp"
#include "jiphyeon/sandbox.hpp"

namespace jiphyeon::app {
namespace {

using nlohmann::json;

constexpr int kCallsAtOnce = 32;
constexpr std::chrono::seconds kRequestWait{10};

sockaddr_un address_of(const std::filesystem::path& socket)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = socket.string();
    if (path.size() >= sizeof address.sun_path)
        throw CommandError(CommandError::Kind::data_folder, "데이터 폴더의 경로가 너무 깁니다.", path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

int stream_socket()
{
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw CommandError(CommandError::Kind::not_done, std::strerror(errno), "control socket");
    return fd;
}

bool connects(int fd, const std::filesystem::path& socket)
{
    const sockaddr_un address = address_of(socket);
    return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

std::string name_of_user(unsigned uid)
{
    passwd entry{};
    passwd* found = nullptr;
    char buffer[4096];
    if (::getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found) return found->pw_name;
    return "uid " + std::to_string(uid);
}

std::string run_request(Service& service, const Request& request, const std::string& os_user,
                        const OnEvent& on_event)
{
    Caller caller = Caller::console(os_user);
    if (!request.as.empty()) {
        caller = service.authenticate(request.as, request.secret, "console");
        caller.os_user = os_user;
    }
    return service.call(caller, request.method, request.params_json, on_event);
}

ControlServer::ControlServer(Service& service, const std::filesystem::path& socket)
    : service_(service), socket_(socket)
{
    // Whoever holds the folder's lock may clear away a dead owner's socket.
    ::unlink(socket.c_str());
    const sockaddr_un address = address_of(socket);
    listener_ = stream_socket();
    const mode_t before = ::umask(0177);
    const int bound = ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::umask(before);
    if (bound != 0 || ::listen(listener_, kCallsAtOnce) != 0) {
        const std::string why = std::strerror(errno);
        ::close(listener_);
        throw CommandError(CommandError::Kind::not_done, "제어 소켓을 열 수 없습니다: " + why,
                           socket.string());
    }
    acceptor_ = std::thread([this] { accept_loop(); });
}

ControlServer::~ControlServer()
{
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    while (running_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ::close(listener_);
    ::unlink(socket_.c_str());
}

void ControlServer::accept_loop()
{
    while (!stopping_) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            if (stopping_) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));  // out of descriptors: wait for some
            continue;
        }
        if (running_.fetch_add(1) >= kCallsAtOnce) {
            ::close(fd);
            --running_;
            continue;
        }
        std::thread([this, fd] {
            serve(fd);
            --running_;
        }).detach();
    }
}

void ControlServer::serve(int fd)
{
    Channel channel(fd);
    ucred peer{};
    socklen_t size = sizeof peer;
    try {
        if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
            (peer.uid != ::geteuid() && peer.uid != 0))
            return;
        const std::optional<std::string> text = channel.receive(kRequestWait);
        if (!text) return;
        json answer;
        try {
            const json message = json::parse(*text);
            const Request request{.method = message.at("method"),
                                  .params_json = message.at("params").dump(),
                                  .as = message.value("as", std::string()),
                                  .secret = message.value("secret", std::string())};
            const auto still_there = [&](std::string_view event) {
                if (stopping_) return false;
                try {
                    channel.send(event);
                } catch (const SandboxError&) {
                    return false;  // the caller has gone: cancel
                }
                return true;
            };
            answer["reply"] =
                json::parse(run_request(service_, request, name_of_user(peer.uid), still_there));
        } catch (const std::exception& e) {
            answer = json::parse(error_json(e));
        }
        channel.send(answer.dump());
    } catch (const SandboxError&) {
        // The caller went away; nobody is left to tell.
    }
}

bool owner_listens(const std::filesystem::path& socket)
{
    const int fd = stream_socket();
    const Channel channel(fd);
    return connects(fd, socket);
}

std::optional<std::string> call_owner(const std::filesystem::path& socket, const Request& request,
                                      const OnEvent& on_event)
{
    const int fd = stream_socket();
    Channel channel(fd);
    if (!connects(fd, socket)) return std::nullopt;
    const json message{{"method", request.method},
                       {"params", json::parse(request.params_json)},
                       {"as", request.as},
                       {"secret", request.secret}};
    try {
        channel.send(message.dump());
        while (const std::optional<std::string> text = channel.receive()) {
            const json got = json::parse(*text);
            if (got.contains("reply")) return got["reply"].dump();
            if (got.contains("error")) throw CallFailed(got.dump());
            if (on_event && !on_event(*text))
                throw CommandError(CommandError::Kind::not_done, "중단했습니다.", request.method);
        }
    } catch (const SandboxError&) {
    }
    throw CommandError(CommandError::Kind::not_done,
                       "서버 프로세스와의 연결이 끊어졌습니다. 다시 시도하십시오.", socket.string());
}

}  // namespace jiphyeon::app
