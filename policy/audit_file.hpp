// A file of the record, read and written at places. Every failure throws AuditError io: a write that came
// back short or a sync that failed leaves the file in a state that only reopening can tell.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "jiphyeon/audit.hpp"

namespace jiphyeon {

class AuditFile {
public:
    enum class Mode { read, write, create };  // create: must not exist
    AuditFile() = default;
    AuditFile(const std::filesystem::path& path, Mode mode);
    AuditFile(AuditFile&& other) noexcept;
    AuditFile& operator=(AuditFile&& other) noexcept;
    ~AuditFile();

    // Up to `bytes`; fewer at the end of the file.
    std::string read(std::uint64_t offset, std::size_t bytes) const;
    // Exactly `bytes`, else throws corrupt.
    std::string read_exactly(std::uint64_t offset, std::size_t bytes) const;
    void write(std::uint64_t offset, std::string_view bytes) const;
    std::uint64_t size() const;
    void truncate(std::uint64_t bytes) const;
    void sync() const;           // fdatasync
    void lock_against_others();  // throws io when another process holds it

private:
    [[noreturn]] void fail(const char* what) const;

    std::filesystem::path path_;
    int fd_ = -1;
};

// Makes the names in a folder durable.
void sync_folder(const std::filesystem::path& folder);

}  // namespace jiphyeon
