// A version that another supersedes ends the day before the other begins: at the other's first day of force
// or, where that is not given, the day it was stored. So on each day at most one of a chain is in force.

#include "catalog.hpp"

#include <algorithm>
#include <limits>

namespace jiphyeon {
namespace {

constexpr std::size_t kCachedScopesMax = 64;

Day korean_day(std::int64_t us)
{
    constexpr std::int64_t kDayUs = 86'400'000'000, kKoreaUs = 9 * 3'600'000'000;
    const std::int64_t local = us + kKoreaUs;
    return static_cast<Day>(local >= 0 ? local / kDayUs : -((-local + kDayUs - 1) / kDayUs));
}

Day starts(const CatalogEntry& successor)
{
    return successor.effective_from ? *successor.effective_from : korean_day(successor.stored_us);
}

void set_range(std::vector<std::uint64_t>& words, std::uint32_t first, std::uint32_t count)
{
    const std::uint64_t end = std::uint64_t{first} + count;
    if (words.size() < (end + 63) / 64) words.resize((end + 63) / 64);
    for (std::uint64_t i = first; i < end;) {
        const std::uint64_t in_word = std::min<std::uint64_t>(64 - i % 64, end - i);
        const std::uint64_t ones = in_word == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << in_word) - 1;
        words[i / 64] |= ones << (i % 64);
        i += in_word;
    }
}

std::string cache_key(const Scope& scope)
{
    std::vector<std::string> labels = scope.labels;
    std::ranges::sort(labels);
    labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
    std::string key = scope.all_versions ? "*" : std::to_string(scope.day);
    for (const std::string& label : labels) key += '\0' + std::to_string(label.size()) + ':' + label;
    return key;
}

void erase_from(std::map<std::string, std::set<std::string>, std::less<>>& map, const std::string& key,
                const std::string& id)
{
    const auto found = map.find(key);
    if (found == map.end()) return;
    found->second.erase(id);
    if (found->second.empty()) map.erase(found);
}

}  // namespace

CatalogEntry Catalog::entry_of(const StoredDocument& stored, std::uint32_t label_number)
{
    const DocumentRecord& record = stored.record;
    CatalogEntry entry;
    entry.id = record.id;
    entry.source_id = record.source_id;
    entry.supersedes = record.supersedes;
    entry.label = record.label;
    entry.label_number = label_number;
    entry.version = record.version;
    entry.effective_from = record.effective_from;
    entry.effective_to = record.effective_to;
    entry.withdrawn = record.state == DocumentState::withdrawn;
    entry.stored_us = record.stored_us;
    entry.first_chunk = stored.first_chunk;
    entry.chunks = static_cast<std::uint32_t>(stored.lengths.size());
    for (const Lengths& lengths : stored.lengths) {
        for (std::size_t f = 0; f < kFields; ++f) entry.length_sums[f] += lengths[f];
    }
    return entry;
}

void Catalog::put(CatalogEntry entry)
{
    remove(entry.id);
    by_source_[entry.source_id].insert(entry.id);
    by_label_[entry.label].insert(entry.id);
    if (!entry.supersedes.empty()) successors_[entry.supersedes].insert(entry.id);
    const std::string id = entry.id;
    const CatalogEntry& kept = entries_.insert_or_assign(id, std::move(entry)).first->second;
    if (kept.chunks > 0) by_first_chunk_[kept.first_chunk] = &kept;
    forget_visible();
}

void Catalog::remove(const std::string& id)
{
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    const CatalogEntry& entry = found->second;
    erase_from(by_source_, entry.source_id, entry.id);
    erase_from(by_label_, entry.label, entry.id);
    erase_from(successors_, entry.supersedes, entry.id);
    if (entry.chunks > 0) by_first_chunk_.erase(entry.first_chunk);
    entries_.erase(found);
    forget_visible();
}

const CatalogEntry* Catalog::find(std::string_view id) const
{
    const auto found = entries_.find(std::string(id));
    return found == entries_.end() ? nullptr : &found->second;
}

