// Two files are versions of one document when one replaced the other at its path, or when both say the same
// title and different first days in force under the same label. Copies of one version (the same day and
// number in two formats) follow one another, so that the next version supersedes all of them. Deterministic:
// the order of ingestion does not matter, only days and names.
#include "versions.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace jiphyeon {

std::string lineage_title(std::string_view title)
{
    std::string out = normalize(title);
    // "… 규정(2024. 7. 1. 시행)", "… 지침 [시행 2025-01-01]"
    for (const auto& [open, close] : {std::pair{'(', ')'}, std::pair{'[', ']'}}) {
        const std::size_t start = out.rfind(open);
        if (start == std::string::npos || start == 0 || out.back() != close) continue;
        const std::string_view inside = std::string_view(out).substr(start);
        const auto digits =
            std::count_if(inside.begin(), inside.end(), [](char c) { return c >= '0' && c <= '9'; });
        if (digits >= 5 || inside.find("시행") != std::string_view::npos ||
            inside.find("개정") != std::string_view::npos)
            out.resize(start);
    }
    std::erase_if(out, [](char c) { return c == ' ' || c == '\t' || c == '\n'; });
    return out;
}

bool Versions::before(const Entry& a, const Entry& b)
{
    return std::tie(a.from, a.source_id, a.id) < std::tie(b.from, b.source_id, b.id);
}

std::string Versions::key_of(const DocumentRecord& record)
{
    return record.label + "\n" + lineage_title(record.title);
}

std::optional<Versions::Entry> Versions::entry_of(const DocumentRecord& record)
{
    if (!record.effective_from || record.title.empty() || record.state == DocumentState::withdrawn)
        return std::nullopt;
    return Entry{*record.effective_from, record.source_id, record.id, record.document_number};
}

Versions::Versions(Index& index) : index_(index)
{
    for (const DocumentRecord& record : index_.documents()) insert(record);
}

void Versions::insert(const DocumentRecord& record)
{
    const std::optional<Entry> entry = entry_of(record);
    if (!entry || record.format == kCorpusFormat) return;
    Lineage& lineage = lineages_[key_of(record)];
    std::erase_if(lineage, [&](const Entry& other) { return other.id == entry->id; });
    lineage.insert(std::upper_bound(lineage.begin(), lineage.end(), *entry, before), *entry);
}

void Versions::place(DocumentRecord& record, bool by_text) const
{
    const std::vector<DocumentRecord> own = index_.versions(record.source_id);
    for (const DocumentRecord& other : own) {
        if (other.id == record.id) {  // seen before: stays where it was
            record.version = other.version;
            record.supersedes = other.supersedes;
            return;
        }
        record.version = std::max(record.version, other.version + 1);
    }
    if (!record.supersedes.empty()) return;
    if (!own.empty()) record.supersedes = own.back().id;
    const std::optional<Entry> entry = entry_of(record);
    if (!by_text || !entry) return;
    const auto lineage = lineages_.find(key_of(record));
    if (lineage == lineages_.end()) return;
    for (const Entry& other : lineage->second) {
        const bool copy = other.from == entry->from;
        if (copy &&
            (other.number.empty() || other.number != entry->number || other.source_id == entry->source_id))
            continue;
        if (before(other, *entry) && own.empty()) record.supersedes = other.id;
    }
}

void Versions::follow(const DocumentRecord& record)
{
    insert(record);
    const std::optional<Entry> entry = entry_of(record);
    if (!entry) return;
    for (const Entry& next : lineages_[key_of(record)]) {
        if (!before(*entry, next) || next.source_id == record.source_id) continue;
        if (next.from == entry->from && (next.number.empty() || next.number != entry->number)) continue;
        std::optional<DocumentRecord> after = index_.document(next.id);
        if (!after || after->supersedes == record.id) return;
        if (after->supersedes != record.supersedes) return;  // it follows a version of its own path
        Scope everything;
        everything.labels = {after->label};
        everything.day = std::numeric_limits<Day>::max();
        everything.all_versions = true;
        DocumentWrite write;
        write.chunks = index_.chunks_of(next.id, everything);
        write.view = index_.view(next.id).value_or("");
        write.original = index_.original(next.id).value_or("");
        after->supersedes = record.id;
        // The index shows the end that a successor brings as well; what the document itself says is in its
        // view.
        after->effective_to = Document::from_json(write.view).effective_to;
        write.document = std::move(*after);
        index_.put(write);
        return;
    }
}

}  // namespace jiphyeon
