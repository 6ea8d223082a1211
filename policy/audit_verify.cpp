// Reads a record again from nothing but its bytes: leaves, chain, tree, checkpoints, bodies, and what is
// beside them. Nothing is repaired and nothing is believed; a byte that does not fit becomes a problem with
// its leaf.
#include <fstream>
#include <map>
#include <set>

#include "audit_bytes.hpp"
#include "audit_format.hpp"
#include "checkpoint.hpp"
#include "merkle.hpp"

namespace jiphyeon {

namespace {

constexpr std::size_t kProblemsMax = 100;
constexpr std::uint64_t kUnsignedMax = 256;  // the writer signs at least this often

class Verifier {
public:
    Verifier(const std::filesystem::path& dir, const AuditVerification& with) : dir_(dir), with_(with) {}
    AuditReport run();

private:
    struct Record {
        bool note = false;
        bool closed = false;
        bool erased = false;
        bool readable = false;  // its key opens
        std::uint64_t last_body = 0;
        std::vector<std::string> pieces;
        std::optional<Digest> commitment;  // of the next leaf that must carry one
    };

    void problem(std::uint64_t leaf, std::string what);
    void read_public_key();
    void read_remembered();
    void read_log(const AuditFile& log, std::uint64_t end);
    void take(const Frame& frame);
    void take_leaf(const Frame& frame);
    void take_body(const Frame& frame);
    void check_body(const Frame& frame, Record& record);
    void check_links(const Leaf& leaf);
    void take_checkpoint(const Frame& frame);
    void compare_remembered();
    void check_head(std::uint64_t end);
    void check_records();
    void check_tree_file();

    std::uint64_t size() const { return frontier_.size(); }

