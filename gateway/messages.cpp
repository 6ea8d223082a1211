#include "messages.hpp"

#include <ctime>

#include "jiphyeon/gateway.hpp"

namespace jiphyeon {
namespace {

[[noreturn]] void bad(const char* field, const char* what)
{
    throw GatewayError(GatewayError::Kind::bad_request, std::string(field) + ": " + what);
}

Json day_json(const std::optional<Day>& day)
{
    return day ? Json(day_to_text(*day)) : Json();
}

Json boxes_json(const std::vector<Box>& boxes)
{
    Json list = Json::array();
    for (const Box& box : boxes)
        list.push_back({{"page", box.page}, {"box", {box.left, box.top, box.right, box.bottom}}});
    return list;
}

}  // namespace

Json parse_object(std::string_view text)
{
    Json value = Json::parse(text, nullptr, false);
    if (!value.is_object())
        throw GatewayError(GatewayError::Kind::bad_request, "the request is not a JSON object");
    return value;
}

std::string print(const Json& value)
{
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const Json* Fields::find(const char* name) const
{
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> Fields::maybe_text(const char* name) const
{
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) bad(name, "must be a text");
    return value->get<std::string>();
}

std::string Fields::text(const char* name) const
{
    std::optional<std::string> value = maybe_text(name);
    if (!value) bad(name, "is missing");
    return *value;
}

std::optional<std::vector<std::string>> Fields::maybe_texts(const char* name) const
{
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_array()) bad(name, "must be a list of texts");
    std::vector<std::string> texts;
    for (const Json& item : *value) {
        if (!item.is_string()) bad(name, "must be a list of texts");
        texts.push_back(item.get<std::string>());
    }
    return texts;
}

std::optional<std::uint64_t> Fields::maybe_number(const char* name) const
{
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number_unsigned()) bad(name, "must be a whole number, 0 or more");
    return value->get<std::uint64_t>();
}

std::uint64_t Fields::number(const char* name) const
{
    const std::optional<std::uint64_t> value = maybe_number(name);
    if (!value) bad(name, "is missing");
    return *value;
}

std::optional<bool> Fields::maybe_flag(const char* name) const
{
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean()) bad(name, "must be true or false");
    return value->get<bool>();
}

bool Fields::flag(const char* name, bool otherwise) const
{
    return maybe_flag(name).value_or(otherwise);
}

std::optional<Day> Fields::maybe_day(const char* name) const
{
    const std::optional<std::string> value = maybe_text(name);
    if (!value) return std::nullopt;
    const std::optional<Day> day = day_from_text(*value);
    if (!day) bad(name, "must be a date such as 2026-05-19");
    return day;
}

std::string utc_text(std::int64_t utc_us)
{
    const std::int64_t micros = ((utc_us % 1'000'000) + 1'000'000) % 1'000'000;
    const std::time_t seconds = static_cast<std::time_t>((utc_us - micros) / 1'000'000);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char date[32];
    const std::size_t written = std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    std::string fraction = std::to_string(micros);
    fraction.insert(0, 6 - fraction.size(), '0');
    return std::string(date, written) + "." + fraction + "Z";
}

Day local_today()
{
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    localtime_r(&now, &parts);
    char date[16];
    const std::size_t written = std::strftime(date, sizeof date, "%Y-%m-%d", &parts);
    const std::optional<Day> day = day_from_text(std::string_view(date, written));
    if (!day) throw GatewayError(GatewayError::Kind::unavailable, "the machine's clock shows no usable date");
    return *day;
}

