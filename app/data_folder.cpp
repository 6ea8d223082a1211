#include "data_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "model_lock.hpp"

namespace jiphyeon::app {
namespace {

namespace fs = std::filesystem;
using Kind = CommandError::Kind;

constexpr std::string_view kFormat = "jiphyeon data folder 1\n";
constexpr unsigned kShares = 5, kSharesNeeded = 3;
constexpr int kCertificateDays = 825;

[[noreturn]] void fail(const std::string& what, const fs::path& where)
{
    throw CommandError(Kind::data_folder, what + " (" + std::strerror(errno) + ")", where.string());
}

SecretKey read_master_key(const fs::path& file)
{
    std::string text = read_file(file);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    try {
        const std::string bytes = crypto::from_base64(text);
        return SecretKey::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    } catch (const CryptoError&) {
        throw CommandError(Kind::data_folder, "마스터 키 파일의 내용이 올바르지 않습니다.", file.string());
    }
}

void seal_into(const fs::path& dir, const std::string& name, const SecretKey& master, std::string_view secret)
{
    write_file(dir / "keys" / (name + ".box"), crypto::seal(master, secret, "keys/" + name), 0600);
}

void fill(const fs::path& dir, const fs::path& key_file, const SecretKey& master, const NewFolder& wish)
{
    for (const char* part : {"keys", "run"}) {
        fs::create_directory(dir / part);
        fs::permissions(dir / part, fs::perms::owner_all);
    }
    seal_into(dir, "audit", master, crypto::SigningKey::generate().to_pem());
    const crypto::SigningKey tls = crypto::SigningKey::generate();
    seal_into(dir, "tls", master, tls.to_pem());
    write_file(
        dir / "keys" / "tls.crt",
        tls.self_signed_certificate("Jiphyeon", {"localhost"}, {"127.0.0.1", wish.address}, kCertificateDays),
        0644);

    Config config;
    config.address = wish.address;
    config.port = wish.port;
    config.key_file = key_file;
    if (!wish.models.empty()) {
        for (const LockedModel& model : read_model_lock(wish.models_lock)) {
            const ModelFile file{fs::absolute(wish.models / model.file), model.sha256};
            if (!fs::exists(file.file)) continue;
            if (model.role == "llm") config.llm = file;
            if (model.role == "embedder") config.embedder = file;
        }
    }
    config.save(DataFolder::settings(dir));
    write_file(dir / "FORMAT", kFormat, 0644);
}

}  // namespace

std::string read_file(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary);
    if (!in) fail("파일을 읽을 수 없습니다.", file);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    if (in.bad()) fail("파일을 읽을 수 없습니다.", file);
    return bytes;
}

void write_file(const fs::path& file, std::string_view bytes, unsigned mode)
{
    const fs::path beside = file.string() + ".new";
    const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) fail("파일을 쓸 수 없습니다.", beside);
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        done += static_cast<std::size_t>(n);
    }
    const bool written = done == bytes.size() && ::fsync(fd) == 0;
    ::close(fd);
    if (!written) fail("파일을 쓸 수 없습니다.", beside);
    fs::rename(beside, file);
}

std::vector<std::string> DataFolder::create(const fs::path& dir, const NewFolder& wish)
{
    const fs::path target = fs::absolute(dir).lexically_normal();
    if (fs::exists(target) && !fs::is_empty(target))
        throw CommandError(Kind::data_folder, "이미 내용이 있는 폴더입니다. 다른 --data를 주십시오.",
                           target.string());
    const fs::path key_file =
        wish.key_file.empty() ? fs::path(target.string() + ".key") : fs::absolute(wish.key_file);
    if (fs::exists(key_file))
        throw CommandError(Kind::data_folder, "마스터 키 파일이 이미 있습니다. 지우지 않고 멈춥니다.",
                           key_file.string());

    const SecretKey master = SecretKey::random();
    const fs::path fresh = target.string() + ".new";
    fs::remove_all(fresh);  // left by an interrupted init; a finished one was renamed
    fs::create_directories(fresh);
    fs::permissions(fresh, fs::perms::owner_all);
    const auto key_bytes = master.bytes();
    write_file(key_file,
               crypto::base64({reinterpret_cast<const char*>(key_bytes.data()), key_bytes.size()}) + "\n",
               0600);
    try {
        fill(fresh, key_file, master, wish);
        if (fs::exists(target)) fs::remove(target);  // was empty
        fs::rename(fresh, target);
    } catch (...) {
        fs::remove_all(fresh);
        fs::remove(key_file);
        throw;
    }
    return crypto::split_key(master, kShares, kSharesNeeded);
}

void DataFolder::require(const fs::path& dir)
{
    if (!fs::exists(dir / "FORMAT"))
        throw CommandError(Kind::data_folder,
                           "집현 데이터 폴더가 아닙니다. `jiphyeon init --data DIR`로 만들 수 있습니다.",
                           dir.string());
    if (read_file(dir / "FORMAT") != kFormat)
        throw CommandError(Kind::data_folder, "데이터 폴더의 형식 번호가 이 프로그램과 다릅니다.",
                           (dir / "FORMAT").string());
}

DataFolder DataFolder::open(const fs::path& dir)
{
    require(dir);
    Config config = Config::load(settings(dir));
    SecretKey master = read_master_key(config.key_file);
    return {fs::absolute(dir).lexically_normal(), std::move(config), std::move(master)};
}

DataFolder::DataFolder(fs::path dir, Config config, SecretKey master)
    : dir_(std::move(dir)), config_(std::move(config)), master_(std::move(master))
{
}

std::string DataFolder::unseal(const std::string& name) const
{
    const fs::path file = dir_ / "keys" / (name + ".box");
    try {
        return crypto::open(master_, read_file(file), "keys/" + name);
    } catch (const CryptoError&) {
        throw CommandError(Kind::data_folder, "이 데이터 폴더의 마스터 키가 아닙니다.",
                           config_.key_file.string());
    }
}

std::optional<OwnerLock> OwnerLock::take(const fs::path& dir)
{
    const fs::path file = dir / "run" / "lock";
    OwnerLock lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (lock.fd_ < 0) fail("잠금 파일을 열 수 없습니다.", file);
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) return std::nullopt;
    return lock;
}

std::optional<OwnerLock> OwnerLock::wait(const fs::path& dir, const std::function<bool()>& meanwhile)
{
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::seconds(10);
    for (;;) {
        if (auto lock = take(dir)) return lock;
        if (meanwhile()) return std::nullopt;
        if (Clock::now() > deadline) {
            throw CommandError(Kind::busy,
                               "다른 집현 프로세스가 이 데이터 폴더를 쓰고 있고 응답하지 않습니다.",
                               (dir / "run" / "lock").string());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

OwnerLock::~OwnerLock()
{
    if (fd_ >= 0) ::close(fd_);
}

}  // namespace jiphyeon::app
