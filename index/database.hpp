// The RocksDB database: its column families, its settings, and its errors as ours.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/index.hpp"

namespace jiphyeon {

enum class Family : std::uint8_t {
    meta,
    labels,
    documents,
    chunks,
    postings,
    vectors,
    views,
    originals,
    original_keys,
    rows,
};
inline constexpr std::size_t kFamilies = 10;

void require_ok(const rocksdb::Status& status, std::string_view doing);
inline rocksdb::Slice slice(std::string_view text)
{
    return {text.data(), text.size()};
}
inline std::string_view view(const rocksdb::Slice& s)
{
    return {s.data(), s.size()};
}

class Database {
public:
    Database(const std::filesystem::path& dir, const IndexOptions& options);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    rocksdb::DB& db() const { return *db_; }
    rocksdb::ColumnFamilyHandle* family(Family f) const { return handles_[static_cast<std::size_t>(f)]; }

    std::optional<std::string> get(Family f, std::string_view key,
                                   const rocksdb::Snapshot* snapshot = nullptr) const;
    std::unique_ptr<rocksdb::Iterator> iterate(Family f, const rocksdb::Snapshot* snapshot = nullptr) const;
    // Synced: durable when it returns. After a failure it throws io at once until the database is opened
    // anew.
    void write(rocksdb::WriteBatch& batch);
    // Puts an end to every trace of deleted keys within [first, last]: memory tables and log are written out
    // and the files that held them rewritten.
    void erase_for_good(Family f, std::string_view first, std::string_view last);

private:
    std::unique_ptr<rocksdb::DB> db_;
    std::vector<rocksdb::ColumnFamilyHandle*> handles_;
    bool failed_ = false;
};

// Calls visit(key, value) for each row; throws where the iteration failed.
template <typename Visit>
void each_row(const Database& database, Family f, const rocksdb::Snapshot* snapshot, Visit visit)
{
    const auto rows = database.iterate(f, snapshot);
    for (rows->SeekToFirst(); rows->Valid(); rows->Next()) visit(view(rows->key()), view(rows->value()));
    require_ok(rows->status(), "reading");
}

}  // namespace jiphyeon
