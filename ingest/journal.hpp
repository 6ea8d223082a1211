// What became of each file: rows of the index's store, written in the commit that stores the document.
#pragma once

#include <string>
#include <vector>

#include "jiphyeon/ingest.hpp"

namespace jiphyeon {

// Raised when a later version reads what an earlier one refused or read wrongly: then refused and quarantined
// files are tried again.
inline constexpr int kReaderVersion = 1;

struct JournalRow {
    std::string key;   // absolute path, with "!/member" or "#corpus id"
    std::string path;  // as the librarian gave it
    FileState state = FileState::indexed;
    std::string reason, sha256, label, source_id, document_id;
    int reader = kReaderVersion;
};

class Journal {
public:
    explicit Journal(Index& index) : index_(index) {}
    std::optional<JournalRow> find(const std::string& key) const;
    std::vector<JournalRow> all() const;                            // by key
    std::vector<JournalRow> members(const std::string& key) const;  // of an archive or a mail, at any depth
    static DocumentWrite::Row row(const JournalRow& entry);
    void put(const JournalRow& entry);

private:
    Index& index_;
};

}  // namespace jiphyeon
