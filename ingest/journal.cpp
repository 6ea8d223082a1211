#include "journal.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace jiphyeon {
namespace {

using nlohmann::json;

constexpr const char* kSpace = "ingest";

JournalRow row_from(const std::string& key, const std::string& value)
{
    const json seen = json::parse(value, nullptr, false);
    if (seen.is_discarded())
        throw IngestError(IngestError::Kind::io, "the journal's row of " + key + " is damaged");
    JournalRow row;
    row.key = key;
    row.path = seen.value("path", key);
    const std::string state = seen.value("state", "");
    for (const FileState one :
         {FileState::indexed, FileState::unchanged, FileState::refused, FileState::quarantined})
        if (state == file_state_name(one)) row.state = one;
    row.reason = seen.value("reason", "");
    row.sha256 = seen.value("sha256", "");
    row.label = seen.value("label", "");
    row.source_id = seen.value("source_id", "");
    row.document_id = seen.value("document_id", "");
    row.reader = seen.value("reader", 0);
    return row;
}

}  // namespace

std::optional<JournalRow> Journal::find(const std::string& key) const
{
    const std::optional<std::string> value = index_.row(kSpace, key);
    if (!value) return std::nullopt;
    return row_from(key, *value);
}

std::vector<JournalRow> Journal::all() const
{
    std::vector<JournalRow> out;
    for (const auto& [key, value] : index_.rows(kSpace)) out.push_back(row_from(key, value));
    return out;
}

std::vector<JournalRow> Journal::members(const std::string& key) const
{
    std::vector<JournalRow> out;
    const std::string start = key + "!/";
    for (JournalRow& row : all())
        if (row.key.starts_with(start)) out.push_back(std::move(row));
    return out;
}

DocumentWrite::Row Journal::row(const JournalRow& entry)
{
    const json value = {{"path", entry.path},
                        {"state", file_state_name(entry.state)},
                        {"reason", entry.reason},
                        {"sha256", entry.sha256},
                        {"label", entry.label},
                        {"source_id", entry.source_id},
                        {"document_id", entry.document_id},
                        {"reader", entry.reader}};
    return {kSpace, entry.key, value.dump(-1, ' ', false, json::error_handler_t::replace)};
}

void Journal::put(const JournalRow& entry)
{
    const DocumentWrite::Row one = row(entry);
    index_.put_rows(std::span(&one, 1));
}

}  // namespace jiphyeon
