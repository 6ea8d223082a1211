#include "audit_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace jiphyeon {

AuditFile::AuditFile(const std::filesystem::path& path, Mode mode) : path_(path)
{
    const int flags = mode == Mode::read    ? O_RDONLY
                      : mode == Mode::write ? O_RDWR
                                            : O_RDWR | O_CREAT | O_EXCL;
    fd_ = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (fd_ < 0) fail("open");
}

AuditFile::AuditFile(AuditFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1))
{
}

AuditFile& AuditFile::operator=(AuditFile&& other) noexcept
{
    if (this == &other) return *this;
    if (fd_ >= 0) ::close(fd_);
    path_ = std::move(other.path_);
    fd_ = std::exchange(other.fd_, -1);
    return *this;
}

AuditFile::~AuditFile()
{
    if (fd_ >= 0) ::close(fd_);
}

void AuditFile::fail(const char* what) const
{
    throw AuditError(AuditError::Kind::io,
                     std::string(what) + " " + path_.string() + ": " + std::strerror(errno));
}

std::string AuditFile::read(std::uint64_t offset, std::size_t bytes) const
{
    std::string out(bytes, '\0');
    std::size_t have = 0;
    while (have < bytes) {
        const ssize_t n = ::pread(fd_, out.data() + have, bytes - have, static_cast<off_t>(offset + have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("read");
        if (n == 0) break;
        have += static_cast<std::size_t>(n);
    }
    out.resize(have);
    return out;
}

std::string AuditFile::read_exactly(std::uint64_t offset, std::size_t bytes) const
{
    std::string out = read(offset, bytes);
    if (out.size() != bytes) throw AuditError(AuditError::Kind::corrupt, path_.string() + " is cut short");
    return out;
}

void AuditFile::write(std::uint64_t offset, std::string_view bytes) const
{
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) fail("write");
        bytes.remove_prefix(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
}

std::uint64_t AuditFile::size() const
{
    struct stat status {};
    if (::fstat(fd_, &status) != 0) fail("stat");
    return static_cast<std::uint64_t>(status.st_size);
}

void AuditFile::truncate(std::uint64_t bytes) const
{
    if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) fail("truncate");
}

void AuditFile::sync() const
{
    if (::fdatasync(fd_) != 0) fail("fdatasync");
}

void AuditFile::lock_against_others()
{
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) fail("another process holds");
}

void sync_folder(const std::filesystem::path& folder)
{
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool done = fd >= 0 && ::fsync(fd) == 0;
    const int error = errno;
    if (fd >= 0) ::close(fd);
    if (!done)
        throw AuditError(AuditError::Kind::io, "fsync " + folder.string() + ": " + std::strerror(error));
}

}  // namespace jiphyeon
