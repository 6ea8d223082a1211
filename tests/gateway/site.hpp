// A whole service over a real index and a real record in a temporary folder. Only the language model is made
// up: it says what the test puts into its mouth.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../support/temp_dir.hpp"
#include "jiphyeon/gateway.hpp"

namespace jiphyeon::test {

using Json = nlohmann::ordered_json;

// One token per code point.
class CharacterTokenizer : public Tokenizer {
public:
    std::vector<TokenId> encode(std::string_view text, bool add_special) const override;
    std::string piece(TokenId id) const override;
    std::optional<TokenId> control(std::string_view) const override { return std::nullopt; }
    bool ends_generation(TokenId) const override { return false; }
    std::size_t size() const override { return 0x10000; }
};

// Says `sentences`, one per citation slot, and that the documents hold the answer.
class ScriptedEngine : public Engine {
public:
    ScriptedEngine();
    const ModelInfo& info() const override { return info_; }
    const Tokenizer& tokenizer() const override { return tokenizer_; }
    std::vector<TokenId> chat_prompt(std::span<const ChatTurn> turns) const override;
    Generated generate(const GenerateRequest& request, const GenerateEvents& events) override;
    std::vector<float> next_logits(std::span<const TokenId> prompt, std::string_view cache_domain) override;
    std::vector<float> embed(std::span<const std::string> texts) override;

    std::vector<std::string> sentences;
    // May block or throw; `cancel` is the request's.
    std::function<void(std::size_t sentence, const std::atomic<bool>& cancel)> before_sentence;
    std::vector<std::string> domains;  // cache domains seen
    // From now on it is the engine of this server.
    void be_remote(const std::string& server)
    {
        info_.server = server;
        info_.replayable = false;
    }
    void hold_keys_and_values_in(KvType type) { info_.kv = type; }

private:
    ModelInfo info_;
    CharacterTokenizer tokenizer_;
};

// Passes everything on to the real log until it is told to fail.
class BreakableAudit : public AuditLog {
public:
    explicit BreakableAudit(std::unique_ptr<AuditLog> real) : real_(std::move(real)) {}
    std::atomic<bool> begin_fails = false, append_fails = false, finish_fails = false, note_fails = false;

    RecordId begin(const LeafFacts& facts, std::string_view body) override;
    void append(RecordId record, std::string_view piece) override;
    Receipt finish(RecordId record, const LeafFacts& facts, std::string_view body) override;
    Receipt note(const LeafFacts& facts, std::string_view body) override;
    std::uint64_t size() const override { return real_->size(); }
    Leaf leaf(std::uint64_t sequence) const override { return real_->leaf(sequence); }
    StoredRecord record(RecordId id) const override { return real_->record(id); }
    Receipt erase_body(RecordId id, const LeafFacts& facts) override { return real_->erase_body(id, facts); }
    Checkpoint checkpoint() override { return real_->checkpoint(); }
    std::vector<Digest> inclusion_proof(std::uint64_t leaf, std::uint64_t size) const override
    {
        return real_->inclusion_proof(leaf, size);
    }
    std::vector<Digest> consistency_proof(std::uint64_t from, std::uint64_t to) const override
    {
        return real_->consistency_proof(from, to);
    }
    void backup(const std::filesystem::path& to) const override { real_->backup(to); }
    AuditReport verify(std::string_view remembered,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress) override
    {
        return real_->verify(remembered, progress);
    }

private:
    std::unique_ptr<AuditLog> real_;
};

// An ingest run of ten steps that waits at `step`, and pages of one byte.
class StepArchive : public Archive {
public:
    std::string ingest(std::string_view params, const std::function<void(std::string_view)>& progress,
                       const std::atomic<bool>& stop) override;
    std::string quarantine_json() const override { return R"({"files":[]})"; }
    std::optional<std::string> page_image(const DocumentRecord&, std::uint32_t) override { return "PNG"; }
    std::string models_json() const override { return R"({"models":[]})"; }
    std::function<void(int)> step;
};

struct Site {
    explicit Site(ServiceLimits limits = quick_limits());
    static ServiceLimits quick_limits();

    // A document of one chunk, in force since 2020.
    void put(const std::string& id, const std::string& title, const std::string& label,
             const std::string& text);
    // An account whose password is kPassword and need not be changed.
    void add(const std::string& account, const std::vector<std::string>& roles,
             const std::string& clearance = "public", const std::vector<std::string>& departments = {});
    Caller as(const std::string& account) const;
    Json call(const Caller& caller, const std::string& method, const Json& params = Json::object(),
              const Service::OnEvent& on_event = {});
    Json console(const std::string& method, const Json& params = Json::object());
    std::vector<Leaf> leaves(const std::string& action) const;

    static constexpr const char* kPassword = "바른 비밀번호 하나";

    TempDir dir;
    SecretKey key = SecretKey::random();
    std::unique_ptr<Index> index;
    BreakableAudit audit;
    ScriptedEngine engine;
    Retriever retriever;
    StepArchive archive;
    std::unique_ptr<Service> service;
};

// Runs the call and returns what the caller is told of its failure; a null value where it did not fail.
Json error_of(const std::function<void()>& call);

}  // namespace jiphyeon::test
