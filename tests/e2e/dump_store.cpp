// dump_store DIR: every key and value of every column family of a RocksDB folder on standard output, values
// that are zstd frames unpacked. For the test that looks for planted strings in what is stored.
#include <rocksdb/db.h>
#include <zstd.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace {

std::string unpacked(const rocksdb::Slice& value)
{
    std::string out;
    for (std::size_t at = 0; at < 2 && at < value.size(); ++at) {  // a format byte may stand before the frame
        const char* data = value.data() + at;
        const unsigned long long size = ZSTD_getFrameContentSize(data, value.size() - at);
        if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > (1ull << 30))
            continue;
        out.resize(size);
        if (!ZSTD_isError(ZSTD_decompress(out.data(), out.size(), data, value.size() - at))) return out;
    }
    return {};
}

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 2) return 2;
    std::vector<std::string> names;
    rocksdb::Options options;
    if (!rocksdb::DB::ListColumnFamilies(options, argv[1], &names).ok()) return 3;
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* raw = nullptr;
    const rocksdb::Status status = rocksdb::DB::OpenForReadOnly(options, argv[1], families, &handles, &raw);
    if (!status.ok()) {
        std::cerr << status.ToString() << "\n";
        return 3;
    }
    const std::unique_ptr<rocksdb::DB> db(raw);
    for (rocksdb::ColumnFamilyHandle* handle : handles) {
        std::cout << "== " << handle->GetName() << "\n";
        const std::unique_ptr<rocksdb::Iterator> row(db->NewIterator(rocksdb::ReadOptions(), handle));
        for (row->SeekToFirst(); row->Valid(); row->Next()) {
            std::cout.write(row->key().data(), static_cast<std::streamsize>(row->key().size())) << "\n";
            std::cout.write(row->value().data(), static_cast<std::streamsize>(row->value().size()))
                << "\n"
                << unpacked(row->value()) << "\n";
        }
        db->DestroyColumnFamilyHandle(handle);
    }
    return 0;
}
