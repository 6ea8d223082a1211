#include "page_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kBlockBytes = 4096;

std::string_view text_of(const Digest& digest)
{
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// Calls `move`, pread or pwrite, until all bytes have gone; false when no more will.
template <typename Move, typename Byte>
bool move_all(const Move& move, int fd, Byte* bytes, std::size_t size, std::size_t offset)
{
    while (size > 0) {
        const ssize_t n = move(fd, bytes, size, static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        const auto moved = static_cast<std::size_t>(n);
        bytes += moved;
        size -= moved;
        offset += moved;
    }
    return true;
}

}  // namespace

std::size_t PageFile::slot_bytes(std::size_t page_bytes)
{
    return (page_bytes + crypto::kSealBytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

PageFile::PageFile(const std::filesystem::path& folder, std::size_t page_bytes, std::size_t bytes_max)
    : slot_bytes_(slot_bytes(page_bytes)), slots_(bytes_max / slot_bytes_), key_(SecretKey::random())
{
    if (slots_ == 0) return;
    // O_EXCL: it can never be given a name.
    fd_ = ::open(folder.c_str(), O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
    const int error = fd_ < 0 ? errno : ::posix_fallocate(fd_, 0, static_cast<off_t>(slots_ * slot_bytes_));
    if (error == 0) return;
    if (fd_ >= 0) ::close(fd_);
    throw EngineError(EngineError::Kind::io, "no file of " + std::to_string((slots_ * slot_bytes_) >> 20) +
                                                 " MiB for pages in " + folder.string() + ": " +
                                                 std::strerror(error));
}

PageFile::~PageFile()
{
    if (fd_ >= 0) ::close(fd_);
}

bool PageFile::write(std::size_t slot, const Digest& identity, std::span<const char> page) const
{
    try {
        const std::string sealed = crypto::seal(key_, {page.data(), page.size()}, text_of(identity));
        return move_all(::pwrite, fd_, sealed.data(), sealed.size(), slot * slot_bytes_);
    } catch (const CryptoError&) {  // the page can be computed again
    } catch (const std::bad_alloc&) {
    }
    return false;
}

bool PageFile::read(std::size_t slot, const Digest& identity, std::span<char> page) const
{
    try {
        std::string sealed(page.size() + crypto::kSealBytes, '\0');
        if (!move_all(::pread, fd_, sealed.data(), sealed.size(), slot * slot_bytes_)) return false;
        const std::string plain = crypto::open(key_, sealed, text_of(identity));
        std::copy(plain.begin(), plain.end(), page.begin());
        return true;
    } catch (const CryptoError&) {
    } catch (const std::bad_alloc&) {
    }
    return false;
}

}  // namespace jiphyeon
