// The parent's end: an Engine whose requests travel. One thread per child reads and hands each message to the
// request it belongs to; the caller's own thread runs the callbacks. When the child dies, every request that
// waits is told, and the next one starts a new child, which must open the very same file.
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>

#include "worker.hpp"
#include "worker_messages.hpp"

namespace jiphyeon {
namespace worker {
namespace {

constexpr std::chrono::minutes kOpenTimeout{10};      // hashing and unpacking a large model from a slow disk
constexpr std::chrono::minutes kCancelPatience{2};    // then a child that does not end the request is ended
constexpr std::chrono::milliseconds kCancelPoll{20};  // how soon the caller's `cancel` flag is seen

using Clock = std::chrono::steady_clock;

[[noreturn]] void lost(const std::string& detail)
{
    throw EngineError(EngineError::Kind::lost, detail);
}

struct Launch {
    std::filesystem::path program;
    std::vector<std::string> arguments;
    Open open;
};

class Link;

// The place where the messages of one request arrive.
class Mailbox {
public:
    explicit Mailbox(Link& link);  // which outlives it
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;
    ~Mailbox();
    std::uint32_t id() const { return id_; }
    // The next message, header included; nullopt after `timeout` (zero: never). Throws lost.
    std::optional<std::string> wait(std::chrono::milliseconds timeout);

private:
    friend class Link;
    Link& link_;
    std::uint32_t id_ = 0;
    std::deque<std::string> messages_;  // guarded by the link's mutex
    std::condition_variable arrived_;
};

// One child and what waits for it.
class Link {
public:
    explicit Link(const Launch& launch)
        : child_(CagedChild::spawn(launch.program, launch.arguments,
                                   {.file_bytes = launch.open.options.prefix_disk_bytes}))
    {
        child_.channel().send(write(0, launch.open));
        const std::optional<std::string> first = child_.channel().receive(kOpenTimeout);
        if (!first) lost("the engine process does not open the model");
        std::string_view body = *first;
        const Header header = understand([&] { return read_header(body); });
        if (header.type == Type::failed) {
            const Failed failed = understand([&] { return read_failed(body); });
            throw EngineError(failed.kind, failed.detail);
        }
        if (header.type != Type::opened) lost("the engine process speaks out of turn");
        opened_ = understand([&] { return read_opened(body); });
        reader_ = std::thread([this] { read(); });
    }
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link()
    {
        kill();  // the reader then finds the channel closed
        reader_.join();
    }

    const Opened& opened() const { return opened_; }

    bool alive()
    {
        const std::lock_guard lock(mutex_);
        return !dead_;
    }

    void send(const std::string& message)
    {
        const std::lock_guard lock(sending_);
        try {
            child_.channel().send(message);
        } catch (const SandboxError& error) {
            if (error.kind == SandboxError::Kind::oversized) {
                throw EngineError(EngineError::Kind::too_large, error.what());
            }
            lost(std::string("the engine process is gone: ") + error.what());
        }
    }

    // Reads a message with `read`. A child that sends what is no message is not to be trusted with another
    // request.
    template <typename Read>
    std::invoke_result_t<Read> understand(const Read& read)
    {
        try {
            return read();
        } catch (const EngineError& error) {
            kill();
            lost(error.what());
        }
    }

    void kill()
    {
        const std::lock_guard lock(sending_);
        child_.kill();
    }

private:
    friend class Mailbox;

    void read()
    {
        std::string end;
        try {
            for (;;) {
                std::string message = *child_.channel().receive();
                std::string_view body = message;
                const Header header = read_header(body);
                const std::lock_guard lock(mutex_);
                const auto found = mailboxes_.find(header.id);
                if (found == mailboxes_.end()) continue;  // the caller left with an exception
                found->second->messages_.push_back(std::move(message));
                found->second->arrived_.notify_one();
            }
        } catch (const std::exception& error) {
            end = error.what();
        }
        {
            const std::lock_guard lock(sending_);
            end += ", " + child_.state();
        }
        const std::lock_guard lock(mutex_);
        dead_ = true;
        end_ = std::move(end);
        for (const auto& [id, mailbox] : mailboxes_) mailbox->arrived_.notify_one();
    }

