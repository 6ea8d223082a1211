// The child's end. The main thread reads and never computes, so that a cancel or an answer to an event comes
// through while requests run.
#include <malloc.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "worker.hpp"
#include "worker_messages.hpp"

namespace jiphyeon::worker {
namespace {

constexpr std::size_t kRequestsMax = 256;  // at once; the gateway queues far below this

class Server {
public:
    Server(Channel& channel, Engine& engine) : channel_(channel), engine_(engine) {}

    void run()
    {
        try {
            for (;;) take(*channel_.receive());
        } catch (const SandboxError&) {
            // The parent is gone, or what it sends is no message.
        } catch (const EngineError&) {
        }
        stop();
    }

private:
    // A request that runs, as the reading thread sees it.
    struct Running {
        std::atomic<bool> cancelled = false;
        std::mutex mutex;
        std::condition_variable answered;
        std::optional<std::string> answer;  // to the event that the request waits on, header included
        bool closed = false;
    };

    void take(std::string message)
    {
        std::string_view body = message;
        const Header header = read_header(body);
        if (header.type == Type::cancel || header.type == Type::go_on || header.type == Type::fill) {
            const std::shared_ptr<Running> running = find(header.id);
            if (!running) return;  // it has ended meanwhile
            if (header.type == Type::cancel) {
                running->cancelled = true;
            } else {
                const std::lock_guard lock(running->mutex);
                running->answer = std::move(message);
                running->answered.notify_one();
            }
            return;
        }
        start(header, std::move(message));
    }

    std::shared_ptr<Running> find(std::uint32_t id)
    {
        const std::lock_guard lock(mutex_);
        const auto found = running_.find(id);
        return found == running_.end() ? nullptr : found->second;
    }

    void start(Header header, std::string message)
    {
        const auto running = std::make_shared<Running>();
        {
            const std::lock_guard lock(mutex_);
            if (running_.size() >= kRequestsMax || !running_.emplace(header.id, running).second) {
                send(write(header.id, Failed{EngineError::Kind::bad_request, "too many requests at once"}));
                return;
            }
        }
        std::thread([this, header, running, message = std::move(message)] {
            std::string_view body = message;
            read_header(body);
            try {
                send(answer(header, body, *running));
            } catch (const EngineError& error) {
                send(write(header.id, Failed{error.kind, error.what()}));
            }
            const std::lock_guard lock(mutex_);
            running_.erase(header.id);
            if (running_.empty()) idle_.notify_all();
        }).detach();
    }

    std::string answer(Header header, std::string_view body, Running& running)
    {
        const std::uint32_t id = header.id;
        try {
            switch (header.type) {
                case Type::encode: {
                    const Encode request = read_encode(body);
                    return write_tokens(id, engine_.tokenizer().encode(request.text, request.add_special));
                }
                case Type::control: {
                    const std::optional<TokenId> token = engine_.tokenizer().control(read_text(body));
                    return write_tokens(id, token ? std::vector<TokenId>{*token} : std::vector<TokenId>{});
                }
                case Type::chat:
                    return write_tokens(id, engine_.chat_prompt(read_chat(body)));
                case Type::logits: {
                    const Logits request = read_logits(body);
                    return write_floats(id, engine_.next_logits(request.prompt, request.cache_domain));
                }
                case Type::embed:
                    return write_floats(id, engine_.embed(read_embed(body)));
                case Type::rerank: {
                    const Rerank request = read_rerank(body);
                    return write_floats(id, engine_.rerank(request.query, request.passages));
                }
                case Type::generate:
                    return write(id, generate(id, read_generate(body), running));
                default:
                    return write(id, Failed{EngineError::Kind::bad_request, "a message that is no request"});
            }
        } catch (const EngineError& error) {
            return write(id, Failed{error.kind, error.what()});
        } catch (const std::bad_alloc&) {
            return write(id, Failed{EngineError::Kind::too_large, "the engine process has no memory left"});
        }
    }

