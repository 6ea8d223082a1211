// Goal: leaves, hashes, proofs, checkpoints and sealed bodies are byte for byte what policy/FORMAT.md says.
// Method: data/audit_golden.json, computed by a program that shares no code; then texts that must be refused.
#include "checkpoint.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>

#include <nlohmann/json.hpp>

#include "audit_format.hpp"
#include "merkle.hpp"
#include "support/temp_dir.hpp"

using namespace jiphyeon;
using nlohmann::json;

namespace {

const json& golden()
{
    static const json values = json::parse(std::ifstream(JIPHYEON_POLICY_TEST_DATA "/audit_golden.json"));
    return values;
}

std::string bytes_of(const json& hex)
{
    const std::string text = hex;
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += 2)
        out += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
    return out;
}

Digest digest_of(const json& hex)
{
    const std::string bytes = bytes_of(hex);
    Digest out{};
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
}

std::vector<Digest> digests_of(const json& list)
{
    std::vector<Digest> out;
    for (const json& item : list) out.push_back(digest_of(item));
    return out;
}

bool refused(const std::function<void()>& act)
{
    try {
        act();
    } catch (const AuditError& e) {
        return e.kind == AuditError::Kind::corrupt;
    }
    return false;
}

std::string replaced(std::string text, const std::string& what, const std::string& with)
{
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), with);
}

}  // namespace

TEST(AuditGolden, LeavesHaveTheseBytesAndHashes)
{
    for (const json& entry : golden()["leaves"]) {
        const json& fields = entry["fields"];
        Leaf leaf;
        leaf.sequence = fields["sequence"];
        leaf.utc_us = fields["utc_us"];
        leaf.boottime_us = fields["boottime_us"];
        leaf.boot_id = fields["boot_id"];
        leaf.actor = fields["actor"];
        leaf.os_user = fields["os_user"];
        leaf.session = fields["session"];
        leaf.origin = fields["origin"];
        leaf.action = fields["action"];
        if (!fields["record"].is_null()) leaf.record = fields["record"].get<std::uint64_t>();
        leaf.outcome = fields["outcome"];
        leaf.objects = fields["objects"].get<std::vector<std::string>>();
        leaf.model_sha256 = fields["model_sha256"];
        leaf.commitment = digest_of(fields["commitment"]);
        leaf.previous = digest_of(fields["previous"]);
        EXPECT_TRUE(leaf.encode() == bytes_of(entry["encoded"])) << fields;
        EXPECT_EQ(crypto::hex(leaf_hash(leaf.encode())), entry["hash"]);
        EXPECT_EQ(Leaf::decode(bytes_of(entry["encoded"])).encode(), bytes_of(entry["encoded"]));
    }
}

TEST(AuditGolden, TreeHasTheseRootsAndProofs)
{
    MerkleFrontier frontier;
    std::vector<Digest> stored, leaves;
    for (const json& entry : golden()["leaves"]) {
        EXPECT_EQ(crypto::hex(frontier.root()), golden()["roots"][frontier.size()]);
        leaves.push_back(digest_of(entry["hash"]));
        for (const Digest& hash : frontier.append(leaves.back())) stored.push_back(hash);
    }
    EXPECT_EQ(crypto::hex(frontier.root()), golden()["roots"].back());
    const MerkleView view([&stored](std::uint64_t place) { return stored.at(place); });
    for (const json& entry : golden()["inclusion_proofs"]) {
        const std::uint64_t leaf = entry["leaf"], size = entry["size"];
        EXPECT_EQ(view.inclusion_proof(leaf, size), digests_of(entry["proof"])) << entry;
        EXPECT_TRUE(verify_inclusion(leaves[leaf], leaf, size, digest_of(golden()["roots"][size]),
                                     digests_of(entry["proof"])));
    }
    for (const json& entry : golden()["consistency_proofs"]) {
        const std::uint64_t from = entry["from"], to = entry["to"];
        EXPECT_EQ(view.consistency_proof(from, to), digests_of(entry["proof"])) << entry;
        EXPECT_TRUE(verify_consistency(from, digest_of(golden()["roots"][from]), to,
                                       digest_of(golden()["roots"][to]), digests_of(entry["proof"])));
    }
}

TEST(AuditGolden, CheckpointOfAnotherProgramIsVerified)
{
    const VerifierKey key = parse_verifier_key(golden()["verifier_key"].get<std::string>());
    const std::string text = golden()["checkpoint"];
    EXPECT_EQ(key.origin, golden()["origin"]);
    EXPECT_EQ(verifier_key(key.origin, key.public_key_der), golden()["verifier_key"]);
    EXPECT_TRUE(checkpoint_signed_by(text, key.public_key_der));
    EXPECT_FALSE(
        checkpoint_signed_by(golden()["checkpoint_of_another_key"].get<std::string>(), key.public_key_der));
    const CheckpointText facts = parse_checkpoint(text);
    EXPECT_EQ(facts.origin, golden()["origin"]);
    EXPECT_EQ(facts.size, golden()["leaves"].size());
    EXPECT_EQ(crypto::hex(facts.root), golden()["roots"].back());
    EXPECT_FALSE(checkpoint_signed_by(replaced(text, "\n7\n", "\n8\n"), key.public_key_der));
}