    CagedChild child_;  // but for receiving, guarded by sending_
    Opened opened_;
    std::mutex sending_;
    std::mutex mutex_;
    bool dead_ = false;
    std::string end_;
    std::uint32_t next_id_ = 1;
    std::map<std::uint32_t, Mailbox*> mailboxes_;
    std::thread reader_;
};

Mailbox::Mailbox(Link& link) : link_(link)
{
    const std::lock_guard lock(link_.mutex_);
    while (link_.next_id_ == 0 || link_.mailboxes_.contains(link_.next_id_)) ++link_.next_id_;
    id_ = link_.next_id_++;
    link_.mailboxes_[id_] = this;
}

Mailbox::~Mailbox()
{
    const std::lock_guard lock(link_.mutex_);
    link_.mailboxes_.erase(id_);
}

std::optional<std::string> Mailbox::wait(std::chrono::milliseconds timeout)
{
    std::unique_lock lock(link_.mutex_);
    const auto ready = [&] { return !messages_.empty() || link_.dead_; };
    if (timeout.count() == 0) {
        arrived_.wait(lock, ready);
    } else if (!arrived_.wait_for(lock, timeout, ready)) {
        return std::nullopt;
    }
    if (messages_.empty()) lost("the engine process died (" + link_.end_ + ")");
    std::string message = std::move(messages_.front());
    messages_.pop_front();
    return message;
}

// The result in the last message of a request, or the error that it tells of.
template <typename Read>
auto finish(Link& link, std::string_view message, Type wanted, const Read& read)
{
    const Header header = link.understand([&] { return read_header(message); });
    if (header.type == Type::failed) {
        const Failed failed = link.understand([&] { return read_failed(message); });
        throw EngineError(failed.kind, failed.detail);
    }
    return link.understand([&] {
        if (header.type != wanted)
            throw EngineError(EngineError::Kind::malformed, "engine message: the wrong answer");
        return read(message);
    });
}

// Starts the child, and starts it again after it died.
class Child {
public:
    explicit Child(Launch launch) : launch_(std::move(launch)), link_(std::make_shared<Link>(launch_))
    {
        // A new child opens these files or none.
        const ModelInfo& info = link_->opened().info;
        std::vector<AdapterFile>& adapters = launch_.open.options.adapters;
        if (info.adapters.size() != adapters.size()) lost("the engine process opened other adapters");
        launch_.open.options.sha256 = info.sha256;
        for (std::size_t i = 0; i < adapters.size(); ++i) adapters[i].sha256 = info.adapters[i].sha256;
    }

    std::shared_ptr<Link> link()
    {
        const std::lock_guard lock(mutex_);
        if (!link_ || !link_->alive()) {
            link_.reset();
            try {
                link_ = std::make_shared<Link>(launch_);
            } catch (const SandboxError& error) {
                lost(std::string("the engine process cannot be started: ") + error.what());
            }
        }
        return link_;
    }

    // One request and its answer, a message of type `wanted` that `read` understands. `make` writes the
    // request for the id it is given.
    template <typename Make, typename Read>
    auto ask(Type wanted, const Make& make, const Read& read)
    {
        const std::shared_ptr<Link> held = link();
        Mailbox mailbox(*held);
        held->send(make(mailbox.id()));
        return finish(*held, *mailbox.wait({}), wanted, read);
    }

private:
    Launch launch_;
    std::mutex mutex_;
    std::shared_ptr<Link> link_;
};

class RemoteTokenizer final : public Tokenizer {
public:
    RemoteTokenizer(Child& child, const Opened& opened)
        : child_(child), pieces_(opened.pieces), ends_(opened.pieces.size(), false)
    {
        for (const TokenId id : opened.ends) {
            if (known(id)) ends_[static_cast<std::size_t>(id)] = true;
        }
    }
    std::vector<TokenId> encode(std::string_view text, bool add_special) const override
    {
        return child_.ask(
            Type::tokens,
            [&](std::uint32_t id) {
                return write(id, Encode{std::string(text), add_special});
            },
            read_tokens);
    }
    std::string piece(TokenId id) const override
    {
        return known(id) ? pieces_[static_cast<std::size_t>(id)] : "";
    }
    std::optional<TokenId> control(std::string_view name) const override
    {
        const std::vector<TokenId> found = child_.ask(
            Type::tokens,
            [&](std::uint32_t id) {
                return write_text({Type::control, id}, name);
            },
            read_tokens);
        if (found.empty()) return std::nullopt;
        return found.front();
    }
    bool ends_generation(TokenId id) const override
    {
        return known(id) && ends_[static_cast<std::size_t>(id)];
    }
    std::size_t size() const override { return pieces_.size(); }

private:
    bool known(TokenId id) const { return id >= 0 && static_cast<std::size_t>(id) < pieces_.size(); }

    Child& child_;
    std::vector<std::string> pieces_;
    std::vector<bool> ends_;
};

// One generation: answers the child's events with the caller's functions until the end comes.
class Conversation {
public:
    Conversation(Link& link, const GenerateRequest& request, const GenerateEvents& events)
        : link_(link), mailbox_(link), request_(request), events_(events)
    {
    }

    Generated run()
    {
        link_.send(write(mailbox_.id(), Generate{request_, events_.on_text != nullptr,
                                                 events_.on_slot != nullptr, events_.on_prompt != nullptr}));
        try {
            const std::string last = serve_events();
            if (!thrown_) return finish(link_, last, Type::generated, read_generated);
        } catch (...) {
            if (!thrown_) throw;
        }
        std::rethrow_exception(thrown_);
    }

private:
    void cancel()
    {
        if (std::exchange(cancelled_, true)) return;
        cancelled_at_ = Clock::now();
        link_.send(write_empty({Type::cancel, mailbox_.id()}));
    }

