// What a site decides: DIR/jiphyeon.toml. Every setting has a unit, a default and a person who would change
// it; README lists them. What would be silently without effect is refused: unknown keys, as they may be
// misspelt, and settings of the engine here beside a server that writes the answers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::app {

// What a command cannot do: exit 2 (wrong use) or 3 (failed). `where` names the file, option or place.
class CommandError : public std::runtime_error {
public:
    enum class Kind { usage, config, data_folder, busy, not_done };
    CommandError(Kind k, const std::string& message, std::string place = {})
        : std::runtime_error(message), kind(k), where(std::move(place))
    {
    }
    Kind kind;
    std::string where;
};

struct ModelFile {
    std::filesystem::path file;
    std::string sha256;  // hex; a file with another hash is refused before it is parsed
};

// A server on the agency's network that writes the answers.
struct RemoteServer {
    std::string url;  // empty: the engine here writes them
    ServerKind kind = ServerKind::openai;
    std::string model;                   // its name at the server
    std::filesystem::path authorities;   // PEM
    std::filesystem::path api_key_file;  // empty: the server asks for none
    std::size_t likeliest = 20;          // tokens that it names when asked for scores; 0: it cannot
    std::uint32_t first_word_s = 120;    // until it may be given up
};

struct Config {
    // [server]
    std::string address = "127.0.0.1";
    std::uint16_t port = 8443;
    std::vector<std::string> hosts;  // names under which the intranet reaches the server
    // [models]
    ModelFile llm, embedder;  // an empty file: search mode, without answers or without vectors
    ModelFile adapter;        // LoRA of the llm, or none
    // [engine]
    unsigned threads = 2;
    Isa isa = Isa::best;
    std::size_t context_tokens = 4096;
    KvType kv = KvType::f16;
    std::size_t prefix_cache_mib = 512;
    std::size_t prefix_disk_mib = 0;
    // [remote]
    RemoteServer remote;  // the vocabulary and the template are still those of `llm`
    // [keys]
    std::filesystem::path key_file;  // 32 bytes, base64; outside the data folder
    // [limits]
    std::size_t waiting = 16;
    std::uint32_t session_idle_s = 1800;
    unsigned ingest_workers = 2;

    static Config load(const std::filesystem::path& file);  // throws CommandError config
    void save(const std::filesystem::path& file) const;
};

}  // namespace jiphyeon::app
