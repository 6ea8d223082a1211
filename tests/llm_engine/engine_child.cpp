// The child program of the worker tests. `model` serves a real file, as the product does. `scripted` serves
// an engine whose prompts are commands, so that each event and each kind of end can be called up.
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>

#include "worker.hpp"
#include "worker_messages.hpp"

namespace jiphyeon {
namespace {

class ByteTokenizer final : public Tokenizer {
public:
    std::vector<TokenId> encode(std::string_view text, bool add_special) const override
    {
        std::vector<TokenId> ids;
        if (add_special) ids.push_back(256);
        for (const char c : text) ids.push_back(static_cast<std::uint8_t>(c));
        return ids;
    }
    std::string piece(TokenId id) const override
    {
        return id >= 0 && id < 256 ? std::string(1, static_cast<char>(id)) : "";
    }
    std::optional<TokenId> control(std::string_view name) const override
    {
        if (name != "<start>") return std::nullopt;
        return 256;
    }
    bool ends_generation(TokenId id) const override { return id == 257; }
    std::size_t size() const override { return 258; }
};

class ScriptedEngine final : public Engine {
public:
    ScriptedEngine(std::string model, const EngineOptions& options)
    {
        info_.name = std::move(model);
        std::ifstream file(info_.name);
        info_.sha256.fill(static_cast<std::uint8_t>(file.get()));  // by its first byte
        info_.context_tokens = options.context_tokens;
        if (options.sha256 && *options.sha256 != info_.sha256)
            throw EngineError(EngineError::Kind::hash_mismatch, "another first byte");
    }
    const ModelInfo& info() const override { return info_; }
    const Tokenizer& tokenizer() const override { return tokenizer_; }
    std::vector<TokenId> chat_prompt(std::span<const ChatTurn> turns) const override
    {
        std::string text;
        for (const ChatTurn& turn : turns) text += turn.role + ":" + turn.text + ";";
        return tokenizer_.encode(text, false);
    }
    std::vector<float> next_logits(std::span<const TokenId> prompt, std::string_view domain) override
    {
        std::vector<float> out(prompt.begin(), prompt.end());
        out.push_back(static_cast<float>(domain.size()));
        return out;
    }
    std::vector<float> embed(std::span<const std::string> texts) override
    {
        std::vector<float> out;
        for (const std::string& text : texts) out.push_back(static_cast<float>(text.size()) + 0.5f);
        return out;
    }

    Generated generate(const GenerateRequest& request, const GenerateEvents& events) override
    {
        const std::string command = tokenizer_.decode(request.prompt);
        Generated out;
        out.tokens = request.prompt;
        out.logits_hash.fill(9);
        if (command == "die") std::raise(SIGKILL);
        if (command == "refuse") throw EngineError(EngineError::Kind::too_large, "need 9, limit 5");
        if (command == "echo") {
            out.text = request.grammar + "|" + request.stop.at(0) + "|" + request.cache_domain + "|" +
                       std::to_string(request.max_tokens) + "|" + std::to_string(request.sampling.seed) +
                       "|" + request.quoting.passages.at(1) + "|" + request.quoting.open +
                       request.quoting.close + "|" + std::to_string(request.quoting.characters_min) + "|" +
                       std::to_string(request.quoting.characters_max);
            out.quotes = {{1, 2, 3, 4}, {5, 6, 7, 8}};
        }
        if (command == "cage") {
            out.text = ::socket(AF_INET, SOCK_STREAM, 0) < 0 ? std::strerror(errno) : "a socket";
        }
        if (command == "slots") {
            if (events.on_prompt) events.on_prompt(3, 5);
            for (const char* sentence : {"하나.", "둘."}) {
                const GenerateEvents::SlotFill fill = events.on_slot("cite", sentence);
                out.text += sentence + fill.text;
                out.finish = Generated::Finish::slot;
                if (fill.stop) break;
            }
        }
        if (command == "count") {
            for (int i = 0; i < 1000; ++i) {
                out.text += std::to_string(i) + " ";
                if (events.on_text && !events.on_text(std::to_string(i) + " ")) {
                    out.finish = Generated::Finish::cancelled;
                    break;
                }
            }
        }
        if (command == "wait") {
            if (events.on_prompt) events.on_prompt(1, 2);
            while (!*request.cancel) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            out.finish = Generated::Finish::cancelled;
        }
        return out;
    }

private:
    ByteTokenizer tokenizer_;
    ModelInfo info_;
};

int serve_scripted()
{
    Channel channel(kWorkerFd);
    const std::string message = *channel.receive();
    std::string_view body = message;
    worker::read_header(body);
    const worker::Open open = worker::read_open(body);
    if (open.model.ends_with("unsound")) {
        channel.send(worker::write(0, worker::Failed{EngineError::Kind::malformed, "unsound"}));
        return 1;
    }
    if (open.model.ends_with("garbage")) {
        channel.send("\x40garbage");
        return 1;
    }
    std::unique_ptr<ScriptedEngine> engine;
    try {
        engine = std::make_unique<ScriptedEngine>(open.model, open.options);
    } catch (const EngineError& error) {
        channel.send(worker::write(0, worker::Failed{error.kind, error.what()}));
        return 1;
    }
    enter_cage();
    channel.send(worker::greeting(*engine));
    worker::serve(channel, *engine);
    return 0;
}

}  // namespace
}  // namespace jiphyeon

int main(int argc, char** argv)
{
    if (argc != 2) return 3;
    return std::string_view(argv[1]) == "model" ? jiphyeon::serve_engine(jiphyeon::kWorkerFd)
                                                : jiphyeon::serve_scripted();
}
