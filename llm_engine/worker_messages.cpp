// One list of fields per message type serves both directions: `fields(io, value)` is run with a Writer or a
// Reader, so that what is written and what is read cannot drift apart.
#include "worker_messages.hpp"

#include <bit>
#include <concepts>
#include <cstring>
#include <type_traits>

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in memory");

namespace jiphyeon::worker {
namespace {

[[noreturn]] void malformed(const std::string& what)
{
    throw EngineError(EngineError::Kind::malformed, "engine message: " + what);
}

template <typename T>
concept Number = std::integral<T> || std::floating_point<T>;

class Writer {
public:
    template <Number T>
    void field(const T& value)
    {
        char bytes[sizeof value];
        std::memcpy(bytes, &value, sizeof value);
        out_.append(bytes, sizeof value);
    }
    void field(const bool& value) { out_.push_back(value ? 1 : 0); }
    void field(const std::string& value)
    {
        count(value.size());
        out_ += value;
    }
    void field(const std::filesystem::path& value) { field(value.string()); }
    template <Number T>
    void field(const std::vector<T>& values)
    {
        count(values.size());
        out_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    }
    void field(const std::vector<std::string>& values)
    {
        count(values.size());
        for (const std::string& value : values) field(value);
    }
    void field(const std::array<std::uint8_t, 32>& value)
    {
        out_.append(reinterpret_cast<const char*>(value.data()), value.size());
    }
    template <typename E>
    requires std::is_enum_v<E>
    void choice(const E& value, E) { field(static_cast<std::uint8_t>(value)); }
    void size(const std::size_t& value) { field(static_cast<std::uint64_t>(value)); }
    void count(std::size_t value)
    {
        if (value > 0xFFFFFFFFu) malformed("a list is too long");
        field(static_cast<std::uint32_t>(value));
    }
    std::string take() { return std::move(out_); }

private:
    std::string out_;
};

class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    template <Number T>
    void field(T& value)
    {
        std::memcpy(&value, take(sizeof value).data(), sizeof value);
    }
    void field(bool& value)
    {
        const char byte = take(1)[0];
        if (byte != 0 && byte != 1) malformed("a flag that is neither 0 nor 1");
        value = byte == 1;
    }
    void field(std::string& value) { value = take(count(1)); }
    void field(std::filesystem::path& value) { value = take(count(1)); }
    template <Number T>
    void field(std::vector<T>& values)
    {
        values.resize(count(sizeof(T)));
        if (!values.empty())
            std::memcpy(values.data(), take(values.size() * sizeof(T)).data(), values.size() * sizeof(T));
    }
    void field(std::vector<std::string>& values)
    {
        values.resize(count(sizeof(std::uint32_t)));
        for (std::string& value : values) field(value);
    }
    void field(std::array<std::uint8_t, 32>& value)
    {
        std::memcpy(value.data(), take(value.size()).data(), value.size());
    }
    template <typename E>
    requires std::is_enum_v<E>
    void choice(E& value, E last)
    {
        std::uint8_t stored = 0;
        field(stored);
        if (stored > static_cast<std::uint8_t>(last)) malformed("a value out of its range");
        value = static_cast<E>(stored);
    }
    void size(std::size_t& value)
    {
        std::uint64_t stored = 0;
        field(stored);
        value = stored;
    }
    // A count of elements that take at least `element_bytes` each: what cannot be there is not made room for.
    std::size_t count(std::size_t element_bytes)
    {
        std::uint32_t value = 0;
        field(value);
        if (value > rest_.size() / element_bytes) malformed("a length beyond its end");
        return value;
    }
    void finish() const
    {
        if (!rest_.empty()) malformed("bytes after its end");
    }

private:
    std::string_view take(std::size_t bytes)
    {
        if (bytes > rest_.size()) malformed("it ends early");
        const std::string_view taken = rest_.substr(0, bytes);
        rest_.remove_prefix(bytes);
        return taken;
    }
    std::string_view rest_;
};

template <typename Io, typename V>
void optional_digest(Io& io, V& digest)
{
    bool there = digest.has_value();
    io.field(there);
    if constexpr (std::is_same_v<Io, Reader>) {
        if (there) digest.emplace();
    }
    if (there) io.field(*digest);
}

// A list whose elements take at least `element_bytes` each.
template <typename Io, typename V, typename Each>
void list(Io& io, V& values, std::size_t element_bytes, const Each& each)
{
    if constexpr (std::is_same_v<Io, Reader>) {
        values.resize(io.count(element_bytes));
    } else {
        io.count(values.size());
    }
    for (auto& value : values) each(value);
}

template <typename Io, typename V>
void path(Io& io, V& value)
{
    std::string text = value.string();
    io.field(text);
    if constexpr (std::is_same_v<Io, Reader>) value = text;
}

// V is the message's struct, const when writing.
template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, Open>
void fields(Io& io, V& value)
{
    io.field(value.model);
    io.field(value.options.threads);
    io.choice(value.options.isa, Isa::amx);
    io.size(value.options.context_tokens);
    io.choice(value.options.kv, KvType::q8);
    io.size(value.options.prefix_cache_bytes);
    io.size(value.options.prefix_disk_bytes);
    io.field(value.options.prefix_disk_folder);
    io.size(value.options.guess_tokens);
    optional_digest(io, value.options.sha256);
    list(io, value.options.adapters, 9, [&io](auto& adapter) {
        path(io, adapter.file);
        optional_digest(io, adapter.sha256);
        io.field(adapter.scale);
    });
}

template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, Opened>
void fields(Io& io, V& value)
{
    auto& info = value.info;
    io.field(info.name);
    io.field(info.architecture);
    io.field(info.quantization);
    io.field(info.sha256);
    io.field(info.template_sha256);
    io.field(info.file_bytes);
    io.field(info.memory.weights);
    io.field(info.memory.caches);
    io.field(info.memory.work);
    io.size(info.context_tokens);
    io.size(info.embedding_size);
    io.size(info.vocabulary);
    io.field(info.generates);
    io.field(info.embeds);
    io.field(info.reranks);
    io.field(info.replayable);
    io.choice(info.kv, KvType::q8);
    list(io, info.adapters, 40, [&io](auto& adapter) {
        io.field(adapter.name);
        io.field(adapter.sha256);
        io.field(adapter.scale);
    });
    io.field(value.pieces);
    io.field(value.ends);
}

template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, Encode>
void fields(Io& io, V& value)
{
    io.field(value.text);
    io.field(value.add_special);
}

template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, Logits>
void fields(Io& io, V& value)
{
    io.field(value.prompt);
    io.field(value.cache_domain);
}

template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, Rerank>
void fields(Io& io, V& value)
{
    io.field(value.query);
    io.field(value.passages);
}

template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, Generate>
void fields(Io& io, V& value)
{
    auto& request = value.request;
    io.field(request.prompt);
    io.size(request.max_tokens);
    io.field(request.sampling.temperature);
    io.field(request.sampling.top_k);
    io.field(request.sampling.top_p);
    io.field(request.sampling.seed);
    io.field(request.grammar);
    io.field(request.quoting.passages);
    io.field(request.quoting.open);
    io.field(request.quoting.close);
    io.size(request.quoting.characters_min);
    io.size(request.quoting.characters_max);
    io.field(request.stop);
    io.field(request.cache_domain);
    io.field(value.wants_text);
    io.field(value.wants_slot);
    io.field(value.wants_progress);
}

template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, Generated>
void fields(Io& io, V& value)
{
    io.field(value.text);
    io.field(value.tokens);
    io.choice(value.finish, Generated::Finish::cancelled);
    list(io, value.quotes, 4 * sizeof(std::uint64_t), [&io](auto& quote) {
        io.size(quote.start);
        io.size(quote.end);
        io.size(quote.passage);
        io.size(quote.passage_start);
    });
    io.field(value.logits_hash);
    io.size(value.prompt_tokens);
    io.size(value.cached_tokens);
    io.size(value.steps);
    io.field(value.prompt_ms);
    io.field(value.decode_ms);
}

template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, Failed>
void fields(Io& io, V& value)
{
    io.choice(value.kind, EngineError::Kind::lost);
    io.field(value.detail);
}

template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, Slot>
void fields(Io& io, V& value)
{
    io.field(value.name);
    io.field(value.since);
}

template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, GenerateEvents::SlotFill>
void fields(Io& io, V& value)
{
    io.field(value.text);
    io.field(value.stop);
}

template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, Progress>
void fields(Io& io, V& value)
{
    io.field(value.done);
    io.field(value.total);
}

template <typename Io, typename V>
requires std::is_same_v<std::remove_const_t<V>, ChatTurn>
void fields(Io& io, V& value)
{
    io.field(value.role);
    io.field(value.text);
}

Writer begin(Header header)
{
    Writer out;
    out.field(static_cast<std::uint8_t>(header.type));
    out.field(header.id);
    return out;
}

template <typename V>
std::string message(Header header, const V& value)
{
    Writer out = begin(header);
    fields(out, value);
    return out.take();
}

template <typename V>
V parse(std::string_view body)
{
    Reader in(body);
    V value;
    fields(in, value);
    in.finish();
    return value;
}

template <typename V>
V parse_one(std::string_view body)
{
    Reader in(body);
    V value{};
    in.field(value);
    in.finish();
    return value;
}

}  // namespace

