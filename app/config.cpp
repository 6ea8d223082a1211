#include "config.hpp"

#include <toml++/toml.h>

#include <fstream>
#include <functional>
#include <limits>
#include <map>

namespace jiphyeon::app {
namespace {

using Kind = CommandError::Kind;

// One setting: where it is written in the file, and how it is read and written.
struct Setting {
    std::function<void(const toml::node&)> read;
    std::function<void(toml::table&, const std::string&)> write;
};

template <class Number>
Setting number(Number& value, std::int64_t low, std::int64_t high)
{
    return {[&value, low, high](const toml::node& node) {
                const auto got = node.value<std::int64_t>();
                if (!got || *got < low || *got > high)
                    throw std::runtime_error("정수 " + std::to_string(low) + "~" + std::to_string(high));
                value = static_cast<Number>(*got);
            },
            [&value](toml::table& table, const std::string& key) {
                table.insert(key, static_cast<std::int64_t>(value));
            }};
}

template <class Text>  // std::string or path
Setting text(Text& value)
{
    return {[&value](const toml::node& node) {
                const auto got = node.value<std::string>();
                if (!got) throw std::runtime_error("문자열");
                value = *got;
            },
            [&value](toml::table& table, const std::string& key) { table.insert(key, std::string(value)); }};
}

// names: all of them, for whoever wrote another.
template <class Enum>
Setting choice(Enum& value, std::string_view (*name_of)(Enum),
               std::optional<Enum> (*from_name)(std::string_view), const char* names)
{
    return {[=, &value](const toml::node& node) {
                const auto got = from_name(node.value<std::string>().value_or(""));
                if (!got) throw std::runtime_error(std::string(names) + " 가운데 하나");
                value = *got;
            },
            [=, &value](toml::table& table, const std::string& key) { table.insert(key, name_of(value)); }};
}

Setting list(std::vector<std::string>& value)
{
    return {[&value](const toml::node& node) {
                const toml::array* array = node.as_array();
                if (!array) throw std::runtime_error("문자열 목록");
                value.clear();
                for (const toml::node& item : *array) {
                    const auto got = item.value<std::string>();
                    if (!got) throw std::runtime_error("문자열 목록");
                    value.push_back(*got);
                }
            },
            [&value](toml::table& table, const std::string& key) {
                toml::array array;
                for (const std::string& item : value) array.push_back(item);
                table.insert(key, array);
            }};
}

std::map<std::string, std::map<std::string, Setting>> settings(Config& c)
{
    return {{"server",
             {{"address", text(c.address)}, {"port", number(c.port, 0, 65535)}, {"hosts", list(c.hosts)}}},
            {"models",
             {{"llm", text(c.llm.file)},
              {"llm_sha256", text(c.llm.sha256)},
              {"adapter", text(c.adapter.file)},
              {"adapter_sha256", text(c.adapter.sha256)},
              {"embedder", text(c.embedder.file)},
              {"embedder_sha256", text(c.embedder.sha256)}}},
            {"engine",
             {{"threads", number(c.threads, 1, 256)},
              {"isa", choice(c.isa, isa_name, isa_from_name, "best, scalar, avx2, avx512, amx")},
              {"context_tokens", number(c.context_tokens, 512, 131072)},
              {"kv", choice(c.kv, kv_type_name, kv_type_from_name, "f16, q8")},
              {"prefix_cache_mib", number(c.prefix_cache_mib, 0, 1 << 20)},
              {"prefix_disk_mib", number(c.prefix_disk_mib, 0, 1 << 24)}}},
            {"remote",
             {{"url", text(c.remote.url)},
              {"kind", choice(c.remote.kind, server_kind_name, server_kind_from_name,
                              "llama-server, llama-cpp-python, vllm, openai")},
              {"model", text(c.remote.model)},
              {"authorities", text(c.remote.authorities)},
              {"api_key_file", text(c.remote.api_key_file)},
              {"likeliest", number(c.remote.likeliest, 0, 1000)},
              {"first_word_s", number(c.remote.first_word_s, 1, 3600)}}},
            {"keys", {{"file", text(c.key_file)}}},
            {"limits",
             {{"waiting", number(c.waiting, 0, 1000)},
              {"session_idle_s", number(c.session_idle_s, 60, 86400)},
              {"ingest_workers", number(c.ingest_workers, 1, 64)}}}};
}

std::string place(const std::filesystem::path& file, const toml::source_region& source)
{
    return file.string() + ":" + std::to_string(source.begin.line);
}

// A server that writes the answers does not know what is set for the engine here: it would be silently
// without effect.
void refuse_what_a_server_ignores(const Config& config, const toml::table& root,
                                  const std::filesystem::path& file)
{
    if (config.remote.url.empty()) return;
    const Config usual;
    const struct {
        const char* name;
        bool changed;
    } settings_here[] = {{"models.adapter", config.adapter.file != usual.adapter.file},
                         {"engine.kv", config.kv != usual.kv},
                         {"engine.prefix_disk_mib", config.prefix_disk_mib != usual.prefix_disk_mib}};
    for (const auto& [name, changed] : settings_here) {
        if (changed)
            throw CommandError(Kind::config,
                               "remote.url의 서버가 답을 쓰므로 " + std::string(name) +
                                   "은(는) 효과가 없습니다. 이 설정을 지우거나 remote.url을 비우십시오.",
                               place(file, root.at_path(name).node()->source()));
    }
}

}  // namespace

Config Config::load(const std::filesystem::path& file)
{
    Config config;
    toml::table root;
    try {
        root = toml::parse_file(file.string());
    } catch (const toml::parse_error& e) {
        throw CommandError(Kind::config, "설정 파일을 읽을 수 없습니다: " + std::string(e.description()),
                           place(file, e.source()));
    }
    const auto known = settings(config);
    for (const auto& [section, node] : root) {
        const auto found = known.find(std::string(section.str()));
        if (found == known.end() || !node.is_table())
            throw CommandError(Kind::config, "모르는 설정 구역입니다: [" + std::string(section.str()) + "]",
                               place(file, node.source()));
        for (const auto& [key, value] : *node.as_table()) {
            const auto setting = found->second.find(std::string(key.str()));
            if (setting == found->second.end())
                throw CommandError(Kind::config, "모르는 설정입니다: " + std::string(key.str()),
                                   place(file, value.source()));
            try {
                setting->second.read(value);
            } catch (const std::runtime_error& expected) {
                throw CommandError(
                    Kind::config,
                    std::string(key.str()) + "의 값이 맞지 않습니다. 필요한 값: " + expected.what(),
                    place(file, value.source()));
            }
        }
    }
    refuse_what_a_server_ignores(config, root, file);
    return config;
}

void Config::save(const std::filesystem::path& file) const
{
    Config copy = *this;
    toml::table root;
    for (const auto& [section, entries] : settings(copy)) {
        toml::table table;
        for (const auto& [key, setting] : entries) setting.write(table, key);
        root.insert(section, table);
    }
    std::ofstream out(file);
    out << "# 집현 설정. 항목과 단위는 README의 \"Settings\" 표에 있습니다.\n" << root << "\n";
    out.flush();
    if (!out) throw CommandError(Kind::data_folder, "설정 파일을 쓸 수 없습니다.", file.string());
}

}  // namespace jiphyeon::app
