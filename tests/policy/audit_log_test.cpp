// Goal: what is acknowledged is there, unchanged and provable; what is not can be told from tampering.
// Method: real folders; kills are copies of the folder taken while the log is open.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "audit_format.hpp"
#include "checkpoint.hpp"
#include "jiphyeon/audit.hpp"
#include "support/temp_dir.hpp"

using namespace jiphyeon;
namespace fs = std::filesystem;

namespace {

constexpr const char* kOrigin = "jiphyeon.test/audit";

struct Site {
    test::TempDir folder;
    SecretKey bodies = SecretKey::random();
    std::string pem = crypto::SigningKey::generate().to_pem();

    fs::path dir() const { return folder.path() / "audit"; }
    std::unique_ptr<AuditLog> open() const { return open_at(dir()); }
    std::unique_ptr<AuditLog> open_at(const fs::path& path) const
    {
        return AuditLog::open(path, bodies, crypto::SigningKey::from_pem(pem), kOrigin);
    }
    std::string public_key() const { return crypto::SigningKey::from_pem(pem).public_key_der(); }
    // What a kill leaves, save what only the page cache had: a copy while the log is open.
    fs::path killed_copy(const std::string& name) const
    {
        fs::copy(dir(), folder.path() / name, fs::copy_options::recursive);
        return folder.path() / name;
    }
    AuditReport verify(const fs::path& path, const std::string& remembered = {}) const
    {
        return verify_audit_log(path, {.bodies = &bodies,
                                       .public_key_der = public_key(),
                                       .origin = kOrigin,
                                       .remembered = remembered,
                                       .progress = {}});
    }
};

std::string first_problem(const AuditReport& report)
{
    return report.problems.empty() ? ""
                                   : std::to_string(report.problems[0].leaf) + ": " + report.problems[0].what;
}

AuditError::Kind kind_thrown(const std::function<void()>& act)
{
    try {
        act();
    } catch (const AuditError& e) {
        return e.kind;
    }
    ADD_FAILURE() << "nothing was thrown";
    return AuditError::Kind::io;
}

std::string read_all(const fs::path& path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write_all(const fs::path& path, std::string_view bytes)
{
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// While it lives no file of this process grows beyond `bytes`.
class FileSizeLimit {
public:
    explicit FileSizeLimit(std::uint64_t bytes)
    {
        ::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before_);
        rlimit limit = before_;
        limit.rlim_cur = bytes;
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
    ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

private:
    rlimit before_{};
};

LeafFacts facts(const std::string& actor)
{
    return {.actor = actor, .os_user = "jiphyeon", .session = "s1", .origin = "127.0.0.1"};
}

}  // namespace

TEST(AuditLeaf, DecodesWhatItEncodesAndNothingElse)
{
    Leaf leaf{.sequence = 7,
              .utc_us = -1,
              .boottime_us = 1'700'000'000'000'000,
              .boot_id = "b",
              .actor = "김주무관",
              .os_user = "root",
              .session = "",
              .origin = "10.0.0.1",
              .action = "answered",
              .record = 5,
              .outcome = "not_found",
              .objects = {"doc:1", "", "doc:\n2"},
              .model_sha256 = "ab"};
    leaf.commitment.fill(1);
    leaf.previous.fill(2);
    const std::string bytes = leaf.encode();
    const Leaf again = Leaf::decode(bytes);
    EXPECT_EQ(again.encode(), bytes);
    EXPECT_EQ(again.utc_us, -1);
    EXPECT_EQ(again.actor, "김주무관");
    EXPECT_EQ(again.record, 5u);
    EXPECT_EQ(again.objects, leaf.objects);
    leaf.record.reset();
    EXPECT_EQ(Leaf::decode(leaf.encode()).record, std::nullopt);

    for (std::size_t length = 0; length < bytes.size(); ++length)
        EXPECT_EQ(kind_thrown([&] { Leaf::decode(bytes.substr(0, length)); }), AuditError::Kind::corrupt)
            << length;
    EXPECT_EQ(kind_thrown([&] { Leaf::decode(bytes + '\0'); }), AuditError::Kind::corrupt);
    // Whatever one changed byte makes of it, it never decodes to the same leaf, and re-encodes to its own
    // bytes.
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        std::string changed = bytes;
        changed[i] = static_cast<char>(changed[i] ^ 0x41);
        try {
            EXPECT_EQ(Leaf::decode(changed).encode(), changed) << i;
        } catch (const AuditError& e) {
            EXPECT_EQ(e.kind, AuditError::Kind::corrupt);
        }
    }
}

TEST(AuditLog, KeepsARecordFromQuestionToAnswer)
{
    const Site site;
    {
        const auto log = site.open();
        const RecordId id = log->begin(facts("kim"), "출장비는 언제 정산하나요?");
        log->append(id, "첫 문장. [1]");
        StoredRecord open = log->record(id);
        EXPECT_FALSE(open.closed);
        EXPECT_EQ(open.question, "출장비는 언제 정산하나요?");
        EXPECT_EQ(open.pieces, std::vector<std::string>{"첫 문장. [1]"});
        log->append(id, "둘째 문장. [2]");
        LeafFacts end = facts("kim");
        end.outcome = "answered";
        end.objects = {"doc:42"};
        const Receipt receipt = log->finish(id, end, "{\"sentences\":2}");
        EXPECT_EQ(receipt.leaf, 1u);
        EXPECT_EQ(receipt.size, 2u);
        EXPECT_EQ(log->size(), 2u);
    }
    const auto log = site.open();
    EXPECT_EQ(log->size(), 2u);  // a clean end adds nothing
    const StoredRecord record = log->record(0);
    EXPECT_EQ(record.opened.action, "asked");
    EXPECT_EQ(record.opened.actor, "kim");
    ASSERT_TRUE(record.closed);
    EXPECT_EQ(record.closed->action, "answered");
    EXPECT_EQ(record.closed->record, 0u);
    EXPECT_EQ(record.closed->outcome, "answered");
    EXPECT_EQ(record.closed->objects, std::vector<std::string>{"doc:42"});
    EXPECT_EQ(record.closed->previous, leaf_hash(record.opened.encode()));
    EXPECT_EQ(record.pieces, (std::vector<std::string>{"첫 문장. [1]", "둘째 문장. [2]"}));
    EXPECT_EQ(record.body, "{\"sentences\":2}");
    const AuditReport report = log->verify();
    EXPECT_TRUE(report.ok) << first_problem(report);
    EXPECT_EQ(report.records, 1u);
}

TEST(AuditLog, NoBodyLiesOnTheDiskInClear)
{
    const Site site;
    {
        const auto log = site.open();
        const RecordId id = log->begin(facts("kim"), "planted-question");
        log->append(id, "planted-piece");
        log->finish(id, facts("kim"), "planted-answer");
        log->note(facts("kim"), "planted-note");
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(site.dir()))
        EXPECT_EQ(read_all(entry.path()).find("planted"), std::string::npos) << entry.path();
    EXPECT_NE(read_all(site.dir() / "log").find("kim"), std::string::npos);  // leaves are readable
}

TEST(AuditLog, ReceiptsProveTheirLeaves)
{
    const Site site;
    const auto log = site.open();
    std::vector<Receipt> receipts;
    for (int i = 0; i < 30; ++i) receipts.push_back(log->note(facts("kim"), "act " + std::to_string(i)));
    for (const Receipt& receipt : receipts) {
        EXPECT_EQ(receipt.size, receipt.leaf + 1);
        const Digest hash = leaf_hash(log->leaf(receipt.leaf).encode());
        EXPECT_TRUE(verify_inclusion(hash, receipt.leaf, receipt.size, receipt.root,
                                     log->inclusion_proof(receipt.leaf, receipt.size)));
        EXPECT_TRUE(verify_consistency(receipt.size, receipt.root, 30, receipts.back().root,
                                       log->consistency_proof(receipt.size, 30)));
    }
    EXPECT_EQ(kind_thrown([&] { log->inclusion_proof(30, 30); }), AuditError::Kind::not_found);
    EXPECT_EQ(kind_thrown([&] { log->inclusion_proof(0, 31); }), AuditError::Kind::not_found);
    EXPECT_EQ(kind_thrown([&] { log->consistency_proof(0, 31); }), AuditError::Kind::not_found);
    EXPECT_EQ(kind_thrown([&] { static_cast<void>(log->leaf(30)); }), AuditError::Kind::not_found);
    EXPECT_EQ(kind_thrown([&] { static_cast<void>(log->record(99)); }), AuditError::Kind::not_found);
}

TEST(AuditLog, CheckpointIsSignedAndStaysTheSameForTheSameSize)
{
    const Site site;
    const auto log = site.open();
    log->note(facts("kim"), "x");
    const Checkpoint head = log->checkpoint();
    EXPECT_EQ(head.size, 1u);
    EXPECT_EQ(log->checkpoint().text, head.text);
    EXPECT_TRUE(checkpoint_signed_by(head.text, site.public_key()));
    const CheckpointText facts_of_head = parse_checkpoint(head.text);
    EXPECT_EQ(facts_of_head.origin, kOrigin);
    EXPECT_EQ(facts_of_head.root, head.root);
    log->note(facts("kim"), "y");
    EXPECT_EQ(log->checkpoint().size, 2u);
    EXPECT_TRUE(log->verify(head.text).ok);
}

TEST(AuditLog, ErasedBodyIsGoneAndTheTreeStillProves)
{
    const Site site;
    {
        const auto log = site.open();
        const RecordId id = log->begin(facts("kim"), "지울 질문");
        EXPECT_EQ(kind_thrown([&] { log->erase_body(id, facts("lee")); }),
                  AuditError::Kind::not_found);  // open
        log->append(id, "지울 답");
        log->finish(id, facts("kim"), "지울 본문");
        log->note(facts("kim"), "남을 기록");
        LeafFacts why = facts("lee");
        why.outcome = "retention";
        const Receipt receipt = log->erase_body(id, why);
        EXPECT_EQ(log->leaf(receipt.leaf).action, "erased");
        EXPECT_EQ(log->leaf(receipt.leaf).record, id);
        EXPECT_EQ(kind_thrown([&] { static_cast<void>(log->record(id)); }), AuditError::Kind::erased);
        EXPECT_EQ(kind_thrown([&] { log->erase_body(id, why); }), AuditError::Kind::erased);
        EXPECT_EQ(kind_thrown([&] { log->erase_body(1, why); }),
                  AuditError::Kind::not_found);  // an "answered"
        EXPECT_EQ(log->leaf(id).actor, "kim");
        EXPECT_EQ(log->record(2).question, "남을 기록");
        const AuditReport report = log->verify();
        EXPECT_TRUE(report.ok) << first_problem(report);
    }
    const AuditFile keys(site.dir() / "keys", AuditFile::Mode::read);
    EXPECT_EQ(key_state(keys, 0), KeyState::erased);
    EXPECT_EQ(keys.read(key_slot_offset(0) + 1, kKeySlotBytes - 1), std::string(kKeySlotBytes - 1, '\0'));
    EXPECT_EQ(key_state(keys, 2), KeyState::present);
    EXPECT_TRUE(site.verify(site.dir()).ok);
}

TEST(AuditLog, ReadingAndVerifyingChangeNoFile)
{
    const Site site;
    {
        const auto log = site.open();
        log->finish(log->begin(facts("kim"), "q"), facts("kim"), "a");
    }
    std::map<fs::path, std::string> before;
    for (const fs::directory_entry& entry : fs::directory_iterator(site.dir()))
        before[entry.path()] = read_all(entry.path());
    {
        const auto log = site.open();
        EXPECT_EQ(log->record(0).body, "a");
        EXPECT_TRUE(log->verify().ok);
        log->inclusion_proof(0, 2);
    }
    for (const auto& [path, bytes] : before) EXPECT_TRUE(read_all(path) == bytes) << path;
}

TEST(AuditLog, RecordsOpenAtACleanEndAreClosedByIt)
{
    const Site site;
    {
        site.open()->begin(facts("kim"), "question");
    }
    const auto log = site.open();
    EXPECT_EQ(log->size(), 2u);
    EXPECT_EQ(log->leaf(1).action, "interrupted");
    EXPECT_EQ(log->leaf(1).record, 0u);
    EXPECT_TRUE(log->verify().ok);
    EXPECT_EQ(kind_thrown([&] { log->append(0, "late"); }), AuditError::Kind::not_found);
}

TEST(AuditLog, KilledLogClosesItsRecordsAfterAnUncleanStart)
{
    const Site site;
    const auto log = site.open();
    const RecordId done = log->begin(facts("kim"), "done");
    log->finish(done, facts("kim"), "answer");
    const RecordId cut = log->begin(facts("kim"), "cut");
    log->append(cut, "shown");
    log->append(cut, "shown too");
    const fs::path copy = site.killed_copy("killed");

    const auto again = site.open_at(copy);
    ASSERT_EQ(again->size(), 5u);
    EXPECT_EQ(again->leaf(3).action, "unclean start");
    EXPECT_EQ(again->leaf(3).objects, (std::vector<std::string>{"acknowledged 3", "found 3", "cut bytes 0"}));
    EXPECT_EQ(again->leaf(4).action, "interrupted");
    EXPECT_EQ(again->leaf(4).record, cut);
    EXPECT_EQ(again->record(cut).pieces, (std::vector<std::string>{"shown", "shown too"}));
    EXPECT_EQ(again->record(done).body, "answer");
    const AuditReport report = again->verify();
    EXPECT_TRUE(report.ok) << first_problem(report);
}

// Every length that a kill can leave of the last call: it is there as a whole or not at all, and what was
// acknowledged before is there in every case.
TEST(AuditLog, TornTailIsCutAndReported)
{
    const Site site;
    auto log = site.open();
    const RecordId id = log->begin(facts("kim"), "question");
    const fs::path before = site.killed_copy("before");
    log->append(id, "a piece that the kill cuts");
    const std::string whole = read_all(site.dir() / "log");
    const std::uint64_t start = fs::file_size(before / "log");
    for (std::uint64_t length = start; length <= whole.size(); ++length) {
        if (length > start + 25 && length + 10 < whole.size() && length % 7 != 0) continue;
        const fs::path dir = site.folder.path() / std::to_string(length);
        fs::copy(before, dir, fs::copy_options::recursive);
        write_all(dir / "log", std::string_view(whole).substr(0, length));
        const auto again = site.open_at(dir);
        const std::string cut = length == whole.size() ? "0" : std::to_string(length - start);
        EXPECT_EQ(again->leaf(1).action, "unclean start");
        EXPECT_EQ(again->leaf(1).objects[2], "cut bytes " + cut);
        EXPECT_EQ(again->record(id).pieces.size(), length == whole.size() ? 1u : 0u);
        EXPECT_TRUE(again->verify().ok) << length;
    }
}

TEST(AuditLog, LossOfWhatWasAcknowledgedIsRefused)
{
    const Site site;
    {
        const auto log = site.open();
        for (int i = 0; i < 5; ++i) log->note(facts("kim"), "act");
    }
    const std::string whole = read_all(site.dir() / "log");
    write_all(site.dir() / "log", std::string_view(whole).substr(0, whole.size() - 1));
    EXPECT_EQ(kind_thrown([&] { site.open(); }), AuditError::Kind::rolled_back);
    EXPECT_FALSE(site.verify(site.dir()).ok);
    fs::remove(site.dir() / "log");
    EXPECT_EQ(kind_thrown([&] { site.open(); }), AuditError::Kind::rolled_back);
    write_all(site.dir() / "log", whole);
    fs::remove(site.dir() / "head");
    EXPECT_THROW(site.open(), AuditError);
}

TEST(AuditLog, OpensUnderItsOwnKeysOnly)
{
    Site site;
    {
        site.open()->note(facts("kim"), "act");
    }
    const auto open_with = [&site](const SecretKey& bodies, crypto::SigningKey signer, const char* origin) {
        return kind_thrown([&] { AuditLog::open(site.dir(), bodies, std::move(signer), origin); });
    };
    EXPECT_EQ(open_with(SecretKey::random(), crypto::SigningKey::from_pem(site.pem), kOrigin),
              AuditError::Kind::corrupt);
    EXPECT_EQ(open_with(site.bodies, crypto::SigningKey::generate(), kOrigin), AuditError::Kind::corrupt);
    EXPECT_EQ(open_with(site.bodies, crypto::SigningKey::from_pem(site.pem), "other"),
              AuditError::Kind::corrupt);
    EXPECT_EQ(open_with(site.bodies, crypto::SigningKey::from_pem(site.pem), "two words"),
              AuditError::Kind::corrupt);
    const auto held = site.open();
    EXPECT_EQ(kind_thrown([&] { site.open(); }), AuditError::Kind::io);  // one owner at a time
}

TEST(AuditLog, AnotherFormatNumberIsRefusedByName)
{
    const Site site;
    {
        site.open()->note(facts("kim"), "act");
    }
    std::string log = read_all(site.dir() / "log");
    log[8] = 2;
    write_all(site.dir() / "log", log);
    EXPECT_EQ(kind_thrown([&] { site.open(); }), AuditError::Kind::wrong_version);
}

TEST(AuditLog, LostDerivedFilesAreMadeAgain)
{
    const Site site;
    {
        const auto log = site.open();
        for (int i = 0; i < 9; ++i) log->finish(log->begin(facts("kim"), "q"), facts("kim"), "a");
    }
    const std::string tree = read_all(site.dir() / "tree"), places = read_all(site.dir() / "places");
    fs::remove(site.dir() / "tree");
    fs::remove(site.dir() / "places");
    EXPECT_EQ(site.open()->size(), 18u);
    EXPECT_TRUE(read_all(site.dir() / "tree") == tree);
    EXPECT_TRUE(read_all(site.dir() / "places") == places);
    // A tree file of the right length, wrong in a hash that the root is made of: seen at once.
    std::string wrong = tree;
    wrong[wrong.size() - 1] = static_cast<char>(wrong.back() ^ 1);
    write_all(site.dir() / "tree", wrong);
    EXPECT_EQ(site.open()->size(), 18u);
    EXPECT_TRUE(read_all(site.dir() / "tree") == tree);
    // Wrong deeper down: seen by verification.
    wrong = tree;
    wrong[kFileHeaderBytes + 5] = static_cast<char>(wrong[kFileHeaderBytes + 5] ^ 1);
    write_all(site.dir() / "tree", wrong);
    EXPECT_EQ(first_problem(site.open()->verify()), "0: the tree file differs from the leaves at hash 0");
}

TEST(AuditLog, BackupOfALogInUseOpensAsALog)
{
    const Site site;
    const auto log = site.open();
    for (int i = 0; i < 3; ++i) log->finish(log->begin(facts("kim"), "q"), facts("kim"), "a");
    const Checkpoint head = log->checkpoint();
    const RecordId open = log->begin(facts("kim"), "open");
    const fs::path to = site.folder.path() / "backup" / "audit";
    log->backup(to);
    log->finish(open, facts("kim"), "later");
    EXPECT_EQ(kind_thrown([&] { log->backup(to); }), AuditError::Kind::io);
    const AuditReport as_copied = site.verify(to, head.text);
    EXPECT_TRUE(as_copied.ok) << first_problem(as_copied);
    const auto copy = site.open_at(to);
    EXPECT_EQ(copy->leaf(copy->size() - 1).action, "interrupted");
    EXPECT_EQ(copy->record(4).body, "a");
    EXPECT_TRUE(copy->verify(head.text).ok);
}

TEST(AuditLog, WhatCannotBeRecordedIsRefusedAndTheLogGoesOn)
{
    const Site site;
    const auto log = site.open();
    LeafFacts huge = facts("kim");
    huge.outcome = std::string(70'000, 'x');
    EXPECT_EQ(kind_thrown([&] { log->begin(huge, "q"); }), AuditError::Kind::io);
    const RecordId id = log->begin(facts("kim"), "q");
    EXPECT_EQ(kind_thrown([&] { log->finish(id, huge, "a"); }), AuditError::Kind::io);
    log->append(id, "piece");
    log->finish(id, facts("kim"), "a");
    EXPECT_EQ(log->size(), 2u);
    EXPECT_TRUE(log->verify().ok);
}

TEST(AuditLog, EveryManyLeavesStandUnderASignature)
{
    const Site site;
    const auto log = site.open();
    std::vector<std::thread> threads;  // they share their syncs
    for (int t = 0; t < 10; ++t)
        threads.emplace_back([&log] {
            for (int i = 0; i < 55; ++i) log->note(facts("kim"), "");
        });
    for (std::thread& thread : threads) thread.join();
    const fs::path copy = site.killed_copy("killed");
    const AuditFile file(copy / "log", AuditFile::Mode::read);
    std::uint64_t checkpoints = 0;
    for (std::uint64_t at = kFileHeaderBytes; at < file.size();) {
        const std::optional<Frame> frame = read_frame(file, at, file.size());
        ASSERT_TRUE(frame);
        checkpoints += frame->kind == FrameKind::checkpoint;
        at = frame->end();
    }
    EXPECT_GE(checkpoints, 3u);
}

// Threads append, close, read and prove at once; then every record is there with its own pieces in their
// order.
TEST(AuditLog, ThreadsKeepTheirRecordsApart)
{
    const Site site;
    constexpr int kThreads = 4, kRounds = 25;
    std::vector<std::vector<RecordId>> ids(kThreads);
    {
        const auto log = site.open();
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < kRounds; ++i) {
                    const std::string name = std::to_string(t) + "/" + std::to_string(i);
                    const RecordId id = log->begin(facts(name), name);
                    log->append(id, name + " first");
                    log->append(id, name + " second");
                    const Receipt receipt = log->finish(id, facts(name), name + " end");
                    const Digest hash = leaf_hash(log->leaf(receipt.leaf).encode());
                    EXPECT_TRUE(verify_inclusion(hash, receipt.leaf, receipt.size, receipt.root,
                                                 log->inclusion_proof(receipt.leaf, receipt.size)));
                    EXPECT_EQ(log->record(id).pieces.size(), 2u);
                    if (i % 10 == 3) log->checkpoint();
                    if (i % 10 == 7) log->erase_body(id, facts(name));
                    ids[static_cast<std::size_t>(t)].push_back(id);
                }
            });
        }
        std::atomic<bool> done = false;
        std::thread verifier([&] {
            while (!done) {
                const AuditReport report = log->verify();
                EXPECT_TRUE(report.ok) << first_problem(report);
            }
        });
        for (std::thread& thread : threads) thread.join();
        done = true;
        verifier.join();
    }
    const auto log = site.open();
    std::set<RecordId> distinct;
    for (int t = 0; t < kThreads; ++t) {
        for (int i = 0; i < kRounds; ++i) {
            const RecordId id = ids[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)];
            distinct.insert(id);
            const std::string name = std::to_string(t) + "/" + std::to_string(i);
            if (i % 10 == 7) {
                EXPECT_EQ(kind_thrown([&] { static_cast<void>(log->record(id)); }), AuditError::Kind::erased);
                continue;
            }
            const StoredRecord record = log->record(id);
            EXPECT_EQ(record.question, name);
            EXPECT_EQ(record.pieces, (std::vector<std::string>{name + " first", name + " second"}));
            EXPECT_EQ(record.body, name + " end");
        }
    }
    EXPECT_EQ(distinct.size(), std::size_t{kThreads * kRounds});
    const AuditReport report = log->verify();
    EXPECT_TRUE(report.ok) << first_problem(report);
    EXPECT_EQ(report.records, std::uint64_t{kThreads * kRounds});
}