    Generated generate(std::uint32_t id, Generate message, Running& running)
    {
        message.request.cancel = &running.cancelled;
        GenerateEvents events;
        if (message.wants_text) {
            events.on_text = [&](std::string_view text) {
                const std::string answer = ask(running, write_text({Type::text, id}, text));
                return read_flag(expect(answer, Type::go_on));
            };
        }
        if (message.wants_slot) {
            events.on_slot = [&](std::string_view name, std::string_view since) {
                const std::string answer =
                    ask(running, write(id, Slot{std::string(name), std::string(since)}));
                return read_fill(expect(answer, Type::fill));
            };
        }
        if (message.wants_progress) {
            events.on_prompt = [&](std::size_t done, std::size_t total) {
                send(write(id, Progress{done, total}));
            };
        }
        return engine_.generate(message.request, events);
    }

    std::string ask(Running& running, const std::string& event)
    {
        send(event);
        std::unique_lock lock(running.mutex);
        running.answered.wait(lock, [&] { return running.answer || running.closed; });
        if (!running.answer) throw EngineError(EngineError::Kind::lost, "the parent process is gone");
        return *std::exchange(running.answer, std::nullopt);
    }

    static std::string_view expect(std::string_view answer, Type type)
    {
        if (read_header(answer).type != type) {
            throw EngineError(EngineError::Kind::malformed, "engine message: the wrong answer to an event");
        }
        return answer;
    }

    // Nobody is left to tell when the parent has gone; the reading thread sees it too and ends everything.
    void send(const std::string& message)
    {
        const std::lock_guard lock(sending_);
        try {
            channel_.send(message);
        } catch (const SandboxError& error) {
            if (error.kind == SandboxError::Kind::oversized) {
                throw EngineError(EngineError::Kind::too_large, error.what());
            }
        }
    }

    void stop()
    {
        std::unique_lock lock(mutex_);
        for (const auto& [id, running] : running_) {
            const std::lock_guard inner(running->mutex);
            running->cancelled = true;
            running->closed = true;
            running->answered.notify_one();
        }
        idle_.wait(lock, [&] { return running_.empty(); });
    }

    Channel& channel_;
    Engine& engine_;
    std::mutex sending_;
    std::mutex mutex_;
    std::condition_variable idle_;
    std::map<std::uint32_t, std::shared_ptr<Running>> running_;
};

}  // namespace

void serve(Channel& channel, Engine& engine)
{
    Server(channel, engine).run();
}

std::string greeting(const Engine& engine)
{
    Opened opened{.info = engine.info(), .pieces = {}, .ends = {}};
    const Tokenizer& tokenizer = engine.tokenizer();
    for (std::size_t i = 0; i < tokenizer.size(); ++i) {
        const auto id = static_cast<TokenId>(i);
        opened.pieces.push_back(tokenizer.piece(id));
        if (tokenizer.ends_generation(id)) opened.ends.push_back(id);
    }
    return write(0, opened);
}

}  // namespace jiphyeon::worker

namespace jiphyeon {

int serve_engine(int socket_fd)
{
    using namespace worker;
    // Large buffers go back to the system when they are freed. Left to itself malloc would raise this limit
    // to the size of a page of keys and values, and each thread's arena would keep those of its last request.
    ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
    Channel channel(socket_fd);
    try {
        const std::string message = *channel.receive();
        std::string_view body = message;
        if (read_header(body).type != Type::open) return 2;
        const Open request = read_open(body);
        std::unique_ptr<Engine> engine;
        try {
            engine = open_engine(request.model, request.options);
        } catch (const EngineError& error) {
            channel.send(write(0, Failed{error.kind, error.what()}));
            return 1;
        }
        // Nothing of the parent's requests is looked at before the cage is closed.
        enter_cage();
        channel.send(greeting(*engine));
        serve(channel, *engine);
        return 0;
    } catch (const SandboxError&) {
        return 1;
    } catch (const EngineError&) {
        return 2;
    }
}

}  // namespace jiphyeon