std::vector<std::string> Catalog::versions(std::string_view source_id) const
{
    const auto found = by_source_.find(source_id);
    if (found == by_source_.end()) return {};
    std::vector<const CatalogEntry*> sorted;
    for (const std::string& id : found->second) sorted.push_back(find(id));
    std::ranges::sort(sorted, {},
                      [](const CatalogEntry* e) { return std::tie(e->version, e->stored_us, e->id); });
    std::vector<std::string> ids;
    for (const CatalogEntry* entry : sorted) ids.push_back(entry->id);
    return ids;
}

std::vector<std::string> Catalog::labels_in_use() const
{
    std::vector<std::string> labels;
    for (const auto& [label, ids] : by_label_) labels.push_back(label);
    return labels;
}

const CatalogEntry* Catalog::successor(const CatalogEntry& entry) const
{
    const auto found = successors_.find(entry.id);
    if (found == successors_.end()) return nullptr;
    const CatalogEntry* first = nullptr;
    for (const std::string& id : found->second) {
        const CatalogEntry* candidate = find(id);
        if (candidate->id == entry.id) continue;
        if (first == nullptr || starts(*candidate) < starts(*first)) first = candidate;
    }
    return first;
}

std::optional<Day> Catalog::first_day(const CatalogEntry& entry) const
{
    if (entry.effective_from || entry.supersedes.empty() || find(entry.supersedes) == nullptr) {
        return entry.effective_from;
    }
    return starts(entry);
}

std::optional<Day> Catalog::last_day(const CatalogEntry& entry) const
{
    const CatalogEntry* next = successor(entry);
    if (next == nullptr) return entry.effective_to;
    const Day before_next = starts(*next) - 1;
    return entry.effective_to ? std::min(*entry.effective_to, before_next) : before_next;
}

bool Catalog::covers(const Scope& scope, const CatalogEntry& entry) const
{
    if (entry.withdrawn || std::ranges::find(scope.labels, entry.label) == scope.labels.end()) return false;
    if (scope.all_versions) return true;
    const std::optional<Day> first = first_day(entry), last = last_day(entry);
    return (!first || *first <= scope.day) && (!last || scope.day <= *last);
}

std::shared_ptr<const Visible> Catalog::visible(const Scope& scope) const
{
    const std::string key = cache_key(scope);
    {
        const std::lock_guard lock(cache_mutex_);
        if (const auto found = cache_.find(key); found != cache_.end()) return found->second;
    }
    std::shared_ptr<const Visible> computed = compute(scope);
    const std::lock_guard lock(cache_mutex_);
    if (cache_.size() >= kCachedScopesMax) cache_.clear();
    cache_.emplace(key, computed);
    return computed;
}

std::shared_ptr<const Visible> Catalog::compute(const Scope& scope) const
{
    auto visible = std::make_shared<Visible>();
    for (const std::string& label : std::set<std::string>(scope.labels.begin(), scope.labels.end())) {
        const auto found = by_label_.find(label);
        if (found == by_label_.end()) continue;
        bool any = false;
        for (const std::string& id : found->second) {
            const CatalogEntry& entry = *find(id);
            if (!covers(scope, entry)) continue;
            if (!any) visible->labels.push_back(entry.label_number);
            any = true;
            ++visible->documents;
            visible->chunks += entry.chunks;
            for (std::size_t f = 0; f < kFields; ++f) visible->length_sums[f] += entry.length_sums[f];
            if (entry.chunks > 0) set_range(visible->words, entry.first_chunk, entry.chunks);
        }
    }
    std::ranges::sort(visible->labels);
    return visible;
}

void Catalog::forget_visible()
{
    const std::lock_guard lock(cache_mutex_);
    cache_.clear();
}

void Catalog::complete(DocumentRecord& record) const
{
    const CatalogEntry* entry = find(record.id);
    if (entry == nullptr) return;
    const CatalogEntry* next = successor(*entry);
    record.superseded_by = next == nullptr ? "" : next->id;
    record.state = entry->withdrawn  ? DocumentState::withdrawn
                   : next != nullptr ? DocumentState::superseded
                                     : DocumentState::current;
    if (!record.effective_to) record.effective_to = last_day(*entry);
}

}  // namespace jiphyeon
