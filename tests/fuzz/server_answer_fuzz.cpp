// What a server answers a remote engine: a stream of events, the likeliest tokens, a list of models, an
// error. It is refused, or it is understood alike however its bytes were cut.
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>

#include "event_stream.hpp"
#include "remote_messages.hpp"

namespace {

using namespace jiphyeon;

class Bytes : public Tokenizer {
public:
    std::vector<TokenId> encode(std::string_view text, bool) const override
    {
        return {text.begin(), text.end()};
    }
    std::string piece(TokenId id) const override { return std::string(1, static_cast<char>(id)); }
    std::optional<TokenId> control(std::string_view) const override { return std::nullopt; }
    bool ends_generation(TokenId) const override { return false; }
    std::size_t size() const override { return 256; }
};

std::vector<std::string> events_of(std::string_view bytes, std::size_t step)
{
    EventStream stream;
    std::vector<std::string> out;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size())))
        for (std::string& data : stream.push(bytes.substr(0, step))) out.push_back(std::move(data));
    return out;
}

template <class Read>
void refused_or_read(const Read& read)
{
    try {
        read();
    } catch (const EngineError& error) {
        assert(error.kind == EngineError::Kind::malformed || error.kind == EngineError::Kind::lost);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::vector<TokenId> choices = {'a', 'b'};
    refused_or_read([&] {
        const std::vector<std::string> events = events_of(bytes, bytes.size());
        assert(events == events_of(bytes, 1) && events == events_of(bytes, 7));
        for (const std::string& event : events) refused_or_read([&] { remote::read_piece(event); });
    });
    refused_or_read([&] { remote::read_piece(bytes); });
    refused_or_read([&] { remote::read_scores(bytes, choices, Bytes()); });
    refused_or_read([&] { remote::read_models(bytes); });
    const std::string error = remote::read_error(bytes);
    assert(error.size() < 400 && error.find('\n') == std::string::npos);
    return 0;
}
