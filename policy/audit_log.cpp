#include "audit_log.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include "audit_bytes.hpp"
#include "checkpoint.hpp"

namespace jiphyeon {

namespace {

// At most so many leaves, or so much time while leaves come, without a signature over them.
constexpr std::uint64_t kCheckpointLeaves = 256;
constexpr std::chrono::seconds kCheckpointAge{5};
constexpr std::size_t kLeafMax = 65'535;  // C2SP tlog-tiles: what an entry bundle can hold

std::int64_t clock_us(clockid_t clock)
{
    timespec now{};
    ::clock_gettime(clock, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

void copy_part(const AuditFile& from, const std::filesystem::path& path, std::uint64_t bytes)
{
    constexpr std::uint64_t kStep = 1 << 20;
    const AuditFile out(path, AuditFile::Mode::create);
    for (std::uint64_t at = 0; at < bytes;) {
        const std::string block = from.read(at, static_cast<std::size_t>(std::min(kStep, bytes - at)));
        if (block.empty()) break;
        out.write(at, block);
        at += block.size();
    }
    out.sync();
}

AuditError not_found(RecordId id)
{
    return {AuditError::Kind::not_found, "no record opens at leaf " + std::to_string(id)};
}

}  // namespace

std::unique_ptr<AuditLog> AuditLog::open(const std::filesystem::path& dir, const SecretKey& bodies,
                                         crypto::SigningKey signer, std::string origin)
{
    return std::make_unique<AuditLogFiles>(dir, bodies, std::move(signer), std::move(origin));
}

// A record that is still open here was given up with the process that wrote it.
AuditLogFiles::~AuditLogFiles()
{
    try {
        Lock lock(mutex_);
        if (!failure_.empty()) return;
        while (!open_.empty())
            close_open_record(open_.begin()->first,
                              {.actor = "jiphyeon", .action = "interrupted", .outcome = "closed"}, "");
        if (extent_.checkpoint_size != extent_.size || extent_.last_checkpoint == 0) {
            Staged staged = stage();
            add_checkpoint(staged);
            write(std::move(staged));
        }
        if (!clean_ || durable_bytes_ != extent_.log_bytes) flush(lock, true);
    } catch (const std::exception&) {
        // The head stays as it was, and the next start finds an unclean end and says so.
    }
}

RecordId AuditLogFiles::begin(const LeafFacts& facts, std::string_view body)
{
    SecretKey key = SecretKey::random();
    Lock lock(mutex_);
    require_usable();
    Staged staged = stage();
    const auto [last_body, receipt] = open_record(staged, key, FrameKind::question, facts, body);
    const RecordId id = receipt.leaf;
    std::string salt = fresh_salt();
    Commitment closing(salt);
    store_key(id, key);
    write(std::move(staged));
    open_.emplace(id, OpenRecord{.key = std::move(key),
                                 .salt = std::move(salt),
                                 .closing = std::move(closing),
                                 .last_body = last_body});
    flush(lock);
    return id;
}

Receipt AuditLogFiles::note(const LeafFacts& facts, std::string_view body)
{
    const SecretKey key = SecretKey::random();
    Lock lock(mutex_);
    require_usable();
    Staged staged = stage();
    const Receipt receipt = open_record(staged, key, FrameKind::note, facts, body).second;
    store_key(receipt.leaf, key);
    write(std::move(staged));
    flush(lock);
    return receipt;
}

void AuditLogFiles::append(RecordId record, std::string_view piece)
{
    Lock lock(mutex_);
    require_usable();
    const auto found = open_.find(record);
    if (found == open_.end()) throw not_found(record);
    OpenRecord& open = found->second;
    Staged staged = stage();
    const std::uint64_t offset =
        add_frame(staged, FrameKind::piece, record, open.last_body,
                  crypto::seal(open.key, piece, body_context(record, FrameKind::piece, open.pieces)));
    write(std::move(staged));
    open.closing.add(piece);
    open.last_body = offset;
    ++open.pieces;
    flush(lock);
}

Receipt AuditLogFiles::finish(RecordId record, const LeafFacts& facts, std::string_view body)
{
    Lock lock(mutex_);
    require_usable();
    const Receipt receipt = close_open_record(record, facts, body);
    flush(lock);
    return receipt;
}

Receipt AuditLogFiles::erase_body(RecordId id, const LeafFacts& facts)
{
    const std::unique_lock<std::shared_mutex> alone(erasing_);
    Lock lock(mutex_);
    require_usable();
    if (id >= extent_.size || place(id).last_body == 0 || open_.contains(id)) throw not_found(id);
    if (key_state(keys_, id) != KeyState::present)
        throw AuditError(AuditError::Kind::erased, "the body of record " + std::to_string(id) + " is erased");
    Leaf leaf = leaf_of(facts, "erased");
    leaf.action = "erased";
    leaf.record = id;
    Staged staged = stage();
    const Receipt receipt = add_leaf(staged, std::move(leaf), 0);
    write(std::move(staged));
    flush(lock);
    // The leaf comes first: a key that is gone without one would look like tampering. Recovery repeats what a
    // kill leaves undone here.
    destroy_key(id);
    return receipt;
}

std::uint64_t AuditLogFiles::size() const
{
    const Lock lock(mutex_);
    return extent_.size;
}

Leaf AuditLogFiles::leaf(std::uint64_t sequence) const
{
    const Lock lock(mutex_);
    if (sequence >= extent_.size)
        throw AuditError(AuditError::Kind::not_found, "no leaf " + std::to_string(sequence));
    const std::optional<Frame> frame = read_frame(log_, place(sequence).leaf, extent_.log_bytes);
    if (!frame || !frame->check_holds || frame->kind != FrameKind::leaf || frame->record != sequence)
        throw AuditError(AuditError::Kind::corrupt, "leaf " + std::to_string(sequence) + " cannot be read");
    return Leaf::decode(frame->payload);
}

StoredRecord AuditLogFiles::record(RecordId id) const
{
    const std::shared_lock<std::shared_mutex> no_erasure(erasing_);
    StoredRecord out;
    out.opened = leaf(id);
    Place found;
    {
        const Lock lock(mutex_);
        found = place(id);
        if (const auto open = open_.find(id); open != open_.end()) found.last_body = open->second.last_body;
    }
    if (found.last_body == 0) throw not_found(id);
    if (key_state(keys_, id) == KeyState::erased)
        throw AuditError(AuditError::Kind::erased, "the body of record " + std::to_string(id) + " is erased");
    if (found.closed_by != 0) out.closed = leaf(found.closed_by - 1);
    try {
        const SecretKey key = unwrap_key(keys_, wrapping_key_, id);
        for (const Frame& frame : bodies_of(found.last_body)) {
            std::string text = open_body(key, frame, out.pieces.size());
            if (frame.kind == FrameKind::piece) {
                out.pieces.push_back(std::move(text));
            } else {
                (frame.kind == FrameKind::answer ? out.body : out.question) = text.substr(kSaltBytes);
            }
        }
    } catch (const CryptoError& e) {
        throw AuditError(AuditError::Kind::corrupt,
                         "the body of record " + std::to_string(id) + ": " + e.what());
    }
    return out;
}

Checkpoint AuditLogFiles::checkpoint()
{
    Lock lock(mutex_);
    require_usable();
    if (extent_.last_checkpoint == 0 || extent_.checkpoint_size != extent_.size) {
        Staged staged = stage();
        add_checkpoint(staged);
        write(std::move(staged));
    }
    const std::uint64_t offset = extent_.last_checkpoint;
    flush(lock);
    const std::optional<Frame> frame = read_frame(log_, offset, extent_.log_bytes);
    if (!frame || !frame->check_holds)
        throw AuditError(AuditError::Kind::corrupt, "the checkpoint cannot be read");
    const CheckpointText facts = parse_checkpoint(frame->payload);
    return {.text = frame->payload, .size = facts.size, .root = facts.root};
}

std::vector<Digest> AuditLogFiles::inclusion_proof(std::uint64_t leaf, std::uint64_t size) const
{
    if (leaf >= size || size > this->size())
        throw AuditError(AuditError::Kind::not_found, "no such leaf in a tree of that size");
    return MerkleView([this](std::uint64_t place) { return stored_hash(place); }).inclusion_proof(leaf, size);
}

std::vector<Digest> AuditLogFiles::consistency_proof(std::uint64_t from, std::uint64_t to) const
{
    if (from > to || to > size()) throw AuditError(AuditError::Kind::not_found, "no trees of these sizes");
    return MerkleView([this](std::uint64_t place) { return stored_hash(place); }).consistency_proof(from, to);
}

AuditReport AuditLogFiles::verify(std::string_view remembered,
                                  const std::function<void(std::uint64_t, std::uint64_t)>& progress)
{
    const std::shared_lock<std::shared_mutex> no_erasure(erasing_);
    checkpoint();  // so that every leaf stands under a signature
    AuditVerification how{.bodies = &bodies_,
                          .public_key_der = signer_.public_key_der(),
                          .origin = origin_,
                          .remembered = std::string(remembered),
                          .progress = progress};
    {
        const Lock lock(mutex_);
        how.log_bytes = extent_.log_bytes;
    }
    return verify_audit_log(dir_, how);
}

// The log only grows, so its present bytes are the copy; tree and places are made again when it is opened.
void AuditLogFiles::backup(const std::filesystem::path& to) const
{
    namespace fs = std::filesystem;
    const std::shared_lock<std::shared_mutex> no_erasure(erasing_);
    Head head{.counter = 1};
    {
        const Lock lock(mutex_);
        require_usable();
        head.size = extent_.size;
        head.log_bytes = extent_.log_bytes;
        head.last_checkpoint = extent_.last_checkpoint;
        head.root = extent_.frontier.root();
    }
    try {
        if (fs::exists(to)) throw AuditError(AuditError::Kind::io, to.string() + " exists");
        fs::path partial = to;
        partial += ".partial";
        fs::create_directories(partial.parent_path());
        if (!fs::create_directory(partial))
            throw AuditError(AuditError::Kind::io, partial.string() + " exists");
        copy_part(keys_, partial / kKeysFile, key_slot_offset(head.size));
        const AuditFile public_key(dir_ / kPublicKeyFile, AuditFile::Mode::read);
        copy_part(public_key, partial / kPublicKeyFile, public_key.size());
        const AuditFile head_copy(partial / kHeadFile, AuditFile::Mode::create);
        write_head(head_copy, head_key_, head);
        head_copy.sync();
        copy_part(log_, partial / kLogFile, head.log_bytes);
        sync_folder(partial);
        fs::rename(partial, to);
        sync_folder(fs::absolute(to).parent_path());
    } catch (const fs::filesystem_error& e) {
        throw AuditError(AuditError::Kind::io, e.what());
    }
}

// --- writing, under mutex_

void AuditLogFiles::require_usable() const
{
    if (!failure_.empty())
        throw AuditError(AuditError::Kind::io, "the record is closed since a failure: " + failure_);
}

Leaf AuditLogFiles::leaf_of(const LeafFacts& facts, const char* default_action) const
{
    Leaf leaf;
    leaf.boot_id = boot_id_;
    leaf.actor = facts.actor;
    leaf.os_user = facts.os_user;
    leaf.session = facts.session;
    leaf.origin = facts.origin;
    leaf.action = facts.action.empty() ? default_action : facts.action;
    leaf.outcome = facts.outcome;
    leaf.objects = facts.objects;
    leaf.model_sha256 = facts.model_sha256;
    return leaf;
}

std::uint64_t AuditLogFiles::add_frame(Staged& staged, FrameKind kind, std::uint64_t record,
                                       std::uint64_t before, std::string payload) const
{
    if (payload.size() > kPayloadMax)
        throw AuditError(AuditError::Kind::io,
                         "a body of " + std::to_string(payload.size()) + " bytes is too large");
    Frame& frame = staged.frames.emplace_back(Frame{.kind = kind,
                                                    .record = record,
                                                    .before = before,
                                                    .offset = staged.extent.log_bytes,
                                                    .payload = std::move(payload)});
    staged.extent.log_bytes = frame.end();
    return frame.offset;
}

Receipt AuditLogFiles::add_leaf(Staged& staged, Leaf leaf, std::uint64_t last_body) const
{
    Extent& extent = staged.extent;
    leaf.sequence = extent.size;
    leaf.utc_us = clock_us(CLOCK_REALTIME);
    leaf.boottime_us = clock_us(CLOCK_BOOTTIME);
    leaf.previous = extent.previous;
    std::string bytes = leaf.encode();
    if (bytes.size() > kLeafMax)
        throw AuditError(AuditError::Kind::io,
                         "a leaf of " + std::to_string(bytes.size()) + " bytes is too large");
    extent.previous = leaf_hash(bytes);
    const std::vector<Digest> completed = extent.frontier.append(extent.previous);
    staged.hashes.insert(staged.hashes.end(), completed.begin(), completed.end());
    const std::uint64_t offset = add_frame(staged, FrameKind::leaf, leaf.sequence, 0, std::move(bytes));
    staged.places[leaf.sequence] = {.leaf = offset, .last_body = last_body, .closed_by = 0};
    ++extent.size;
    const Receipt receipt{.leaf = leaf.sequence, .size = extent.size, .root = extent.frontier.root()};
    const auto age = std::chrono::steady_clock::now() - extent.checkpoint_time;
    if (extent.size - extent.checkpoint_size >= kCheckpointLeaves || age >= kCheckpointAge)
        add_checkpoint(staged);
    return receipt;
}

void AuditLogFiles::add_checkpoint(Staged& staged) const
{
    Extent& extent = staged.extent;
    Checkpoint head = sign_checkpoint(signer_, origin_, extent.size, extent.frontier.root());
    extent.last_checkpoint =
        add_frame(staged, FrameKind::checkpoint, extent.size, extent.last_checkpoint, std::move(head.text));
    extent.checkpoint_size = extent.size;
    extent.checkpoint_time = std::chrono::steady_clock::now();
}

// The body and the leaf that commits to it.
std::pair<std::uint64_t, Receipt> AuditLogFiles::open_record(Staged& staged, const SecretKey& key,
                                                             FrameKind kind, const LeafFacts& facts,
                                                             std::string_view body) const
{
    const RecordId id = staged.extent.size;
    const std::string salt = fresh_salt();
    Commitment commitment(salt);
    commitment.add(body);
    Leaf leaf = leaf_of(facts, "asked");
    leaf.commitment = commitment.finish();
    const std::uint64_t offset = add_frame(
        staged, kind, id, 0, crypto::seal(key, salt + std::string(body), body_context(id, kind, 0)));
    return {offset, add_leaf(staged, std::move(leaf), offset)};
}

Receipt AuditLogFiles::close_open_record(RecordId id, const LeafFacts& facts, std::string_view body)
{
    const auto found = open_.find(id);
    if (found == open_.end()) throw not_found(id);
    OpenRecord& open = found->second;
    Staged staged = stage();
    const std::uint64_t offset = add_frame(
        staged, FrameKind::answer, id, open.last_body,
        crypto::seal(open.key, open.salt + std::string(body), body_context(id, FrameKind::answer, 0)));
    Leaf leaf = leaf_of(facts, "answered");
    leaf.record = id;
    Commitment closing = open.closing.clone();
    closing.add(body);
    leaf.commitment = closing.finish();
    const Receipt receipt = add_leaf(staged, std::move(leaf), 0);
    Place opened = place(id);
    opened.last_body = offset;
    opened.closed_by = receipt.leaf + 1;
    staged.places[id] = opened;
    write(std::move(staged));
    open_.erase(found);
    return receipt;
}

void AuditLogFiles::write(Staged staged)
{
    staged.frames.back().last = true;
    std::string bytes;
    for (const Frame& frame : staged.frames) bytes += encode_frame(frame);
    std::string hashes;
    for (const Digest& hash : staged.hashes) hashes += as_text(hash);
    try {
        log_.write(extent_.log_bytes, bytes);
        tree_.write(tree_offset(stored_count(extent_.size)), hashes);
        for (const auto& [leaf, place] : staged.places)
            places_.write(place_offset(leaf), encode_place(place));
    } catch (const AuditError& e) {
        failure_ = e.what();
        throw;
    }
    extent_ = std::move(staged.extent);
}

void AuditLogFiles::flush(Lock& lock, bool clean)
{
    const std::uint64_t wanted = extent_.log_bytes;
    while (durable_bytes_ < wanted || (clean && !clean_)) {
        require_usable();
        if (flushing_) {
            flushed_.wait(lock);
            continue;
        }
        flushing_ = true;
        const bool keys = std::exchange(keys_changed_, false);
        const Head head{.counter = ++head_counter_,
                        .size = extent_.size,
                        .log_bytes = extent_.log_bytes,
                        .last_checkpoint = extent_.last_checkpoint,
                        .clean = clean,
                        .root = extent_.frontier.root()};
        lock.unlock();
        std::string failure;
        try {
            if (keys) keys_.sync();
            log_.sync();
            write_head(head_, head_key_, head);
            head_.sync();
        } catch (const std::exception& e) {
            failure = e.what();
        }
        lock.lock();
        flushing_ = false;
        if (failure.empty()) {
            durable_bytes_ = head.log_bytes;
            clean_ = clean;
        } else if (failure_.empty()) {
            failure_ = failure;
        }
        flushed_.notify_all();
    }
}

void AuditLogFiles::store_key(RecordId id, const SecretKey& key)
{
    const std::string slot = wrap_key(wrapping_key_, key, id);
    try {
        keys_.write(key_slot_offset(id), slot);
    } catch (const AuditError& e) {
        failure_ = e.what();
        throw;
    }
    keys_changed_ = true;
}

void AuditLogFiles::destroy_key(RecordId id)
{
    std::string slot(kKeySlotBytes, '\0');
    slot[0] = kErasedMark;
    try {
        keys_.write(key_slot_offset(id), slot);
        keys_.sync();
    } catch (const AuditError& e) {
        failure_ = e.what();
        throw;
    }
}

// --- reading

Place AuditLogFiles::place(std::uint64_t leaf) const
{
    return decode_place(places_.read_exactly(place_offset(leaf), kPlaceBytes));
}

Digest AuditLogFiles::stored_hash(std::uint64_t place) const
{
    return ByteReader(tree_.read_exactly(tree_offset(place), 32)).digest();
}

// All bodies of a record, first to last.
std::vector<Frame> AuditLogFiles::bodies_of(std::uint64_t last_body) const
{
    std::vector<Frame> frames;
    const std::uint64_t end = log_.size();
    for (std::uint64_t at = last_body; at != 0;) {
        std::optional<Frame> frame = read_frame(log_, at, end);
        // The chain leads backwards, so it ends.
        if (!frame || !frame->check_holds || !frame->is_body() || frame->before >= at)
            throw AuditError(AuditError::Kind::corrupt, "the bodies of a record cannot be read");
        at = frame->before;
        frames.push_back(std::move(*frame));
    }
    return {std::make_move_iterator(frames.rbegin()), std::make_move_iterator(frames.rend())};
}

std::string AuditLogFiles::open_body(const SecretKey& key, const Frame& frame, std::uint64_t number) const
{
    const std::uint64_t ordinal = frame.kind == FrameKind::piece ? number : 0;
    std::string text = crypto::open(key, frame.payload, body_context(frame.record, frame.kind, ordinal));
    if (frame.kind != FrameKind::piece && text.size() < kSaltBytes)
        throw AuditError(AuditError::Kind::corrupt, "a body without the salt of its commitment");
    return text;
}

}  // namespace jiphyeon
