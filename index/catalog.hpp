// Which documents there are, which version is in force on which day, and which chunks a Scope covers. In
// memory, read from the documents' rows at open. Not for several threads by itself: the store locks it; only
// the cache of what scopes cover has a lock of its own, so that readers may share the catalog.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "records.hpp"

namespace jiphyeon {

// What one Scope covers. Chunks by number; never changes once made.
struct Visible {
    std::vector<std::uint64_t> words;   // bit per chunk number
    std::vector<std::uint32_t> labels;  // numbers, ascending
    std::uint64_t chunks = 0, documents = 0;
    std::array<std::uint64_t, kFields> length_sums{};

    bool contains(std::uint32_t chunk) const
    {
        return chunk / 64 < words.size() && ((words[chunk / 64] >> (chunk % 64)) & 1) != 0;
    }
};

struct CatalogEntry {
    std::string id, source_id, supersedes, label;
    std::uint32_t label_number = 0;
    std::uint32_t version = 1;
    std::optional<Day> effective_from, effective_to;  // as given
    bool withdrawn = false;
    std::int64_t stored_us = 0;
    std::uint32_t first_chunk = 0, chunks = 0;
    std::array<std::uint64_t, kFields> length_sums{};
};

class Catalog {
public:
    static CatalogEntry entry_of(const StoredDocument& stored, std::uint32_t label_number);

    void put(CatalogEntry entry);  // replaces one of the same id
    void remove(const std::string& id);
    const CatalogEntry* find(std::string_view id) const;
    const std::map<std::uint32_t, const CatalogEntry*>& by_chunk() const { return by_first_chunk_; }
    std::vector<std::string> versions(std::string_view source_id) const;  // oldest first
    std::vector<std::string> labels_in_use() const;

    bool covers(const Scope& scope, const CatalogEntry& entry) const;
    std::shared_ptr<const Visible> visible(const Scope& scope) const;

    // Fills in what follows from other documents: state, superseded_by and the end that a successor brings.
    void complete(DocumentRecord& record) const;

private:
    const CatalogEntry* successor(const CatalogEntry& entry) const;  // the first to come into force
    std::optional<Day> first_day(const CatalogEntry& entry) const;
    std::optional<Day> last_day(const CatalogEntry& entry) const;
    std::shared_ptr<const Visible> compute(const Scope& scope) const;
    void forget_visible();

    std::unordered_map<std::string, CatalogEntry> entries_;
    std::map<std::uint32_t, const CatalogEntry*> by_first_chunk_;  // those with chunks
    std::map<std::string, std::set<std::string>, std::less<>> by_source_, successors_, by_label_;
    mutable std::mutex cache_mutex_;
    mutable std::unordered_map<std::string, std::shared_ptr<const Visible>> cache_;
};

}  // namespace jiphyeon
