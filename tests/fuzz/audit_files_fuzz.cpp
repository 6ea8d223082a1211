// Any bytes as the log of a record: verification ends, and finds nothing in order that is not empty or whole.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "audit_format.hpp"

using namespace jiphyeon;

namespace {

// Beside the log lie a head of an empty record and its key.
struct Folder {
    std::filesystem::path path;
    SecretKey bodies = SecretKey::random();

    Folder()
    {
        std::string name = (std::filesystem::temp_directory_path() / "jiphyeon-fuzz-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        path = name;
        const AuditFile keys(path / kKeysFile, AuditFile::Mode::create);
        keys.write(0, file_header(kKeysMagic));
        keys.write(key_slot_offset(0), wrap_key(wrapping_key_of(bodies), SecretKey::random(), 0));
        const AuditFile head(path / kHeadFile, AuditFile::Mode::create);
        write_head(head, head_key_of(bodies), {.counter = 1, .log_bytes = kFileHeaderBytes});
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const Folder folder;
    static const std::string public_key = crypto::SigningKey::generate().public_key_der();
    std::ofstream(folder.path / kLogFile, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    const AuditReport report = verify_audit_log(folder.path, {.bodies = &folder.bodies,
                                                              .public_key_der = public_key,
                                                              .origin = "x",
                                                              .remembered = {},
                                                              .progress = {}});
    assert(report.ok == report.problems.empty());
    // Whatever leaves there are, none stands under this key.
    assert(!report.ok || report.size == 0);
    return 0;
}
