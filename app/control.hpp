// The control socket of a data folder's owner: other commands hand their call to it instead of opening the
// folder. AF_UNIX, readable by the owner's account alone; the peer's account is taken from the kernel.
//
// One call per connection. Request: {"method", "params", "as"?, "secret"?}. Then any number of events
// {"event": …} and at the end {"reply": …} or {"error": {"kind","message","where"}}. A caller that goes away
// cancels his call.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "jiphyeon/gateway.hpp"

namespace jiphyeon::app {

struct Request {
    std::string method;
    std::string params_json;
    std::string as;      // account; empty: the operator at the console
    std::string secret;  // password or API token of `as`
};
using OnEvent = std::function<bool(std::string_view event_json)>;

// Runs a request; what the control socket and a command without a server both do.
std::string run_request(Service& service, const Request& request, const std::string& os_user,
                        const OnEvent& on_event);

// The error object of a call that failed in the owner's process.
class CallFailed : public std::runtime_error {
public:
    explicit CallFailed(const std::string& json) : std::runtime_error(json) {}
};

class ControlServer {
public:
    ControlServer(Service& service, const std::filesystem::path& socket);
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;
    ~ControlServer();  // cancels running calls and waits for them

private:
    void accept_loop();
    void serve(int fd);

    Service& service_;
    std::filesystem::path socket_;
    int listener_ = -1;
    std::atomic<bool> stopping_ = false;
    std::atomic<int> running_ = 0;
    std::thread acceptor_;
};

// Somebody takes calls at `socket`.
bool owner_listens(const std::filesystem::path& socket);
// nullopt when nobody answers at `socket`. Throws CallFailed with the owner's error.
std::optional<std::string> call_owner(const std::filesystem::path& socket, const Request& request,
                                      const OnEvent& on_event);

std::string name_of_user(unsigned uid);

}  // namespace jiphyeon::app