std::string write_empty(Header header)
{
    return begin(header).take();
}

std::string write_flag(Header header, bool value)
{
    Writer out = begin(header);
    out.field(value);
    return out.take();
}

std::string write_text(Header header, std::string_view value)
{
    Writer out = begin(header);
    out.field(std::string(value));
    return out.take();
}

std::string write_tokens(std::uint32_t id, const std::vector<TokenId>& value)
{
    Writer out = begin({Type::tokens, id});
    out.field(value);
    return out.take();
}

std::string write_floats(std::uint32_t id, const std::vector<float>& value)
{
    Writer out = begin({Type::floats, id});
    out.field(value);
    return out.take();
}

std::string write(std::uint32_t id, const Open& value)
{
    return message({Type::open, id}, value);
}
std::string write(std::uint32_t id, const Opened& value)
{
    return message({Type::opened, id}, value);
}
std::string write(std::uint32_t id, const Encode& value)
{
    return message({Type::encode, id}, value);
}
std::string write(std::uint32_t id, const Logits& value)
{
    return message({Type::logits, id}, value);
}
std::string write(std::uint32_t id, const Rerank& value)
{
    return message({Type::rerank, id}, value);
}
std::string write(std::uint32_t id, const Generate& value)
{
    return message({Type::generate, id}, value);
}
std::string write(std::uint32_t id, const Generated& value)
{
    return message({Type::generated, id}, value);
}
std::string write(std::uint32_t id, const Failed& value)
{
    return message({Type::failed, id}, value);
}
std::string write(std::uint32_t id, const Slot& value)
{
    return message({Type::slot, id}, value);
}
std::string write(std::uint32_t id, const Progress& value)
{
    return message({Type::progress, id}, value);
}

