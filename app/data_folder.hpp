// The data folder: what lies where, who owns it, and how its keys are opened.
//
//   DIR/FORMAT               "jiphyeon data folder 1"
//   DIR/jiphyeon.toml        settings
//   DIR/keys/audit.box       signing key of the record, sealed under the master key
//   DIR/keys/tls.box, tls.crt  key (sealed) and certificate of the HTTPS server
//   DIR/index/               RocksDB
//   DIR/audit/               the record (policy/FORMAT.md)
//   DIR/run/lock, control.sock
//
// The master key lies outside, in the file that the setting keys.file names (DIR.key unless said otherwise),
// so that a copy of the folder alone opens nothing.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config.hpp"
#include "jiphyeon/crypto.hpp"

namespace jiphyeon::app {

struct NewFolder {
    std::filesystem::path key_file;     // empty: beside the folder
    std::filesystem::path models;       // folder with the files that models.lock names; empty: no models
    std::filesystem::path models_lock;  // packaging/models.lock
    std::string address = "127.0.0.1";
    std::uint16_t port = 8443;
};

class DataFolder {
public:
    // Makes everything but the first account, all or nothing. Returns the escrow shares of the master key.
    // Throws CommandError data_folder when `dir` is there and not empty, or the key file exists.
    static std::vector<std::string> create(const std::filesystem::path& dir, const NewFolder& wish);
    // Throws CommandError data_folder: no such folder, another format number, key file missing or wrong.
    static DataFolder open(const std::filesystem::path& dir);

    const std::filesystem::path& path() const { return dir_; }
    const Config& config() const { return config_; }
    const SecretKey& master_key() const { return master_; }
    std::string unseal(const std::string& name) const;  // content of keys/NAME.box

    static std::filesystem::path socket(const std::filesystem::path& dir)
    {
        return dir / "run" / "control.sock";
    }
    static std::filesystem::path settings(const std::filesystem::path& dir) { return dir / "jiphyeon.toml"; }
    // Throws CommandError data_folder unless `dir` looks like one of ours.
    static void require(const std::filesystem::path& dir);

private:
    DataFolder(std::filesystem::path dir, Config config, SecretKey master);
    std::filesystem::path dir_;
    Config config_;
    SecretKey master_;
};

// Only one process owns a folder: held until destruction, also against kill -9 (flock).
class OwnerLock {
public:
    // nullopt while another process holds it.
    static std::optional<OwnerLock> take(const std::filesystem::path& dir);
    // Every command holds the lock for a moment, and a server that is starting holds it before it takes
    // calls: tries again until `meanwhile` says that there is no more need, and gives nullopt then. Throws
    // CommandError busy after ten seconds.
    static std::optional<OwnerLock> wait(const std::filesystem::path& dir,
                                         const std::function<bool()>& meanwhile);
    OwnerLock(OwnerLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    OwnerLock& operator=(OwnerLock&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~OwnerLock();

private:
    explicit OwnerLock(int fd) : fd_(fd) {}
    int fd_;
};

std::string read_file(const std::filesystem::path& file);  // throws CommandError data_folder
// Durable: written beside, synced, renamed. mode: permission bits.
void write_file(const std::filesystem::path& file, std::string_view bytes, unsigned mode);

}  // namespace jiphyeon::app