// A full device: the first failed write is the last, reading goes on, and reopening finds all that was
// acknowledged. The file-size limit of the process stands for the device.
TEST(AuditLog, FailedWritePoisonsTheLogUntilItIsOpenedAgain)
{
    const Site site;
    std::uint64_t acknowledged = 0;
    {
        const auto log = site.open();
        log->note(facts("kim"),
                  std::string(10'000, 'f'));  // the log is longer than the head, which grows no more
        const FileSizeLimit limit(fs::file_size(site.dir() / "log") + 700);
        EXPECT_EQ(kind_thrown([&] {
                      for (;;) {
                          log->note(facts("kim"), std::string(300, 'x'));
                          ++acknowledged;
                      }
                  }),
                  AuditError::Kind::io);
        EXPECT_EQ(kind_thrown([&] { log->note(facts("kim"), ""); }), AuditError::Kind::io);
        EXPECT_EQ(kind_thrown([&] { log->checkpoint(); }), AuditError::Kind::io);
        EXPECT_EQ(log->record(0).question.size(), 10'000u);
    }
    const auto log = site.open();
    EXPECT_EQ(log->leaf(1 + acknowledged).action, "unclean start");
    EXPECT_NO_THROW(log->note(facts("kim"), "again"));
    EXPECT_TRUE(log->verify().ok);
}
