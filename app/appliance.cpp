#include "appliance.hpp"

#include <chrono>

#include "archive.hpp"
#include "jiphyeon/pii.hpp"
#include "lazy_engine.hpp"
#include "models.hpp"

namespace jiphyeon::app {
namespace {

constexpr const char* kOrigin = "jiphyeon/audit";
// Where somebody always asks, a batch still goes on: a document and a few passages each time.
constexpr std::chrono::seconds kPatienceOfBatches{2};

SecretKey key_of_bodies(const DataFolder& folder)
{
    return crypto::derive(folder.master_key(), "audit bodies");
}

// The key's file is read anew with each connection, so that a changed key needs no restart of ours.
std::unique_ptr<Engine> remote_engine_for(const Config& config)
{
    if (config.llm.file.empty())
        throw CommandError(CommandError::Kind::config,
                           "원격 서버를 쓰려면 같은 모델의 어휘 파일(GGUF)을 models.llm에 적어야 합니다.",
                           "remote.url");
    RemoteOptions options;
    options.url = config.remote.url;
    options.kind = config.remote.kind;
    options.model = config.remote.model;
    options.authorities = config.remote.authorities;
    options.vocabulary = config.llm.file;
    options.vocabulary_sha256 = approved_hash(config.llm);
    options.context_tokens = config.context_tokens;
    options.likeliest = config.remote.likeliest;
    options.first_timeout = std::chrono::seconds(config.remote.first_word_s);
    return std::make_unique<LazyEngine>([options, key_file = config.remote.api_key_file]() mutable {
        if (!key_file.empty()) {
            options.api_key = read_file(key_file);
            options.api_key.resize(options.api_key.find_last_not_of(" \r\n\t") + 1);
        }
        return connect_engine(options);
    });
}

std::unique_ptr<Engine> engine_for(const ModelFile& model, EngineOptions options)
{
    if (model.file.empty()) return nullptr;
    options.sha256 = approved_hash(model);
    return std::make_unique<LazyEngine>([file = model.file, options] {
        return open_explained(file, options, [&] {
            return spawn_engine(own_program(), {"worker", "engine"}, file, options);
        });
    });
}

Embed embed_with(Engine* embedder)
{
    if (!embedder) return {};
    return [embedder](std::span<const std::string> passages) {
        std::vector<std::string> prefixed;
        prefixed.reserve(passages.size());
        for (const std::string& passage : passages) prefixed.push_back("passage: " + passage);
        return embedder->embed(prefixed);
    };
}

Inspection inspect(std::string_view text)
{
    Inspection result;
    if (const auto mark = find_secret_mark(text)) result.secret_mark = mark->what;
    Masked masked = mask(text);
    result.text = std::move(masked.text);
    result.pieces.reserve(masked.pieces.size());
    for (const Masked::Piece& p : masked.pieces)
        result.pieces.push_back({p.start, p.end, p.masked_start, p.masked_end});
    return result;
}

}  // namespace

AuditReport verify_stored_record(const DataFolder& folder, const std::string& remembered,
                                 const std::string& refusal)
{
    const SecretKey bodies = key_of_bodies(folder);
    const crypto::SigningKey signer = crypto::SigningKey::from_pem(folder.unseal("audit"));
    AuditReport report = verify_audit_log(folder.path() / "audit", {.bodies = &bodies,
                                                                    .public_key_der = signer.public_key_der(),
                                                                    .origin = kOrigin,
                                                                    .remembered = remembered,
                                                                    .log_bytes = 0,
                                                                    .progress = {}});
    // A record that does not open is not sound, even where its files taken alone show nothing.
    if (report.problems.empty()) report.problems.push_back({report.size, refusal});
    report.ok = false;
    return report;
}

std::filesystem::path own_program()
{
    return std::filesystem::read_symlink("/proc/self/exe");
}

std::filesystem::path pdf_program()
{
    return own_program().parent_path() / "jiphyeon-pdf";
}

ExtractorOptions extractor_options(unsigned workers)
{
    return {.program = own_program(), .pdf_program = pdf_program(), .tessdata = {}, .workers = workers};
}

Appliance::Appliance(DataFolder folder, OwnerLock lock) : folder_(std::move(folder)), lock_(std::move(lock))
{
    const Config& config = folder_.config();
    index_ = Index::open(folder_.path() / "index", {.master_key = &folder_.master_key()});
    audit_ = AuditLog::open(folder_.path() / "audit", key_of_bodies(folder_),
                            crypto::SigningKey::from_pem(folder_.unseal("audit")), kOrigin);
    EngineOptions llm = llm_options(config);
    llm.prefix_disk_folder = folder_.path() / "run";
    llm_ = config.remote.url.empty() ? engine_for(config.llm, llm) : remote_engine_for(config);
    embedder_ = engine_for(config.embedder, embedder_options(config));
    extractor_ = std::make_unique<Extractor>(extractor_options(config.ingest_workers));
    ingest_ = std::make_unique<Ingest>(
        *index_, *extractor_,
        IngestOptions{.embed = embed_with(embedder_.get()),
                      .embed_model = config.embedder.sha256,
                      .inspect = inspect,
                      .canonical_label = [](std::string_view text) { return Label::parse(text).to_text(); },
                      .give_way =
                          [this] {
                              if (service_) service_->wait_for_quiet(kPatienceOfBatches);
                          }});
    retriever_ = std::make_unique<Retriever>(*index_, llm_.get(), embedder_.get(), RetrieverOptions{});
    archive_ = make_archive(*index_, *extractor_, *ingest_, folder_.config());
    service_ = std::make_unique<Service>(
        ServiceParts{.index = *index_,
                     .retriever = *retriever_,
                     .audit = *audit_,
                     .archive = *archive_,
                     .limits = {.waiting = config.waiting, .session_idle_s = config.session_idle_s},
                     .model_sha256 = config.remote.url.empty() ? config.llm.sha256 : ""});
}

Appliance::~Appliance() = default;

void Appliance::warm_up()
{
    if (embedder_) embedder_->info();
    if (llm_) llm_->info();
}

void Appliance::embed_missing(const std::atomic<bool>& stop)
{
    if (embedder_) ingest_->embed_missing({}, &stop);
}

}  // namespace jiphyeon::app
