// Documents as a reader sees them, and what a librarian does with them.
#include <algorithm>
#include <map>

#include "service_state.hpp"

namespace jiphyeon {
namespace {

bool sees_all_rows(const Caller& caller)
{
    return may_act(caller.roles, Act::ingest);
}

DocumentRecord existing(const Call& call, std::string_view id)
{
    std::optional<DocumentRecord> document = call.state.parts.index.document(id);
    if (!document) throw GatewayError(GatewayError::Kind::not_found, "그런 문서가 없습니다.");
    return std::move(*document);
}

// Of what ingest keeps for the reader's page, what a reader sees: not where masked places lie, nor the author
// that the file's properties name, nor the box of each line.
Json shown_view(const std::string& stored)
{
    const Json view = parse_object(stored);
    Json shown = Json::object();
    for (const char* field : {"format", "title", "pages", "scanned", "warnings", "blocks"})
        if (const auto found = view.find(field); found != view.end()) shown[field] = *found;
    if (shown.contains("blocks"))
        for (Json& block : shown["blocks"]) block.erase("lines");
    return shown;
}

}  // namespace

DocumentRecord readable_document(const Call& call, std::string_view id)
{
    std::optional<DocumentRecord> document = call.state.parts.index.document(id);
    const bool may = document && document->state != DocumentState::withdrawn &&
                     call.state.readable(call.caller.reader, document->label);
    if (!may) {
        // The attempt is recorded alike in both cases; the answer is the same to the byte.
        call.state.note(call.caller, "view refused", document ? "not permitted" : "unknown", {});
        throw GatewayError(GatewayError::Kind::not_found, "그런 문서가 없습니다.");
    }
    return std::move(*document);
}

Json call_documents(const Call& call)
{
    Json rows = Json::array();
    for (const DocumentRecord& document : call.state.parts.index.documents()) {
        const bool his = document.state != DocumentState::withdrawn &&
                         call.state.readable(call.caller.reader, document.label);
        if (his || sees_all_rows(call.caller)) rows.push_back(to_json(document));
    }
    return {{"documents", std::move(rows)}};
}

Json call_document(const Call& call)
{
    const DocumentRecord document = readable_document(call, call.fields.text("id"));
    Json versions = Json::array();
    for (const DocumentRecord& version : call.state.parts.index.versions(document.source_id))
        if (version.state != DocumentState::withdrawn &&
            call.state.readable(call.caller.reader, version.label))
            versions.push_back(to_json(version));
    const std::optional<std::string> view = call.state.parts.index.view(document.id);
    call.state.note(call.caller, "viewed", "text", {document.id});
    Json reply = to_json(document);
    reply["versions"] = std::move(versions);
    reply["view"] = view ? shown_view(*view) : Json();
    return reply;
}

Json call_withdraw(const Call& call)
{
    const DocumentRecord document = existing(call, call.fields.text("id"));
    const Receipt receipt = call.state.note(call.caller, "withdraw", "granted", {document.id});
    call.state.parts.index.withdraw(document.id);
    return {{"receipt", to_json(receipt)}};
}

Json call_label_document(const Call& call)
{
    const DocumentRecord document = existing(call, call.fields.text("id"));
    const std::string label = Label::parse(call.fields.text("label")).to_text();
    const Receipt receipt = call.state.note(call.caller, "label", "granted", {document.id},
                                            {{"from", document.label}, {"to", label}});
    call.state.parts.index.set_label(document.id, label);
    return {{"receipt", to_json(receipt)}};
}

Json call_labels(const Call& call)
{
    std::map<std::string, std::uint64_t> counts;
    for (const std::string& label : call.state.parts.index.labels_in_use()) counts[label] = 0;
    for (const DocumentRecord& document : call.state.parts.index.documents()) ++counts[document.label];
    Json labels = Json::array();
    for (const auto& [label, documents] : counts)
        labels.push_back({{"label", label}, {"documents", documents}});
    return {{"labels", std::move(labels)}};
}

}  // namespace jiphyeon
