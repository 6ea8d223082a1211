// The record, for those who watch over it. Reading a body needs a written reason, and is itself a leaf.
#include <algorithm>

#include "jiphyeon/pii.hpp"
#include "service_state.hpp"

namespace jiphyeon {
namespace {

constexpr std::uint64_t kListMax = 1000;
constexpr std::size_t kReasonMin = 10, kReasonMax = 500;  // characters

std::string reason_of(const Call& call)
{
    std::string reason = call.fields.text("reason");
    const std::size_t length = characters(reason);
    if (length < kReasonMin || length > kReasonMax)
        throw GatewayError(GatewayError::Kind::bad_request, "reason: 열람 사유를 10~500자로 적어야 합니다.");
    return mask(reason).text;
}

std::uint64_t existing_leaf(const Call& call)
{
    const std::uint64_t number = call.fields.number("leaf");
    if (number >= call.state.parts.audit.size())
        throw GatewayError(GatewayError::Kind::not_found, "그런 기록이 없습니다.");
    return number;
}

// The record that a leaf opened or closed.
RecordId record_of(const Call& call)
{
    const std::uint64_t number = existing_leaf(call);
    return call.state.parts.audit.leaf(number).record.value_or(number);
}

std::string object_name(RecordId record)
{
    return "record:" + std::to_string(record);
}

// Bodies are JSON of ours; an old or foreign one is shown as text.
Json body_json(const std::string& body)
{
    Json value = Json::parse(body, nullptr, false);
    return value.is_discarded() ? Json(body) : value;
}

void compare_evidence(const Call& call, const Json& body, Json& differences)
{
    for (const Json& item : body.value("evidence", Json::array())) {
        const std::string document = item.at("document_id").get<std::string>(),
                          chunk = item.at("chunk").get<std::string>();
        const std::optional<DocumentRecord> row = call.state.parts.index.document(document);
        const std::string where = "evidence " + std::to_string(item.at("n").get<unsigned>());
        if (!row) {
            differences.push_back(where + ": the document is no longer there");
            continue;
        }
        const Scope scope{.labels = {row->label}, .day = 0, .all_versions = true};
        const std::optional<Chunk> now = call.state.parts.index.chunk(chunk, scope);
        if (!now)
            differences.push_back(where + ": the passage can no longer be found");
        else if (hex_text(crypto::sha256(now->text)) != item.at("sha256").get<std::string>())
            differences.push_back(where + ": the passage reads otherwise now");
    }
}

Json report_json(const AuditReport& report)
{
    Json problems = Json::array();
    for (const AuditProblem& problem : report.problems)
        problems.push_back({{"leaf", problem.leaf}, {"what", problem.what}});
    return {{"ok", report.ok},
            {"records", report.records},
            {"size", report.size},
            {"root", base64_text(report.root)},
            {"problems", std::move(problems)},
            {"not_checked", report.not_checked}};
}

}  // namespace

std::string audit_report_json(const AuditReport& report)
{
    return print(report_json(report));
}

Json call_audit_list(const Call& call)
{
    const AuditLog& audit = call.state.parts.audit;
    const std::uint64_t size = audit.size();
    const std::uint64_t from = call.fields.maybe_number("from").value_or(0);
    const std::uint64_t limit = std::min(call.fields.maybe_number("limit").value_or(50), kListMax);
    const std::optional<std::string> actor = call.fields.maybe_text("actor"),
                                     action = call.fields.maybe_text("action");
    Json leaves = Json::array();
    for (std::uint64_t number = from; number < size && leaves.size() < limit; ++number) {
        const Leaf leaf = audit.leaf(number);
        if ((actor && leaf.actor != *actor) || (action && leaf.action != *action)) continue;
        leaves.push_back(to_json(leaf));
    }
    call.state.note(call.caller, "record listed", std::to_string(leaves.size()) + " leaves", {});
    return {{"leaves", std::move(leaves)}, {"size", size}};
}

Json call_audit_show(const Call& call)
{
    const RecordId id = record_of(call);
    const std::string reason = reason_of(call);
    call.state.note(call.caller, "record opened", "granted", {object_name(id)}, {{"reason", reason}});
    const StoredRecord record = call.state.parts.audit.record(id);
    Json reply = to_json(record.opened);
    reply["closed"] = record.closed ? to_json(*record.closed) : Json();
    reply["question"] = body_json(record.question);
    reply["pieces"] = Json::array();
    for (const std::string& piece : record.pieces) reply["pieces"].push_back(body_json(piece));
    reply["body"] = body_json(record.body);
    return reply;
}

Json call_audit_verify(const Call& call)
{
    const std::string remembered = call.fields.maybe_text("remembered").value_or("");
    const AuditReport report =
        call.state.parts.audit.verify(remembered, [&](std::uint64_t done, std::uint64_t total) {
            tell(call.on_event, {{"event", "progress"}, {"done", done}, {"total", total}});
        });
    return report_json(report);
}

Json call_audit_prove(const Call& call)
{
    AuditLog& audit = call.state.parts.audit;
    const std::uint64_t number = existing_leaf(call);
    const Checkpoint checkpoint = audit.checkpoint();
    const std::uint64_t size = call.fields.maybe_number("size").value_or(checkpoint.size);
    if (size != checkpoint.size && (size <= number || size > checkpoint.size))
        throw GatewayError(GatewayError::Kind::bad_request,
                           "size: a tree that holds the leaf, not larger than now");
    const std::string encoded = audit.leaf(number).encode();
    Json proof = Json::array();
    for (const Digest& digest : audit.inclusion_proof(number, size)) proof.push_back(base64_text(digest));
    Json reply{{"leaf", number}, {"size", size}};
    if (size == checkpoint.size) {
        reply["root"] = base64_text(checkpoint.root);
        reply["checkpoint"] = checkpoint.text;
    } else {
        // The root of an earlier size is what the prover's own old checkpoint says; ours is bound to it.
        reply["consistency"] = Json::array();
        for (const Digest& digest : audit.consistency_proof(size, checkpoint.size))
            reply["consistency"].push_back(base64_text(digest));
        reply["checkpoint"] = checkpoint.text;
    }
    reply["leaf_hash"] = base64_text(leaf_hash(encoded));
    reply["leaf_bytes"] = crypto::base64(encoded);
    reply["proof"] = std::move(proof);
    return reply;
}

Json call_audit_replay(const Call& call)
{
    const RecordId id = record_of(call);
    const StoredRecord record = call.state.parts.audit.record(id);
    if (record.body.empty())
        throw GatewayError(GatewayError::Kind::bad_request, "끝나지 않은 기록은 되풀이할 수 없습니다.");
    const Json body = parse_object(record.body);
    if (!body.contains("generation"))
        throw GatewayError(GatewayError::Kind::bad_request, "질문의 기록이 아닙니다.");
    Json differences = Json::array();
    compare_evidence(call, body, differences);
    const bool spoke = !body.at("generation").is_null();
    bool replayable = true;
    if (spoke) {
        const Generation generation = generation_from_json(body.at("generation"));
        replayable = !generation.remote;
        for (const std::string& difference : call.state.parts.retriever.replay(generation))
            differences.push_back(difference);
    }
    const bool same = differences.empty();
    call.state.note(call.caller, "replayed",
                    !replayable ? "not replayable"
                    : same      ? "same"
                                : "different",
                    {object_name(id)});
    return {{"same", same},
            {"replayable", replayable},
            {"differences", std::move(differences)},
            {"generated", spoke},
            {"index_generation",
             {{"then", body.at("index_generation")}, {"now", call.state.parts.index.generation()}}}};
}

Json call_audit_checkpoint(const Call& call)
{
    const Checkpoint checkpoint = call.state.parts.audit.checkpoint();
    return {
        {"checkpoint", checkpoint.text}, {"size", checkpoint.size}, {"root", base64_text(checkpoint.root)}};
}

Json call_audit_erase(const Call& call)
{
    const RecordId id = record_of(call);
    const std::string reason = reason_of(call);
    call.state.note(call.caller, "erasure ordered", "granted", {object_name(id)}, {{"reason", reason}});
    const Receipt receipt = call.state.parts.audit.erase_body(
        id, call.state.facts(call.caller, "erased", "done", {object_name(id)}));
    return {{"receipt", to_json(receipt)}};
}

}  // namespace jiphyeon
