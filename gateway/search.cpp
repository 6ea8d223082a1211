// Evidence without a language model.
#include <algorithm>

#include "jiphyeon/pii.hpp"
#include "service_state.hpp"

namespace jiphyeon {
namespace {

constexpr std::uint64_t kHitsMax = 1000;
constexpr std::size_t kObjectsMax = 20;

Leg leg_from_text(const std::string& text)
{
    if (text == "lexical") return Leg::lexical;
    if (text == "dense") return Leg::dense;
    if (text == "hybrid") return Leg::hybrid;
    throw GatewayError(GatewayError::Kind::bad_request, "leg: lexical, dense or hybrid");
}

}  // namespace

Json call_search(const Call& call)
{
    const std::string text = mask(checked_question(call, "text")).text;
    if (find_secret_mark(text))
        throw GatewayError(GatewayError::Kind::bad_request, "비밀 표시가 있는 글은 찾을 수 없습니다.");
    const Leg leg = leg_from_text(call.fields.maybe_text("leg").value_or("hybrid"));
    const std::uint64_t k =
        std::clamp<std::uint64_t>(call.fields.maybe_number("k").value_or(10), 1, kHitsMax);
    const Scope scope = call.state.scope_of(call.caller.reader, call.fields.maybe_day("as_of"));

    Json hits = Json::array();
    std::vector<std::string> objects;
    for (const Evidence& found : call.state.parts.retriever.search(text, leg, k, scope)) {
        hits.push_back(hit_json(masked_evidence(found)));
        if (objects.size() < kObjectsMax &&
            std::find(objects.begin(), objects.end(), found.chunk.document_id) == objects.end())
            objects.push_back(found.chunk.document_id);
    }
    call.state.note(call.caller, "searched", std::to_string(hits.size()) + " hits", std::move(objects),
                    {{"text", text}});
    return {{"hits", std::move(hits)}};
}

}  // namespace jiphyeon
