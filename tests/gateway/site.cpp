#include "site.hpp"

#include <gtest/gtest.h>

namespace jiphyeon::test {

std::vector<TokenId> CharacterTokenizer::encode(std::string_view text, bool) const
{
    std::vector<TokenId> ids;
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        unsigned value = length == 1 ? lead : lead & (0xFFu >> (length + 1));
        for (std::size_t k = 1; k < length && i + k < text.size(); ++k)
            value = value << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3Fu);
        ids.push_back(static_cast<TokenId>(value & 0xFFFF));
        i += length;
    }
    return ids;
}

std::string CharacterTokenizer::piece(TokenId id) const
{
    const auto value = static_cast<unsigned>(id);
    if (value < 0x80) return {static_cast<char>(value)};
    if (value < 0x800)
        return {static_cast<char>(0xC0 | value >> 6), static_cast<char>(0x80 | (value & 0x3F))};
    return {static_cast<char>(0xE0 | value >> 12), static_cast<char>(0x80 | (value >> 6 & 0x3F)),
            static_cast<char>(0x80 | (value & 0x3F))};
}

ScriptedEngine::ScriptedEngine()
{
    info_.name = "scripted";
    info_.context_tokens = 100'000;
    info_.generates = true;
    info_.replayable = true;
}

std::vector<TokenId> ScriptedEngine::chat_prompt(std::span<const ChatTurn> turns) const
{
    std::string text;
    for (const ChatTurn& turn : turns) text += turn.role + ":" + turn.text + "\n";
    return tokenizer_.encode(text, false);
}

Generated ScriptedEngine::generate(const GenerateRequest& request, const GenerateEvents& events)
{
    domains.push_back(request.cache_domain);
    Generated out;
    const std::atomic<bool> never = false;
    const std::atomic<bool>& cancel = request.cancel != nullptr ? *request.cancel : never;
    for (std::size_t i = 0; i < sentences.size(); ++i) {
        if (before_sentence) before_sentence(i, cancel);
        if (cancel) {
            out.finish = Generated::Finish::cancelled;
            return out;
        }
        if (events.on_text && !events.on_text(sentences[i])) break;
        const std::vector<TokenId> ids = tokenizer_.encode(sentences[i], false);
        out.tokens.insert(out.tokens.end(), ids.begin(), ids.end());
        out.text += sentences[i];
        if (!events.on_slot) continue;
        const GenerateEvents::SlotFill fill = events.on_slot("cite", sentences[i]);
        out.text += fill.text;
        if (fill.stop) break;
    }
    out.logits_hash = crypto::sha256(out.text);
    return out;
}

std::vector<float> ScriptedEngine::next_logits(std::span<const TokenId>, std::string_view)
{
    std::vector<float> logits(tokenizer_.size(), 0.0f);
    logits[static_cast<std::size_t>(tokenizer_.encode("예", false).front())] = 20.0f;
    return logits;
}

std::vector<float> ScriptedEngine::embed(std::span<const std::string>)
{
    return {};
}

namespace {

void fail_if(const std::atomic<bool>& told)
{
    if (told) throw AuditError(AuditError::Kind::io, "told to fail");
}

}  // namespace

RecordId BreakableAudit::begin(const LeafFacts& facts, std::string_view body)
{
    fail_if(begin_fails);
    return real_->begin(facts, body);
}

void BreakableAudit::append(RecordId record, std::string_view piece)
{
    fail_if(append_fails);
    real_->append(record, piece);
}

Receipt BreakableAudit::finish(RecordId record, const LeafFacts& facts, std::string_view body)
{
    fail_if(finish_fails);
    return real_->finish(record, facts, body);
}

Receipt BreakableAudit::note(const LeafFacts& facts, std::string_view body)
{
    fail_if(note_fails);
    return real_->note(facts, body);
}

std::string StepArchive::ingest(std::string_view, const std::function<void(std::string_view)>& progress,
                                const std::atomic<bool>& stop)
{
    int done = 0;
    for (; done < 10 && !stop; ++done) {
        if (step) step(done);
        progress(Json{{"event", "progress"}, {"files_done", done}, {"files_total", 10}}.dump());
    }
    return Json{{"indexed", done}, {"stopped", stop.load()}, {"files", Json::array()}}.dump();
}

ServiceLimits Site::quick_limits()
{
    return {.password_iterations = 1000};
}

Site::Site(ServiceLimits limits)
    : index(Index::open(dir.path() / "index", {.master_key = &key})),
      audit(AuditLog::open(dir.path() / "audit", key, crypto::SigningKey::generate(), "test.example/record")),
      retriever(*index, &engine, nullptr, {}),
      service(std::make_unique<Service>(ServiceParts{.index = *index,
                                                     .retriever = retriever,
                                                     .audit = audit,
                                                     .archive = archive,
                                                     .limits = limits,
                                                     .model_sha256 = ""}))
{
}

void Site::put(const std::string& id, const std::string& title, const std::string& label,
               const std::string& text)
{
    DocumentWrite write;
    write.document.id = id;
    write.document.source_id = id + ".hwpx";
    write.document.title = title;
    write.document.format = "hwpx";
    write.document.label = label;
    write.document.pages = 2;
    write.document.content_sha256 = crypto::hex(crypto::sha256(text));
    write.document.effective_from = day_from_text("2020-01-01");
    Chunk chunk;
    chunk.document_id = id;
    chunk.header = title;
    chunk.text = text;
    chunk.label = label;
    chunk.place.page = 1;
    chunk.place.page_end = 1;
    chunk.place.section = "제7조";
    write.chunks = {chunk};
    write.view = Json{{"blocks", {{{"kind", "paragraph"}, {"text", text}, {"page", 1}}}},
                      {"author", "홍길동"},
                      {"hidden", {{1, 10, 10, 20, 20}}}}
                     .dump();
    write.original = text;
    index->put(write);
}

void Site::add(const std::string& account, const std::vector<std::string>& roles,
               const std::string& clearance, const std::vector<std::string>& departments)
{
    console("add_user", {{"account", account},
                         {"roles", roles},
                         {"clearance", clearance},
                         {"departments", departments},
                         {"password", "처음 받은 비밀번호"}});
    call(as(account), "change_password", {{"old", "처음 받은 비밀번호"}, {"new", kPassword}});
}

Caller Site::as(const std::string& account) const
{
    Caller caller;
    caller.account = account;
    caller.session = "test";
    caller.origin = "192.0.2.7";
    return caller;
}

Json Site::call(const Caller& caller, const std::string& method, const Json& params,
                const Service::OnEvent& on_event)
{
    return Json::parse(service->call(caller, method, params.dump(), on_event));
}

Json Site::console(const std::string& method, const Json& params)
{
    return call(Caller::console("operator"), method, params);
}

std::vector<Leaf> Site::leaves(const std::string& action) const
{
    std::vector<Leaf> found;
    for (std::uint64_t i = 0; i < audit.size(); ++i)
        if (Leaf leaf = audit.leaf(i); leaf.action == action) found.push_back(std::move(leaf));
    return found;
}

Json error_of(const std::function<void()>& call)
{
    try {
        call();
    } catch (const std::exception& error) {
        return Json::parse(error_json(error)).at("error");
    }
    return nullptr;
}

}  // namespace jiphyeon::test
