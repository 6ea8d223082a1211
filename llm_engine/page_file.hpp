// Pages that memory has no room for, sealed in a file.
//
// The file has no name, and its key is in this process alone: when the process ends, by whatever cause, the
// space is free again and what the disk still holds can be read by nobody. A page is sealed for its identity,
// a digest of all that decides what is in it. What was torn, changed or written over meanwhile does not open
// for it, so that a page comes back as it was or not at all.
//
// Threads: any number, on the same slot too.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "jiphyeon/crypto.hpp"

namespace jiphyeon {

class PageFile {
public:
    // Claims the space of all slots at once, so that a full disk is told now. Throws EngineError io.
    PageFile(const std::filesystem::path& folder, std::size_t page_bytes, std::size_t bytes_max);
    ~PageFile();
    PageFile(const PageFile&) = delete;
    PageFile& operator=(const PageFile&) = delete;

    std::size_t slots() const { return slots_; }
    // False when the disk did not take it.
    bool write(std::size_t slot, const Digest& identity, std::span<const char> page) const;
    // False when the slot does not hold this page, whole and unchanged.
    bool read(std::size_t slot, const Digest& identity, std::span<char> page) const;

    // What a read or a write takes beside the page itself: the sealed page, and once more while it is made.
    static std::size_t work_bytes(std::size_t page_bytes) { return 2 * slot_bytes(page_bytes); }

private:
    static std::size_t slot_bytes(std::size_t page_bytes);  // whole blocks of a disk

    const std::size_t slot_bytes_;
    const std::size_t slots_;
    const SecretKey key_;
    int fd_ = -1;
};

}  // namespace jiphyeon