std::string write(std::uint32_t id, const GenerateEvents::SlotFill& value)
{
    return message({Type::fill, id}, value);
}

std::string write(std::uint32_t id, const std::vector<ChatTurn>& value)
{
    Writer out = begin({Type::chat, id});
    out.count(value.size());
    for (const ChatTurn& turn : value) fields(out, turn);
    return out.take();
}

std::string write(std::uint32_t id, const std::vector<std::string>& value)
{
    Writer out = begin({Type::embed, id});
    out.field(value);
    return out.take();
}

Header read_header(std::string_view& message)
{
    constexpr std::size_t kHeaderBytes = 5;
    Reader in(message);
    std::uint8_t type = 0;
    Header header;
    in.field(type);
    in.field(header.id);
    const bool request =
        type >= static_cast<std::uint8_t>(Type::open) && type <= static_cast<std::uint8_t>(Type::rerank);
    const bool answer =
        type >= static_cast<std::uint8_t>(Type::opened) && type <= static_cast<std::uint8_t>(Type::progress);
    if (!request && !answer) malformed("unknown type " + std::to_string(type));
    header.type = static_cast<Type>(type);
    message.remove_prefix(kHeaderBytes);
    return header;
}

bool read_flag(std::string_view body)
{
    return parse_one<bool>(body);
}
std::string read_text(std::string_view body)
{
    return parse_one<std::string>(body);
}
std::vector<TokenId> read_tokens(std::string_view body)
{
    return parse_one<std::vector<TokenId>>(body);
}
std::vector<float> read_floats(std::string_view body)
{
    return parse_one<std::vector<float>>(body);
}
std::vector<std::string> read_embed(std::string_view body)
{
    return parse_one<std::vector<std::string>>(body);
}
Open read_open(std::string_view body)
{
    return parse<Open>(body);
}
Opened read_opened(std::string_view body)
{
    return parse<Opened>(body);
}
Encode read_encode(std::string_view body)
{
    return parse<Encode>(body);
}
Logits read_logits(std::string_view body)
{
    return parse<Logits>(body);
}
Rerank read_rerank(std::string_view body)
{
    return parse<Rerank>(body);
}
Generate read_generate(std::string_view body)
{
    return parse<Generate>(body);
}
Generated read_generated(std::string_view body)
{
    return parse<Generated>(body);
}
Failed read_failed(std::string_view body)
{
    return parse<Failed>(body);
}
Slot read_slot(std::string_view body)
{
    return parse<Slot>(body);
}
GenerateEvents::SlotFill read_fill(std::string_view body)
{
    return parse<GenerateEvents::SlotFill>(body);
}
Progress read_progress(std::string_view body)
{
    return parse<Progress>(body);
}

std::vector<ChatTurn> read_chat(std::string_view body)
{
    Reader in(body);
    std::vector<ChatTurn> turns(in.count(2 * sizeof(std::uint32_t)));
    for (ChatTurn& turn : turns) fields(in, turn);
    in.finish();
    return turns;
}

}  // namespace jiphyeon::worker