    const std::filesystem::path& dir_;
    const AuditVerification& with_;
    AuditReport report_;
    std::string origin_, public_key_;
    std::optional<CheckpointText> remembered_;
    std::optional<Head> head_;
    std::optional<AuditFile> keys_;
    std::optional<SecretKey> wrapping_key_;
    MerkleFrontier frontier_;
    Digest previous_{};
    std::vector<Digest> hashes_;  // all, in the order of the tree file
    std::map<RecordId, Record> records_;
    std::uint64_t checkpoints_ = 0, checkpoint_size_ = 0;
    bool cut_short_ = false;
};

void Verifier::problem(std::uint64_t leaf, std::string what)
{
    if (report_.problems.size() < kProblemsMax) {
        report_.problems.push_back({leaf, std::move(what)});
    } else if (report_.problems.size() == kProblemsMax) {
        report_.problems.push_back({leaf, "more problems follow and are not listed"});
    }
}

void Verifier::read_public_key()
{
    if (!with_.public_key_der.empty()) {
        public_key_ = with_.public_key_der;
        origin_ = with_.origin;
        return;
    }
    report_.not_checked.push_back("signing key: taken from the log's own folder");
    std::ifstream in(dir_ / kPublicKeyFile);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    try {
        VerifierKey key = parse_verifier_key(text);
        origin_ = std::move(key.origin);
        public_key_ = std::move(key.public_key_der);
    } catch (const AuditError& e) {
        problem(0, std::string("public_key: ") + e.what());
        report_.not_checked.push_back("signatures: no key");
    }
}

void Verifier::read_remembered()
{
    if (with_.remembered.empty()) {
        report_.not_checked.push_back("rollback: no remembered checkpoint given");
        return;
    }
    try {
        remembered_ = parse_checkpoint(with_.remembered);
        if (!public_key_.empty() && !checkpoint_signed_by(with_.remembered, public_key_))
            problem(remembered_->size, "the remembered checkpoint is not signed by the log's key");
        if (remembered_->origin != origin_)
            problem(remembered_->size, "the remembered checkpoint is of another log: " + remembered_->origin);
    } catch (const std::exception& e) {
        problem(0, std::string("the remembered checkpoint: ") + e.what());
    }
}

void Verifier::compare_remembered()
{
    if (remembered_ && remembered_->size == size() && remembered_->root != frontier_.root())
        problem(size(), "history was changed: the first " + std::to_string(size()) +
                            " leaves do not have the remembered root");
}

void Verifier::take_leaf(const Frame& frame)
{
    const std::uint64_t number = size();
    try {
        const Leaf leaf = Leaf::decode(frame.payload);
        if (leaf.sequence != number)
            problem(number, "carries the number " + std::to_string(leaf.sequence) +
                                ": a leaf is missing, added or moved");
        if (leaf.previous != previous_)
            problem(number, "does not follow the leaf before it: that one was changed");
        check_links(leaf);
    } catch (const AuditError& e) {
        problem(number, std::string("cannot be decoded: ") + e.what());
    }
    previous_ = leaf_hash(frame.payload);
    const std::vector<Digest> completed = frontier_.append(previous_);
    hashes_.insert(hashes_.end(), completed.begin(), completed.end());
    compare_remembered();
    if (with_.progress && size() % 1024 == 0)
        with_.progress(size(), std::max(size(), head_ ? head_->size : 0));
}

// What the leaf says about a record, against the bodies before it.
void Verifier::check_links(const Leaf& leaf)
{
    const RecordId id = leaf.record.value_or(leaf.sequence);
    const auto found = records_.find(id);
    if (found == records_.end()) {
        if (leaf.record)
            problem(leaf.sequence, "closes record " + std::to_string(id) + ", which was never opened");
        return;  // a leaf without a body: an erasure, an unclean start
    }
    Record& record = found->second;
    if (leaf.record && leaf.action == "erased") {
        record.erased = true;
        return;
    }
    if (leaf.record && record.closed)
        problem(leaf.sequence, "closes record " + std::to_string(id) + " a second time");
    if (leaf.record) record.closed = true;
    if (record.commitment && *record.commitment != leaf.commitment)
        problem(leaf.sequence, "its body is not the one it commits to");
    record.commitment.reset();
    if (record.closed) record.pieces = {};
}

void Verifier::take_body(const Frame& frame)
{
    const bool opening = frame.kind == FrameKind::question || frame.kind == FrameKind::note;
    if (opening ? frame.record != size() || records_.contains(frame.record)
                : !records_.contains(frame.record)) {
        problem(size(),
                "before it lies a body of record " + std::to_string(frame.record) + ", which is not open");
        return;
    }
    Record& record = records_[frame.record];
    if (record.closed || record.note || frame.before != record.last_body)
        problem(size(), "before it lies a body of record " + std::to_string(frame.record) +
                            " that does not follow the one before it");
    record.note = frame.kind == FrameKind::note;
    record.last_body = frame.offset;
    if (wrapping_key_ && keys_) check_body(frame, record);
}

void Verifier::check_body(const Frame& frame, Record& record)
{
    if (key_state(*keys_, frame.record) != KeyState::present) return;  // check_records judges that
    try {
        const SecretKey key = unwrap_key(*keys_, *wrapping_key_, frame.record);
        const std::uint64_t number = frame.kind == FrameKind::piece ? record.pieces.size() : 0;
        std::string text = crypto::open(key, frame.payload, body_context(frame.record, frame.kind, number));
        if (frame.kind == FrameKind::piece) {
            record.pieces.push_back(std::move(text));
            return;
        }
        if (text.size() < kSaltBytes) throw AuditError(AuditError::Kind::corrupt, "too short");
        Commitment commitment(std::string_view(text).substr(0, kSaltBytes));
        for (const std::string& piece : record.pieces) commitment.add(piece);
        commitment.add(std::string_view(text).substr(kSaltBytes));
        record.commitment = commitment.finish();
    } catch (const std::exception& e) {
        problem(frame.record, std::string("its body cannot be opened: ") + e.what());
    }
}

void Verifier::take_checkpoint(const Frame& frame)
{
    const std::string name = "the checkpoint of size " + std::to_string(size());
    try {
        const CheckpointText facts = parse_checkpoint(frame.payload);
        if (facts.size != size())
            problem(size(), "the checkpoint here names size " + std::to_string(facts.size) +
                                ": leaves are missing or added");
        if (facts.root != frontier_.root())
            problem(size(), name + " has another root than the leaves before it");
        if (facts.origin != origin_) problem(size(), name + " is of another log: " + facts.origin);
        if (!public_key_.empty() && !checkpoint_signed_by(frame.payload, public_key_))
            problem(size(), name + " is not signed by the log's key");
        ++checkpoints_;
        checkpoint_size_ = size();
    } catch (const std::exception& e) {
        problem(size(), name + ": " + e.what());
    }
}

void Verifier::take(const Frame& frame)
{
    if (!frame.check_holds)
        problem(size(), "the stored bytes at " + std::to_string(frame.offset) + " were changed");
    if (frame.kind == FrameKind::leaf) {
        take_leaf(frame);
    } else if (frame.kind == FrameKind::checkpoint) {
        take_checkpoint(frame);
    } else {
        take_body(frame);
    }
}

void Verifier::read_log(const AuditFile& log, std::uint64_t end)
{
    std::uint64_t at = kFileHeaderBytes;
    while (at < end) {
        const std::optional<Frame> frame = read_frame(log, at, end);
        if (!frame) {
            cut_short_ = true;
            problem(size(), "the bytes from " + std::to_string(at) + " on are no entries of the log");
            return;
        }
        take(*frame);
        at = frame->end();
    }
}

void Verifier::check_head(std::uint64_t end)
{
    // A log in use may have acknowledged more since its length was taken.
    if (!head_ || (with_.log_bytes != 0 && head_->log_bytes > with_.log_bytes)) return;
    if (size() < head_->size)
        problem(size(), "the tail is cut: " + std::to_string(head_->size) + " leaves were acknowledged, " +
                            std::to_string(size()) + " are here");
    if (head_->clean && with_.log_bytes == 0 && end > head_->log_bytes)
        problem(head_->size, "bytes were added after the log was closed in order");
    if (head_->clean && checkpoint_size_ != size())
        problem(checkpoint_size_, "the leaves from here on are under no signed checkpoint");
}

void Verifier::check_records()
{
    report_.records = records_.size();
    for (const auto& [id, record] : records_) {
        if (!record.note && !record.closed && head_ && head_->clean)
            problem(id, "the record was never closed");
        if (!keys_) continue;
        const KeyState state = key_state(*keys_, id);
        if (state != KeyState::present && !record.erased)
            problem(id, "the key of its body is gone, and no leaf says that it was erased");
        if (state == KeyState::present && record.erased)
            problem(id, "a leaf says that its body was erased, and the key is still here");
    }
}

void Verifier::check_tree_file()
{
    try {
        const AuditFile tree(dir_ / kTreeFile, AuditFile::Mode::read);
        for (std::uint64_t i = 0; i < hashes_.size(); ++i) {
            const std::string stored = tree.read(tree_offset(i), 32);
            if (stored == as_text(hashes_[i])) continue;
            problem(0, "the tree file differs from the leaves at hash " + std::to_string(i));
            return;
        }
    } catch (const AuditError&) {
        report_.not_checked.push_back("tree file: not there (it is made again when the log is opened)");
    }
}

AuditReport Verifier::run()
{
    read_public_key();
    read_remembered();
    std::uint64_t end = 0;
    try {
        const AuditFile head(dir_ / kHeadFile, AuditFile::Mode::read);
        std::optional<SecretKey> head_key;
        if (with_.bodies != nullptr) {
            head_key = head_key_of(*with_.bodies);
            wrapping_key_ = wrapping_key_of(*with_.bodies);
        } else {
            report_.not_checked.push_back("bodies and the seal of the head: no key given");
        }
        head_ = read_head(head, head_key ? &*head_key : nullptr);
        if (!head_) problem(0, "the head is not readable, or sealed with another key");
        keys_.emplace(dir_ / kKeysFile, AuditFile::Mode::read);
        const AuditFile log(dir_ / kLogFile, AuditFile::Mode::read);
        check_file_header(log, kLogMagic);
        end = with_.log_bytes != 0 ? with_.log_bytes : log.size();
        compare_remembered();  // of an empty tree
        read_log(log, end);
    } catch (const AuditError& e) {
        cut_short_ = true;
        problem(size(), e.what());
    }
    check_head(end);
    check_records();
    check_tree_file();
    if (remembered_ && remembered_->size > size())
        problem(size(), "rolled back: the remembered checkpoint has " + std::to_string(remembered_->size) +
                            " leaves, this log " + std::to_string(size()));
    if (size() > 0 && checkpoints_ == 0) problem(0, "there is no signed checkpoint");
    if (size() - checkpoint_size_ >= kUnsignedMax)
        problem(checkpoint_size_, "more leaves than the log ever leaves unsigned follow here");
    if (size() != checkpoint_size_)
        report_.not_checked.push_back("signature over the leaves from " + std::to_string(checkpoint_size_) +
                                      " on");
    if (cut_short_) report_.not_checked.push_back("what lies behind leaf " + std::to_string(size()));
    report_.size = size();
    report_.root = frontier_.root();
    report_.ok = report_.problems.empty();
    return std::move(report_);
}

}  // namespace

AuditReport verify_audit_log(const std::filesystem::path& dir, const AuditVerification& with)
{
    return Verifier(dir, with).run();
}

}  // namespace jiphyeon