TEST(AuditGolden, SealedBodiesOfAnotherProgramOpen)
{
    const test::TempDir dir;
    const json& bodies = golden()["bodies"];
    const std::string site = bytes_of(bodies["site_key"]);
    const SecretKey site_key =
        SecretKey::from_bytes({reinterpret_cast<const std::uint8_t*>(site.data()), site.size()});
    const AuditFile keys(dir.path() / "keys", AuditFile::Mode::create);
    const RecordId record = bodies["record"];
    keys.write(key_slot_offset(record), bytes_of(bodies["key_slot"]));
    const SecretKey key = unwrap_key(keys, wrapping_key_of(site_key), record);
    EXPECT_EQ(crypto::open(key, bytes_of(bodies["piece_1"]), body_context(record, FrameKind::piece, 1)),
              bodies["parts"][1]);
    const std::string answer =
        crypto::open(key, bytes_of(bodies["answer"]), body_context(record, FrameKind::answer, 0));
    EXPECT_EQ(answer, bytes_of(bodies["salt"]) + bodies["parts"][2].get<std::string>());
    Commitment commitment(bytes_of(bodies["salt"]));
    for (const json& part : bodies["parts"]) commitment.add(part.get<std::string>());
    EXPECT_EQ(crypto::hex(commitment.finish()), bodies["commitment"]);
}

TEST(Checkpoint, WrittenOneIsReadBackAndSignedByItsKeyAlone)
{
    const crypto::SigningKey signer = crypto::SigningKey::generate();
    const Digest root = crypto::sha256("root");
    const Checkpoint head = sign_checkpoint(signer, "example.com/log", 42, root);
    const CheckpointText facts = parse_checkpoint(head.text);
    EXPECT_EQ(facts.origin, "example.com/log");
    EXPECT_EQ(facts.size, 42u);
    EXPECT_EQ(facts.root, root);
    EXPECT_TRUE(checkpoint_signed_by(head.text, signer.public_key_der()));
    EXPECT_FALSE(checkpoint_signed_by(head.text, crypto::SigningKey::generate().public_key_der()));
}

TEST(Checkpoint, SignaturesOfWitnessesArePassedOver)
{
    const crypto::SigningKey signer = crypto::SigningKey::generate();
    const Checkpoint head = sign_checkpoint(signer, "example.com/log", 42, crypto::sha256("root"));
    const std::string witness = "\xe2\x80\x94 witness.example AAAAAQIDBA==\n";
    const std::size_t signatures = head.text.find("\n\n") + 2;
    std::string with_witness = head.text;
    with_witness.insert(signatures, witness);
    EXPECT_TRUE(checkpoint_signed_by(with_witness, signer.public_key_der()));
    EXPECT_FALSE(checkpoint_signed_by(head.text.substr(0, signatures) + witness, signer.public_key_der()));
}

TEST(Checkpoint, OtherSpellingsAreRefused)
{
    const std::string good = golden()["checkpoint"];
    EXPECT_NO_THROW(parse_checkpoint(good));
    const std::vector<std::string> bad = {"",
                                          "\n",
                                          "\n\n",
                                          "a\n",
                                          good.substr(0, good.find("\n\n") + 1),
                                          replaced(good, "\n7\n", "\n07\n"),
                                          replaced(good, "\n7\n", "\n-7\n"),
                                          replaced(good, "\n7\n", "\n\n"),
                                          replaced(good, "\n7\n", "\n7\r\n"),
                                          replaced(good, "\n7\n", "\n99999999999999999999\n"),
                                          replaced(good, "\n7\n", "\n7\nextension\n"),
                                          replaced(good, "jiphyeon.test", "jiphyeon test"),
                                          replaced(good, "jiphyeon.test", "jiphyeon+test"),
                                          replaced(good, "=\n\n", "\n\n"),
                                          replaced(good, "\n7\n", "\n7\nAAAA\n"),
                                          "\n" + good};
    for (const std::string& text : bad) EXPECT_TRUE(refused([&] { parse_checkpoint(text); })) << text;
    const VerifierKey key = parse_verifier_key(golden()["verifier_key"].get<std::string>());
    for (const char* tail : {"x\n", "\xe2\x80\x94 a\n", "\xe2\x80\x94 a b c\n", "\xe2\x80\x94 a !\n"})
        EXPECT_TRUE(refused([&] {
            checkpoint_signed_by(good.substr(0, good.find("\n\n") + 2) + tail, key.public_key_der);
        })) << tail;
    EXPECT_TRUE(refused([&] { checkpoint_signed_by(good.substr(0, good.size() - 1), key.public_key_der); }));
}

TEST(Checkpoint, VerifierKeyWhoseIdDoesNotFitIsRefused)
{
    const std::string good = golden()["verifier_key"];
    EXPECT_NO_THROW(parse_verifier_key(good + "\n"));
    const std::size_t id = good.find('+') + 1;
    std::string wrong = good;
    wrong[id] = wrong[id] == '0' ? '1' : '0';
    for (const std::string& text :
         {wrong, std::string(), std::string("a+b"), good.substr(0, good.size() - 4)})
        EXPECT_TRUE(refused([&] { parse_verifier_key(text); })) << text;
}
