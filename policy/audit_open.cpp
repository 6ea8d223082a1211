// Creating the record, and finding it again after an end in order or a kill.
//
// The head names what was acknowledged. After a clean end everything must be exactly as it says, and the
// derived files are taken as they are. Otherwise the whole log is read: whole calls behind the acknowledged
// end are kept (they may have been about to be acknowledged), a torn one is cut, tree and places are made
// again, and the record itself says what was found.
#include <algorithm>
#include <cassert>
#include <fstream>

#include "audit_bytes.hpp"
#include "audit_log.hpp"
#include "checkpoint.hpp"

namespace jiphyeon {

namespace fs = std::filesystem;

struct AuditLogFiles::Scan {
    Extent extent;
    std::vector<Place> places;
    std::vector<Digest> hashes;
    std::map<RecordId, std::uint64_t> open;  // and its last body
    std::vector<RecordId> erased;

    void apply(const std::vector<Frame>& call);
};

namespace {

AuditError corrupt_at(std::uint64_t leaf, const std::string& what)
{
    return {AuditError::Kind::corrupt, "leaf " + std::to_string(leaf) + ": " + what};
}

std::string boot_id()
{
    std::ifstream in("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(in, id);
    return id;
}

void make_file(const fs::path& path, std::string_view content)
{
    fs::remove(path);  // of a creation that was cut short
    const AuditFile file(path, AuditFile::Mode::create);
    file.write(0, content);
    file.sync();
}

}  // namespace

AuditLogFiles::AuditLogFiles(fs::path dir, const SecretKey& bodies, crypto::SigningKey signer,
                             std::string origin)
    : dir_(std::move(dir)),
      bodies_(bodies.clone()),
      wrapping_key_(wrapping_key_of(bodies)),
      head_key_(head_key_of(bodies)),
      signer_(std::move(signer)),
      origin_(std::move(origin)),
      boot_id_(boot_id())
{
    check_origin(origin_);
    try {
        if (!fs::exists(dir_ / kLogFile)) create();
        log_ = AuditFile(dir_ / kLogFile, AuditFile::Mode::write);
        log_.lock_against_others();
        check_file_header(log_, kLogMagic);
        keys_ = AuditFile(dir_ / kKeysFile, AuditFile::Mode::write);
        check_file_header(keys_, kKeysMagic);
        head_ = AuditFile(dir_ / kHeadFile, AuditFile::Mode::write);
        for (const auto& [file, name] : {std::pair{&tree_, kTreeFile}, std::pair{&places_, kPlacesFile}}) {
            const bool there = fs::exists(dir_ / name);
            *file = AuditFile(dir_ / name, there ? AuditFile::Mode::write : AuditFile::Mode::create);
        }
    } catch (const fs::filesystem_error& e) {
        throw AuditError(AuditError::Kind::io, e.what());
    }
    const AuditFile public_key(dir_ / kPublicKeyFile, AuditFile::Mode::read);
    if (public_key.read(0, static_cast<std::size_t>(public_key.size())) !=
        verifier_key(origin_, signer_.public_key_der()) + "\n")
        throw AuditError(AuditError::Kind::corrupt, "the record was begun under another signing key or name");

    const std::optional<Head> head = read_head(head_, &head_key_);
    if (!head)
        throw AuditError(AuditError::Kind::corrupt, "the head of the record is not readable with this key");
    head_counter_ = head->counter;
    const std::uint64_t bytes = log_.size();
    if (bytes < head->log_bytes)
        throw AuditError(AuditError::Kind::rolled_back, "the log has " + std::to_string(bytes) + " bytes, " +
                                                            std::to_string(head->log_bytes) + " with " +
                                                            std::to_string(head->size) +
                                                            " leaves were acknowledged");
    if (head->clean && bytes == head->log_bytes && derived_files_hold(*head)) {
        resume(*head);
    } else {
        recover(*head);
    }
}

// The log comes last: where it is, all else is.
void AuditLogFiles::create() const
{
    fs::create_directories(dir_);
    fs::permissions(dir_, fs::perms::owner_all);
    if (fs::exists(dir_ / kHeadFile)) {
        const AuditFile old(dir_ / kHeadFile, AuditFile::Mode::read);
        if (const std::optional<Head> head = read_head(old, nullptr); head && head->size > 0)
            throw AuditError(AuditError::Kind::rolled_back,
                             "the log is gone, " + std::to_string(head->size) + " leaves were acknowledged");
    }
    make_file(dir_ / kPublicKeyFile, verifier_key(origin_, signer_.public_key_der()) + "\n");
    make_file(dir_ / kKeysFile, file_header(kKeysMagic));
    make_file(dir_ / kTreeFile, file_header(kTreeMagic));
    make_file(dir_ / kPlacesFile, file_header(kPlacesMagic));
    make_file(dir_ / kHeadFile, "");
    const AuditFile head(dir_ / kHeadFile, AuditFile::Mode::write);
    write_head(head, head_key_,
               {.counter = 1, .log_bytes = kFileHeaderBytes, .clean = true, .root = crypto::sha256("")});
    head.sync();
    const fs::path partial = dir_ / "log.partial";
    make_file(partial, file_header(kLogMagic));
    fs::rename(partial, dir_ / kLogFile);
    sync_folder(dir_);
}

bool AuditLogFiles::derived_files_hold(const Head& head) const
{
    if (tree_.read(0, kFileHeaderBytes) != file_header(kTreeMagic) ||
        places_.read(0, kFileHeaderBytes) != file_header(kPlacesMagic) ||
        tree_.size() != tree_offset(stored_count(head.size)) || places_.size() != place_offset(head.size))
        return false;
    return MerkleFrontier::of([this](std::uint64_t place) { return stored_hash(place); }, head.size).root() ==
           head.root;
}

void AuditLogFiles::resume(const Head& head)
{
    extent_.size = head.size;
    extent_.log_bytes = head.log_bytes;
    extent_.last_checkpoint = head.last_checkpoint;
    if (head.last_checkpoint != 0) {
        const std::optional<Frame> frame = read_frame(log_, head.last_checkpoint, head.log_bytes);
        if (!frame || frame->kind != FrameKind::checkpoint)
            throw AuditError(AuditError::Kind::corrupt, "the last checkpoint is not where the head says");
        extent_.checkpoint_size = frame->record;
    }
    extent_.frontier =
        MerkleFrontier::of([this](std::uint64_t place) { return stored_hash(place); }, head.size);
    if (head.size > 0) extent_.previous = stored_hash(stored_index(0, head.size - 1));
    durable_bytes_ = head.log_bytes;
    clean_ = true;
}

void AuditLogFiles::Scan::apply(const std::vector<Frame>& call)
{
    for (const Frame& frame : call) {
        extent.log_bytes = frame.end();
        if (frame.kind == FrameKind::checkpoint) {
            extent.last_checkpoint = frame.offset;
            extent.checkpoint_size = frame.record;
        } else if (frame.kind == FrameKind::leaf) {
            const Leaf leaf = Leaf::decode(frame.payload);
            if (leaf.sequence != extent.size || leaf.previous != extent.previous)
                throw corrupt_at(extent.size, "does not continue the leaf before it");
            extent.previous = leaf_hash(frame.payload);
            const std::vector<Digest> completed = extent.frontier.append(extent.previous);
            hashes.insert(hashes.end(), completed.begin(), completed.end());
            ++extent.size;
            places.resize(extent.size);
            places.back().leaf = frame.offset;
            if (!leaf.record) continue;
            if (leaf.action == "erased") {
                erased.push_back(*leaf.record);
            } else if (*leaf.record < places.size()) {
                places[*leaf.record].closed_by = leaf.sequence + 1;
                open.erase(*leaf.record);
            }
        } else {
            // A question or a note comes just before its leaf.
            if (frame.record > extent.size)
                throw corrupt_at(extent.size, "a body of a leaf that is not there");
            places.resize(std::max<std::size_t>(places.size(), frame.record + 1));
            places[frame.record].last_body = frame.offset;
            if (frame.kind != FrameKind::note) open[frame.record] = frame.offset;
        }
    }
}

AuditLogFiles::Scan AuditLogFiles::scan(const Head& head) const
{
    Scan found;
    bool head_holds = false;
    const std::uint64_t end = log_.size();
    std::vector<Frame> call;
    for (std::uint64_t at = kFileHeaderBytes;;) {
        if (at == head.log_bytes)
            head_holds =
                found.extent.size == head.size && found.extent.frontier.root() == head.root && call.empty();
        std::optional<Frame> frame = read_frame(log_, at, end);
        if (!frame || !frame->check_holds) {
            if (at < head.log_bytes)
                throw corrupt_at(found.extent.size, "the bytes at " + std::to_string(at) + " are changed");
            break;
        }
        at = frame->end();
        call.push_back(std::move(*frame));
        if (!call.back().last) continue;
        // Keys are made durable before the head, so behind it one may be missing: then the call was not
        // finished.
        if (call.back().end() > head.log_bytes &&
            std::any_of(call.begin(), call.end(), [this](const Frame& part) {
                return (part.kind == FrameKind::question || part.kind == FrameKind::note) &&
                       !key_opens(part.record);
            }))
            break;
        found.apply(call);
        call.clear();
    }
    if (!head_holds) throw AuditError(AuditError::Kind::corrupt, "the log does not match its head");
    return found;
}

bool AuditLogFiles::key_opens(RecordId id) const
{
    try {
        unwrap_key(keys_, wrapping_key_, id);
        return true;
    } catch (const CryptoError&) {
        return false;
    } catch (const AuditError&) {
        return false;
    }
}

void AuditLogFiles::rebuild_derived_files(const Scan& found) const
{
    std::string hashes = file_header(kTreeMagic);
    for (const Digest& hash : found.hashes) hashes += as_text(hash);
    tree_.truncate(0);
    tree_.write(0, hashes);
    std::string places = file_header(kPlacesMagic);
    for (const Place& place : found.places) places += encode_place(place);
    places_.truncate(0);
    places_.write(0, places);
}

// Continues the sealed text of a record, so that it can be closed with what was shown of it.
void AuditLogFiles::reopen_record(RecordId id, std::uint64_t last_body)
{
    if (!key_opens(id)) throw corrupt_at(id, "the key of its body is gone");
    const std::string salt = fresh_salt();
    OpenRecord open{.key = unwrap_key(keys_, wrapping_key_, id),
                    .salt = salt,
                    .closing = Commitment(salt),
                    .last_body = last_body};
    for (const Frame& frame : bodies_of(last_body)) {
        const std::string text = open_body(open.key, frame, open.pieces);
        if (frame.kind != FrameKind::piece) continue;
        open.closing.add(text);
        ++open.pieces;
    }
    open_.emplace(id, std::move(open));
}

void AuditLogFiles::recover(const Head& head)
{
    const Scan found = scan(head);
    const std::uint64_t bytes = log_.size();
    const std::uint64_t cut = bytes - found.extent.log_bytes;
    if (cut != 0) log_.truncate(found.extent.log_bytes);
    rebuild_derived_files(found);
    extent_ = found.extent;
    durable_bytes_ = head.log_bytes;
    keys_changed_ = true;
    for (const RecordId id : found.erased)
        if (key_state(keys_, id) == KeyState::present) destroy_key(id);
    for (const auto& [id, last_body] : found.open) reopen_record(id, last_body);
    // A key that was stored for a call that did not come to pass.
    if (keys_.size() > key_slot_offset(extent_.size)) keys_.truncate(key_slot_offset(extent_.size));

    Lock lock(mutex_);
    if (!head.clean || cut != 0 || bytes != head.log_bytes) {
        Leaf leaf = leaf_of({.actor = "jiphyeon", .action = "unclean start"}, "");
        leaf.objects = {"acknowledged " + std::to_string(head.size),
                        "found " + std::to_string(found.extent.size), "cut bytes " + std::to_string(cut)};
        Staged staged = stage();
        add_leaf(staged, std::move(leaf), 0);
        write(std::move(staged));
    }
    while (!open_.empty())
        close_open_record(open_.begin()->first,
                          {.actor = "jiphyeon", .action = "interrupted", .outcome = "unclean start"}, "");
    flush(lock);
}

}  // namespace jiphyeon
