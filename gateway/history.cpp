// A reader's own questions. The store holds only which records are his (space "history:ACCOUNT"); question
// and answer are read from the sealed bodies, and an answer is shown only while he may read what it rests on.
#include <algorithm>

#include "jiphyeon/pii.hpp"
#include "service_state.hpp"

namespace jiphyeon {
namespace {

constexpr std::uint64_t kListMax = 100;
constexpr std::size_t kCommentMax = 2000;

std::string space_of(const std::string& account)
{
    return "history:" + account;
}

std::string key_of(RecordId record)
{
    const std::string digits = std::to_string(record);
    return std::string(20 - digits.size(), '0') + digits;  // so that keys sort as numbers
}

bool may_still_read(const Call& call, const Json& body)
{
    for (const Json& item : body.value("evidence", Json::array())) {
        const std::optional<DocumentRecord> document =
            call.state.parts.index.document(item.value("document_id", std::string()));
        if (!document || document->state == DocumentState::withdrawn ||
            !call.state.readable(call.caller.reader, document->label))
            return false;
    }
    return true;
}

Json history_row(const Call& call, RecordId id)
{
    const StoredRecord record = call.state.parts.audit.record(id);
    const Json question = parse_object(record.question);
    Json row{{"leaf", id},
             {"time", utc_text(record.opened.utc_us)},
             {"question", question.value("question", std::string())},
             {"outcome", record.closed ? record.closed->outcome : ""},
             {"answer", ""}};
    if (record.body.empty()) return row;
    const Json body = parse_object(record.body);
    if (may_still_read(call, body))
        row["answer"] = body.value("answer", std::string());
    else
        row["withheld"] = true;
    return row;
}

}  // namespace

void remember_question(ServiceState& state, const Caller& caller, RecordId record)
{
    const std::vector<DocumentWrite::Row> rows = {
        {.space = space_of(caller.account), .key = key_of(record), .value = "{}"}};
    state.parts.index.put_rows(rows);
}

Json call_history(const Call& call)
{
    const std::uint64_t limit = std::min(call.fields.maybe_number("limit").value_or(20), kListMax);
    const auto rows = call.state.parts.index.rows(space_of(call.caller.account));
    Json records = Json::array();
    for (auto row = rows.rbegin(); row != rows.rend() && records.size() < limit; ++row) {
        try {
            records.push_back(history_row(call, std::stoull(row->first)));
        } catch (const AuditError& error) {
            if (error.kind != AuditError::Kind::erased) throw;  // erased: it is no longer anybody's history
        }
    }
    return {{"records", std::move(records)}};
}

Json call_feedback(const Call& call)
{
    const std::uint64_t number = call.fields.number("leaf");
    const std::string verdict = call.fields.text("verdict");
    const std::string comment = call.fields.maybe_text("comment").value_or("");
    if (verdict != "good" && verdict != "bad")
        throw GatewayError(GatewayError::Kind::bad_request, "verdict: good or bad");
    if (characters(comment) > kCommentMax)
        throw GatewayError(GatewayError::Kind::bad_request, "의견은 2,000자까지입니다.");
    if (number >= call.state.parts.audit.size())
        throw GatewayError(GatewayError::Kind::not_found, "그런 질문이 없습니다.");
    const Leaf leaf = call.state.parts.audit.leaf(number);
    const RecordId record = leaf.record.value_or(number);
    // Somebody else's question is as unknown as one that was never asked.
    if (!call.state.parts.index.row(space_of(call.caller.account), key_of(record)))
        throw GatewayError(GatewayError::Kind::not_found, "그런 질문이 없습니다.");
    const Receipt receipt =
        call.state.note(call.caller, "feedback", verdict, {"record:" + std::to_string(record)},
                        {{"comment", mask(comment).text}});
    return {{"receipt", to_json(receipt)}};
}

}  // namespace jiphyeon