std::string base64_text(const Digest& digest)
{
    return crypto::base64(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

std::string hex_text(const Digest& digest)
{
    return crypto::hex(digest);
}

std::string_view state_name(DocumentState state)
{
    switch (state) {
        case DocumentState::current:
            return "current";
        case DocumentState::superseded:
            return "superseded";
        case DocumentState::withdrawn:
            return "withdrawn";
    }
    return "withdrawn";
}

Json to_json(const Receipt& receipt)
{
    return {{"leaf", receipt.leaf}, {"size", receipt.size}, {"root", base64_text(receipt.root)}};
}

Json hit_json(const Evidence& evidence)
{
    const Chunk& chunk = evidence.chunk;
    return {{"source_id", evidence.source_id},
            {"document", evidence.title},
            {"document_id", chunk.document_id},
            {"version", evidence.version},
            {"state", state_name(evidence.state)},
            {"effective_from", day_json(evidence.effective_from)},
            {"effective_to", day_json(evidence.effective_to)},
            {"label", chunk.label},
            {"page", chunk.place.page},
            {"page_end", chunk.place.page_end},
            {"page_exact", chunk.place.page_exact},
            {"section", chunk.place.section},
            {"header", chunk.header},
            {"text", chunk.text},
            {"boxes", boxes_json(chunk.place.boxes)},
            {"score", evidence.score}};
}

Json to_json(const Evidence& evidence)
{
    Json object{{"n", evidence.n}};
    object.update(hit_json(evidence));
    object["cited"] = evidence.cited;
    return object;
}

Json to_json(const Sentence& sentence)
{
    Json object{{"text", sentence.text},
                {"citations", sentence.citations},
                {"support", support_name(sentence.support)}};
    if (!sentence.doubt.empty()) object["doubt"] = sentence.doubt;
    object["spans"] = Json::array();
    for (const Sentence::Span& span : sentence.spans)
        object["spans"].push_back({{"n", span.n}, {"start", span.start}, {"end", span.end}});
    return object;
}

Json to_json(const DocumentRecord& document)
{
    return {{"id", document.id},
            {"source_id", document.source_id},
            {"title", document.title},
            {"format", document.format},
            {"version", document.version},
            {"label", document.label},
            {"state", state_name(document.state)},
            {"document_number", document.document_number},
            {"pages", document.pages},
            {"chunks", document.chunks},
            {"masked", document.masked},
            {"effective_from", day_json(document.effective_from)},
            {"effective_to", day_json(document.effective_to)},
            {"supersedes", document.supersedes},
            {"superseded_by", document.superseded_by},
            {"stored", utc_text(document.stored_us)}};
}

Json to_json(const Leaf& leaf)
{
    Json object{{"leaf", leaf.sequence},
                {"time", utc_text(leaf.utc_us)},
                {"actor", leaf.actor},
                {"os_user", leaf.os_user},
                {"session", leaf.session},
                {"origin", leaf.origin},
                {"action", leaf.action},
                {"outcome", leaf.outcome},
                {"record", leaf.record ? Json(*leaf.record) : Json()},
                {"objects", leaf.objects},
                {"model_sha256", leaf.model_sha256}};
    return object;
}

Json to_json(const Timings& timings)
{
    return {{"search", timings.search_ms},
            {"prompt", timings.prompt_ms},
            {"first_sentence", timings.first_sentence_ms},
            {"total", timings.total_ms}};
}

Json to_json(const Generation& generation)
{
    Json fills = Json::array();
    for (const GenerateEvents::SlotFill& fill : generation.fills)
        fills.push_back({{"text", fill.text}, {"stop", fill.stop}});
    Json remote;
    if (generation.remote)
        remote = {{"server", generation.remote->server},
                  {"model", generation.remote->model},
                  {"served_as", generation.remote->served_as},
                  {"text", generation.remote->text}};
    Json quoting;
    if (!generation.quoting.passages.empty())
        quoting = {{"passages", generation.quoting.passages},
                   {"open", generation.quoting.open},
                   {"close", generation.quoting.close},
                   {"characters_min", generation.quoting.characters_min},
                   {"characters_max", generation.quoting.characters_max}};
    return {{"replayable", !generation.remote.has_value()},
            {"remote", std::move(remote)},
            {"model_sha256", generation.model_sha256},
            {"template_sha256", generation.template_sha256},
            {"adapters", generation.adapters},
            {"kv", generation.kv},
            {"prompt", generation.prompt},
            {"grammar", generation.grammar},
            {"quoting", std::move(quoting)},
            {"max_tokens", generation.max_tokens},
            {"sampling",
             {{"temperature", generation.sampling.temperature},
              {"top_k", generation.sampling.top_k},
              {"top_p", generation.sampling.top_p},
              {"seed", generation.sampling.seed}}},
            {"fills", fills},
            {"tokens", generation.tokens},
            {"logits_hash", generation.logits_hash}};
}

Generation generation_from_json(const Json& object)
{
    Generation generation;
    generation.model_sha256 = object.at("model_sha256").get<std::string>();
    generation.template_sha256 = object.at("template_sha256").get<std::string>();
    // Records of before there were adapters, or another type than f16, have no such fields.
    generation.adapters = object.value("adapters", std::vector<std::string>{});
    generation.kv = object.value("kv", std::string(kv_type_name(KvType::f16)));
    generation.prompt = object.at("prompt").get<std::vector<TokenId>>();
    generation.grammar = object.at("grammar").get<std::string>();
    // Nor has a record in which nothing could be quoted.
    if (const Json quoting = object.value("quoting", Json()); !quoting.is_null())
        generation.quoting = {.passages = quoting.at("passages").get<std::vector<std::string>>(),
                              .open = quoting.at("open").get<std::string>(),
                              .close = quoting.at("close").get<std::string>(),
                              .characters_min = quoting.at("characters_min").get<std::size_t>(),
                              .characters_max = quoting.at("characters_max").get<std::size_t>()};
    generation.max_tokens = object.at("max_tokens").get<std::size_t>();
    const Json& sampling = object.at("sampling");
    generation.sampling.temperature = sampling.at("temperature").get<float>();
    generation.sampling.top_k = sampling.at("top_k").get<unsigned>();
    generation.sampling.top_p = sampling.at("top_p").get<float>();
    generation.sampling.seed = sampling.at("seed").get<std::uint64_t>();
    for (const Json& fill : object.at("fills"))
        generation.fills.push_back(
            {.text = fill.at("text").get<std::string>(), .stop = fill.at("stop").get<bool>()});
    generation.tokens = object.at("tokens").get<std::vector<TokenId>>();
    generation.logits_hash = object.at("logits_hash").get<std::string>();
    // Records made before there were servers have no such member.
    if (const Json remote = object.value("remote", Json()); !remote.is_null())
        generation.remote = {.server = remote.at("server").get<std::string>(),
                             .model = remote.at("model").get<std::string>(),
                             .served_as = remote.at("served_as").get<std::string>(),
                             .text = remote.at("text").get<std::string>()};
    return generation;
}

}  // namespace jiphyeon