    // Until the message that is no event.
    std::string serve_events()
    {
        const std::chrono::milliseconds poll =
            request_.cancel != nullptr ? kCancelPoll : std::chrono::milliseconds{};
        for (;;) {
            std::optional<std::string> message = mailbox_.wait(poll);
            if (request_.cancel != nullptr && *request_.cancel) cancel();
            if (!message) {
                if (cancelled_ && Clock::now() > cancelled_at_ + kCancelPatience) link_.kill();
                continue;
            }
            std::string_view body = *message;
            const Header header = read_header(body);
            if (header.type != Type::text && header.type != Type::slot && header.type != Type::progress)
                return *message;
            event(header.type, body);
        }
    }

    // What a callback throws waits until the child has ended the request.
    void event(Type type, std::string_view body)
    {
        bool go_on = false;
        GenerateEvents::SlotFill fill{.text = "", .stop = true};
        const auto guarded = [&](const auto& call) {
            if (thrown_) return;
            try {
                call();
            } catch (...) {
                thrown_ = std::current_exception();
                cancel();
            }
        };
        if (type == Type::text) {
            const std::string text = link_.understand([&] { return read_text(body); });
            guarded([&] { go_on = events_.on_text(text); });
        } else if (type == Type::slot) {
            const Slot slot = link_.understand([&] { return read_slot(body); });
            guarded([&] { fill = events_.on_slot(slot.name, slot.since); });
        } else {
            const Progress progress = link_.understand([&] { return read_progress(body); });
            guarded([&] { events_.on_prompt(progress.done, progress.total); });
        }
        if (type == Type::text) link_.send(write_flag({Type::go_on, mailbox_.id()}, go_on));
        if (type == Type::slot) link_.send(write(mailbox_.id(), fill));
    }

    Link& link_;
    Mailbox mailbox_;
    const GenerateRequest& request_;
    const GenerateEvents& events_;
    bool cancelled_ = false;
    Clock::time_point cancelled_at_;
    std::exception_ptr thrown_;
};

class ChildEngine final : public Engine {
public:
    explicit ChildEngine(Launch launch)
        : child_(std::move(launch)),
          info_(child_.link()->opened().info),
          tokenizer_(child_, child_.link()->opened())
    {
    }
    const ModelInfo& info() const override { return info_; }
    const Tokenizer& tokenizer() const override { return tokenizer_; }
    std::vector<TokenId> chat_prompt(std::span<const ChatTurn> turns) const override
    {
        return child_.ask(
            Type::tokens,
            [&](std::uint32_t id) { return write(id, std::vector<ChatTurn>(turns.begin(), turns.end())); },
            read_tokens);
    }
    Generated generate(const GenerateRequest& request, const GenerateEvents& events) override
    {
        const std::shared_ptr<Link> link = child_.link();
        return Conversation(*link, request, events).run();
    }
    std::vector<float> next_logits(std::span<const TokenId> prompt, std::string_view cache_domain) override
    {
        const auto make = [&](std::uint32_t id) {
            return write(id, Logits{{prompt.begin(), prompt.end()}, std::string(cache_domain)});
        };
        return child_.ask(Type::floats, make, read_floats);
    }
    std::vector<float> embed(std::span<const std::string> texts) override
    {
        const auto make = [&](std::uint32_t id) {
            return write(id, std::vector<std::string>(texts.begin(), texts.end()));
        };
        return child_.ask(Type::floats, make, read_floats);
    }
    std::vector<float> rerank(const std::string& query, std::span<const std::string> passages) override
    {
        const auto make = [&](std::uint32_t id) {
            return write(id, Rerank{query, {passages.begin(), passages.end()}});
        };
        return child_.ask(Type::floats, make, read_floats);
    }

private:
    mutable Child child_;  // asking is const for the caller; what changes is guarded inside
    ModelInfo info_;
    RemoteTokenizer tokenizer_;
};

}  // namespace
}  // namespace worker

std::unique_ptr<Engine> spawn_engine(const std::filesystem::path& program,
                                     const std::vector<std::string>& arguments,
                                     const std::filesystem::path& model, const EngineOptions& options)
{
    worker::Open open{std::filesystem::absolute(model).string(), options};
    if (options.prefix_disk_bytes != 0)
        open.options.prefix_disk_folder = std::filesystem::absolute(options.prefix_disk_folder);
    try {
        for (AdapterFile& adapter : open.options.adapters)
            adapter.file = std::filesystem::absolute(adapter.file);
        return std::make_unique<worker::ChildEngine>(worker::Launch{program, arguments, std::move(open)});
    } catch (const SandboxError& error) {
        throw EngineError(EngineError::Kind::lost, error.what());
    }
}

}  // namespace jiphyeon
