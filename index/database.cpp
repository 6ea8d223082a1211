#include "database.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include "postings.hpp"

namespace jiphyeon {
namespace {

constexpr const char* kNames[kFamilies] = {"default", "labels", "documents", "chunks",        "postings",
                                           "vectors", "views",  "originals", "original_keys", "rows"};

// RocksDB's own log would hold nothing that is not in our errors, and Debian's build of it aborts when that
// log is written again after a failed write.
class NoLog final : public rocksdb::Logger {
public:
    using rocksdb::Logger::Logv;
    void Logv(const char*, va_list) override {}
};

rocksdb::ColumnFamilyOptions family_options(Family f, const std::shared_ptr<rocksdb::Cache>& cache)
{
    rocksdb::ColumnFamilyOptions options;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache;
    table.format_version = 5;
    table.block_size = f == Family::postings ? 16 << 10 : 8 << 10;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    const bool dense = f == Family::vectors || f == Family::originals || f == Family::original_keys;
    options.compression = dense ? rocksdb::kNoCompression : rocksdb::kZSTD;
    options.level_compaction_dynamic_level_bytes = true;
    if (f == Family::postings) {
        options.merge_operator = postings_merge_operator();
        options.compaction_filter = empty_postings_filter();
        options.write_buffer_size = 16 << 20;  // a reader folds what is not written out yet
    }
    if (f == Family::views || f == Family::originals) {
        options.enable_blob_files = true;
        options.min_blob_size = 4 << 10;
        options.blob_compression_type = f == Family::views ? rocksdb::kZSTD : rocksdb::kNoCompression;
        options.enable_blob_garbage_collection = true;
    }
    return options;
}

}  // namespace

void require_ok(const rocksdb::Status& status, std::string_view doing)
{
    if (status.ok()) return;
    const std::string detail = std::string(doing) + ": " + status.ToString();
    if (status.IsCorruption()) throw IndexError(IndexError::Kind::corrupt, detail);
    const bool locked =
        status.IsIOError() && (detail.find("lock hold by current process") != std::string::npos ||
                               detail.find("While lock file") != std::string::npos);
    throw IndexError(locked ? IndexError::Kind::locked : IndexError::Kind::io, detail);
}

Database::Database(const std::filesystem::path& dir, const IndexOptions& options)
{
    rocksdb::DBOptions db_options;
    db_options.create_if_missing = true;
    db_options.create_missing_column_families = true;
    db_options.paranoid_checks = true;
    db_options.track_and_verify_wals_in_manifest = true;
    // A log cut in its last record is what a crash leaves; damage before that is refused, not skipped.
    db_options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    db_options.max_background_jobs = 2;
    db_options.max_total_wal_size = 256u << 20;
    db_options.max_bgerror_resume_count = 0;  // see write()
    db_options.info_log = std::make_shared<NoLog>();
    const auto cache = rocksdb::NewLRUCache(options.block_cache_bytes);
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (std::size_t i = 0; i < kFamilies; ++i) {
        families.emplace_back(kNames[i], family_options(static_cast<Family>(i), cache));
    }
    if (!options.read_only) {
        std::error_code failed;
        std::filesystem::create_directories(dir, failed);
        if (failed) throw IndexError(IndexError::Kind::io, dir.string() + ": " + failed.message());
    }
    rocksdb::DB* opened = nullptr;
    const rocksdb::Status status =
        options.read_only
            ? rocksdb::DB::OpenForReadOnly(db_options, dir.string(), families, &handles_, &opened)
            : rocksdb::DB::Open(db_options, dir.string(), families, &handles_, &opened);
    db_.reset(opened);
    if (status.IsInvalidArgument()) {  // column families or options of another program
        throw IndexError(IndexError::Kind::wrong_version, "opening the index: " + status.ToString());
    }
    require_ok(status, "opening the index");
}

Database::~Database()
{
    for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
    if (db_ != nullptr) db_->Close();
}

std::optional<std::string> Database::get(Family f, std::string_view key,
                                         const rocksdb::Snapshot* snapshot) const
{
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    std::string value;
    const rocksdb::Status status = db_->Get(options, family(f), slice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    require_ok(status, "reading");
    return value;
}

std::unique_ptr<rocksdb::Iterator> Database::iterate(Family f, const rocksdb::Snapshot* snapshot) const
{
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(options, family(f)));
}

void Database::write(rocksdb::WriteBatch& batch)
{
    if (failed_)
        throw IndexError(IndexError::Kind::io,
                         "a write failed: the index takes no more until it is opened again");
    rocksdb::WriteOptions options;
    options.sync = true;
    const rocksdb::Status status = db_->Write(options, &batch);
    // How much of the log reached the disk is not known; opening reads it again.
    if (!status.ok()) failed_ = true;
    require_ok(status, "writing");
}

void Database::erase_for_good(Family f, std::string_view first, std::string_view last)
{
    require_ok(db_->Flush(rocksdb::FlushOptions(), handles_), "flushing");
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    const rocksdb::Slice from = slice(first), to = slice(last);
    require_ok(db_->CompactRange(options, family(f), &from, &to), "erasing");
}

}  // namespace jiphyeon
