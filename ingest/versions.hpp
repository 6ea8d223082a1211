// Which version of a document follows which.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "jiphyeon/ingest.hpp"

namespace jiphyeon {

// A regulation's title without the day that some writers put behind it, blanks and brackets: what two
// versions of it have in common.
std::string lineage_title(std::string_view title);

inline constexpr const char* kCorpusFormat =
    "corpus";  // lines of a .jsonl corpus name their predecessor themselves

// The documents of the index by lineage: same title, same label, each with a day from which it is in force.
// Files that say no such day are chained by their path alone.
class Versions {
public:
    explicit Versions(Index& index);
    // Sets record.version and record.supersedes. `by_text`: the document itself says title and day.
    void place(DocumentRecord& record, bool by_text) const;
    // After the record was put: the version that follows it, and named another before, now follows it.
    void follow(const DocumentRecord& record);

private:
    struct Entry {
        Day from = 0;
        std::string source_id, id, number;
    };
    using Lineage = std::vector<Entry>;  // ascending by day, then source
    static bool before(const Entry& a, const Entry& b);
    static std::optional<Entry> entry_of(const DocumentRecord& record);
    static std::string key_of(const DocumentRecord& record);
    void insert(const DocumentRecord& record);

    Index& index_;
    std::map<std::string, Lineage> lineages_;
};

}  // namespace jiphyeon
