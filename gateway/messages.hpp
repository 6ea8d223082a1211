// The JSON of the gateway: one function that reads and one that prints per message, so that a field has one
// meaning on the command line, the control socket and the web. gateway/api.md lists the fields.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/audit.hpp"
#include "jiphyeon/index.hpp"
#include "jiphyeon/retriever.hpp"

namespace jiphyeon {

using Json = nlohmann::ordered_json;

// Throws GatewayError bad_request where the text is no JSON object.
Json parse_object(std::string_view text);
// Invalid UTF-8 is replaced, never thrown at: what we print must always leave.
std::string print(const Json& value);

// Reads the fields of a request; what is missing or of another type throws GatewayError bad_request naming
// it.
class Fields {
public:
    explicit Fields(const Json& object) : object_(object) {}
    std::string text(const char* name) const;
    std::optional<std::string> maybe_text(const char* name) const;
    std::optional<std::vector<std::string>> maybe_texts(const char* name) const;
    std::uint64_t number(const char* name) const;
    std::optional<std::uint64_t> maybe_number(const char* name) const;
    bool flag(const char* name, bool otherwise) const;
    std::optional<bool> maybe_flag(const char* name) const;
    std::optional<Day> maybe_day(const char* name) const;

private:
    const Json* find(const char* name) const;
    const Json& object_;
};

std::string utc_text(std::int64_t utc_us);  // "2026-11-22T06:01:23.000000Z"
Day local_today();

Json to_json(const Receipt& receipt);
Json to_json(const Evidence& evidence);
Json to_json(const Sentence& sentence);
Json to_json(const DocumentRecord& document);
Json to_json(const Leaf& leaf);
Json to_json(const Timings& timings);
// As a hit of `search`: without number and without mark of citation.
Json hit_json(const Evidence& evidence);

// What the record keeps so that an answer can be generated again.
Json to_json(const Generation& generation);
Generation generation_from_json(const Json& object);

std::string base64_text(const Digest& digest);
std::string hex_text(const Digest& digest);
std::string_view state_name(DocumentState state);

}  // namespace jiphyeon
