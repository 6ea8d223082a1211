// The run over many files. Files are read ahead by a few threads (each waits on a parser child); what they
// find is inspected, cut and stored by one thread in the order of names, so that the result does not depend
// on timing. A container (archive, mail, corpus) gets its own row last: a run that is cut off inside comes
// back to it.
#include <algorithm>
#include <chrono>
#include <deque>
#include <fstream>
#include <future>
#include <mutex>
#include <set>
#include <sstream>
#include <utility>

#include "corpus.hpp"
#include "embedding.hpp"
#include "journal.hpp"
#include "masking.hpp"
#include "parse.hpp"
#include "sources.hpp"
#include "versions.hpp"

namespace jiphyeon {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kReadAhead = 3;
constexpr unsigned kContainerDepthMax = 4;
constexpr std::uint64_t kContainedBytesMax = 2ull << 30;  // of all files inside one file
constexpr std::size_t kIdLetters = 16;

std::string sha256_hex(std::string_view bytes)
{
    const Digest digest = crypto::sha256(bytes);
    return crypto::hex(digest);
}

std::int64_t now_us()
{
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

// One file on its way: what the reading threads made of it.
struct Read {
    std::string bytes, sha256;
    bool same = false;  // as the journal knows it: not parsed
    std::optional<Extraction> extraction;
};

}  // namespace

struct Ingest::State {
    Index& index;
    Extractor& extractor;
    IngestOptions options;
    std::mutex running;
};

namespace {

class Run {
public:
    Run(Index& index, Extractor& extractor, const IngestOptions& options, const RunOptions& run,
        const std::function<void(const IngestProgress&)>& progress, const std::atomic<bool>* stop)
        : index_(index),
          extractor_(extractor),
          options_(options),
          run_(run),
          progress_(progress),
          stop_(stop),
          journal_(index),
          versions_(index),
          labels_(options.canonical_label)
    {
        for (JournalRow& row : journal_.all()) {
            if (!row.source_id.empty()) key_of_source_.emplace(row.source_id, row.key);
            std::string key = row.key;
            rows_.emplace(std::move(key), std::move(row));
        }
        if (options_.embed) embedding_.emplace(index_, options_);
    }
    IngestReport run(std::span<const std::filesystem::path> paths);

private:
    struct Entry {  // a file, a member, or a corpus line
        std::string key, path, source_id, sha256, label;
        unsigned depth = 0;
    };
    std::future<Read> read_ahead(const Source& source);
    void take(const Source& source, Read read);
    void take_bytes(Entry entry, std::string_view bytes, Extraction extraction);
    void take_members(const Entry& container, Document& document, const std::optional<NotRead>& refused);
    void take_corpus(const Source& source);
    void take_line(const Source& source, const std::string& line, std::size_t number,
                   const std::string& label, bool deferred);
    void store(const Entry& entry, Document& document, std::string_view bytes, std::string supersedes,
               bool by_text, std::uint32_t masked);
    void settle(const Entry& entry, FileState state, std::string reason, const std::string& document_id,
                bool journaled = true);
    void not_read(const Entry& entry, const NotRead& why);
    void report_unchanged(const JournalRow& row);
    bool relabel(const Entry& entry, const JournalRow& row);
    bool final_row(const JournalRow& row) const;
    std::string label_of(const std::filesystem::path& file);
    std::string source_for(const Source& source);
    bool stopped() const { return stop_ != nullptr && *stop_; }
    void tell(const std::string& current);
    void wait_for_vectors();

    Index& index_;
    Extractor& extractor_;
    const IngestOptions& options_;
    const RunOptions& run_;
    const std::function<void(const IngestProgress&)>& progress_;
    const std::atomic<bool>* stop_;
    Journal journal_;
    Versions versions_;
    FolderLabels labels_;
    std::map<std::string, JournalRow> rows_;
    std::map<std::string, std::string> key_of_source_;
    std::optional<BackgroundEmbedding> embedding_;
    IngestReport report_;
    IngestProgress shown_;
    Clock::time_point begin_ = Clock::now();
    std::uint64_t contained_bytes_ = 0;
    std::vector<std::pair<std::string, std::size_t>> deferred_;  // corpus lines whose predecessor comes later
};

// A refusal holds for these bytes until a newer reader sees them; a quarantine until somebody asks again.
bool Run::final_row(const JournalRow& row) const
{
    if (row.state == FileState::indexed) return true;
    if (row.reader < kReaderVersion) return false;
    return row.state == FileState::refused || !run_.retry;
}

std::string Run::label_of(const std::filesystem::path& file)
{
    return run_.label.empty() ? labels_.of(file) : labels_.canonical(run_.label);
}

// Two archives may hold files of the same name. A file that was moved keeps its name; a second one gets its
// folder's before it.
std::string Run::source_for(const Source& source)
{
    const auto row = rows_.find(source.key);
    if (row != rows_.end() && !row->second.source_id.empty()) return row->second.source_id;
    std::string wanted = source.source_id;
    std::filesystem::path above = source.key;  // ends as the folder that holds the source
    for (std::filesystem::path part = wanted; !part.empty(); part = part.parent_path())
        above = above.parent_path();
    for (;;) {
        const auto owner = key_of_source_.find(wanted);
        std::error_code error;
        if (owner == key_of_source_.end() || owner->second == source.key ||
            !std::filesystem::exists(owner->second, error))
            break;
        if (!above.has_filename()) {
            wanted = source.key;
            break;
        }
        wanted = above.filename().string() + "/" + wanted;
        above = above.parent_path();
    }
    key_of_source_[wanted] = source.key;
    return wanted;
}

std::future<Read> Run::read_ahead(const Source& source)
{
    const auto row = rows_.find(source.key);
    std::optional<JournalRow> known;
    if (row != rows_.end() && final_row(row->second)) known = row->second;
    return std::async(std::launch::async, [this, source, known = std::move(known)] {
        Read read;
        if (source.link || is_corpus(source.file)) return read;
        std::ifstream in(source.file, std::ios::binary);
        std::ostringstream all;
        all << in.rdbuf();
        if (!in && !in.eof()) {
            read.extraction = Extraction{
                {}, NotRead{false, "io", "파일을 읽을 수 없습니다 (권한이나 저장 장치를 확인하십시오)."}};
            return read;
        }
        read.bytes = std::move(all).str();
        read.sha256 = sha256_hex(read.bytes);
        read.same = known && known->sha256 == read.sha256;
        if (!read.same) read.extraction = extractor_.extract(source.file.filename().string(), read.bytes);
        return read;
    });
}

void Run::tell(const std::string& current)
{
    if (!progress_) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    shown_.current = current;
    shown_.files_done = report_.files.size();
    shown_.files_total = std::max(shown_.files_total, shown_.files_done);
    shown_.pages_done = report_.pages;
    if (embedding_) {
        shown_.embedded = embedding_->embedded();
        shown_.to_embed = std::max(report_.chunks, shown_.embedded);
    }
    shown_.files_per_s = seconds > 0 ? static_cast<double>(shown_.files_done) / seconds : 0;
    shown_.seconds_left.reset();
    if (shown_.files_done >= 3 && seconds > 1) {
        double left = static_cast<double>(shown_.files_total - shown_.files_done) / shown_.files_per_s;
        if (shown_.embedded >= 32)
            left = std::max(left, seconds * static_cast<double>(shown_.to_embed - shown_.embedded) /
                                      static_cast<double>(shown_.embedded));
        shown_.seconds_left = left;
    }
    progress_(shown_);
}

void Run::settle(const Entry& entry, FileState state, std::string reason, const std::string& document_id,
                 bool journaled)
{
    switch (state) {
        case FileState::indexed:
            ++report_.indexed;
            break;
        case FileState::unchanged:
            ++report_.unchanged;
            break;
        case FileState::refused:
            ++report_.refused;
            break;
        case FileState::quarantined:
            ++report_.quarantined;
            break;
    }
    report_.files.push_back({entry.path, state, reason, document_id});
    if (!journaled) return;
    const JournalRow row{entry.key,   entry.path,      state,       std::move(reason), entry.sha256,
                         entry.label, entry.source_id, document_id, kReaderVersion};
    journal_.put(row);
    rows_[entry.key] = row;
}

void Run::not_read(const Entry& entry, const NotRead& why)
{
    settle(entry, why.refused ? FileState::refused : FileState::quarantined, why.reason, "");
}

void Run::report_unchanged(const JournalRow& row)
{
    const Entry entry{row.key, row.path, row.source_id, row.sha256, row.label, 0};
    settle(entry, row.state == FileState::indexed ? FileState::unchanged : row.state, row.reason,
           row.document_id, false);
}

bool Run::relabel(const Entry& entry, const JournalRow& row)
{
    if (row.label == entry.label) return false;
    if (!row.document_id.empty()) index_.set_label(row.document_id, entry.label);
    settle(entry, FileState::indexed, "표지만 바꾸었습니다.", row.document_id);
    if (embedding_) embedding_->more();
    return true;
}

void Run::take(const Source& source, Read read)
{
    Entry entry;
    entry.key = source.key;
    entry.path = source.path;
    entry.sha256 = read.sha256;
    if (source.link) {
        settle(entry, FileState::refused, "바로 가기(심볼릭 링크)는 따라가지 않습니다.", "", false);
        return;
    }
    try {
        entry.label = label_of(source.file);
    } catch (const Unreadable& e) {
        settle(entry, FileState::refused, e.not_read.reason, "", false);
        return;
    }
    entry.source_id = source_for(source);
    contained_bytes_ = 0;
    if (!read.same) {
        take_bytes(std::move(entry), read.bytes, std::move(*read.extraction));
        return;
    }
    // Unchanged, and so is all that it contains.
    std::vector<JournalRow> rows = {rows_.at(source.key)};
    for (auto it = rows_.lower_bound(source.key + "!/");
         it != rows_.end() && it->first.starts_with(source.key + "!/"); ++it)
        rows.push_back(it->second);
    for (const JournalRow& row : rows) {
        Entry own = entry;
        own.key = row.key;
        own.path = row.key == source.key ? entry.path : entry.path + row.key.substr(source.key.size());
        own.source_id = row.source_id;
        own.sha256 = row.sha256;
        if (row.state != FileState::indexed || !relabel(own, row)) report_unchanged(row);
    }
}

void Run::take_bytes(Entry entry, std::string_view bytes, Extraction extraction)
{
    if (!extraction.document) {
        not_read(entry, *extraction.not_read);
        return;
    }
    Document& document = *extraction.document;
    const MaskedDocument masked = mask_document(document, options_.inspect);
    std::optional<NotRead> secret;
    if (masked.secret_mark)
        secret =
            NotRead{true, "secret", "비밀 표시(" + *masked.secret_mark + ")가 있는 문서는 받지 않습니다."};
    take_members(entry, document, secret);
    if (secret) {
        not_read(entry, *secret);
        return;
    }
    if (document.blocks.empty()) {
        settle(entry, FileState::indexed,
               "파일 " + std::to_string(document.attachments.size()) + "개를 담고 있습니다.", "");
        return;
    }
    store(entry, document, bytes, "", true, masked.hidden);
}

// What is inside of a refused secret is secret too.
void Run::take_members(const Entry& container, Document& document, const std::optional<NotRead>& refused)
{
    std::set<std::string> names;
    for (Attachment& attachment : document.attachments) {
        std::string name = attachment.name;
        for (int copy = 2; !names.insert(name).second; ++copy)
            name = attachment.name + " (" + std::to_string(copy) + ")";
        Entry entry;
        entry.key = container.key + "!/" + name;
        entry.path = container.path + "!/" + name;
        entry.source_id = container.source_id + "!/" + name;
        entry.label = container.label;
        entry.depth = container.depth + 1;
        entry.sha256 = sha256_hex(attachment.bytes);
        contained_bytes_ += attachment.bytes.size();
        const auto row = rows_.find(entry.key);
        if (refused) {
            not_read(entry, *refused);
        } else if (entry.depth > kContainerDepthMax || contained_bytes_ > kContainedBytesMax) {
            not_read(entry, {false, "bomb", "압축 파일이 지나치게 여러 겹이거나 큽니다."});
        } else if (row != rows_.end() && row->second.sha256 == entry.sha256 && final_row(row->second)) {
            if (row->second.state != FileState::indexed || !relabel(entry, row->second))
                report_unchanged(row->second);
        } else {
            take_bytes(std::move(entry), attachment.bytes, extractor_.extract(name, attachment.bytes));
        }
        attachment.bytes.clear();
        tell(container.path);
    }
}

void Run::store(const Entry& entry, Document& document, std::string_view bytes, std::string supersedes,
                bool by_text, std::uint32_t masked)
{
    if (options_.give_way) options_.give_way();
    DocumentWrite write;
    DocumentRecord& record = write.document;
    record.id = sha256_hex(entry.source_id).substr(0, kIdLetters) + "-" + entry.sha256.substr(0, kIdLetters);
    record.source_id = entry.source_id;
    record.title = document.title;
    record.format = document.format;
    record.content_sha256 = entry.sha256;
    record.label = entry.label;
    record.document_number = document.document_number;
    record.effective_from = document.effective_from;
    record.effective_to = document.effective_to;
    record.supersedes = std::move(supersedes);
    record.state = document.withdrawn ? DocumentState::withdrawn : DocumentState::current;
    record.pages = document.pages;
    record.masked = masked;
    record.stored_us = now_us();
    versions_.place(record, by_text);
    write.chunks = chunk_document(document, record);
    if (write.chunks.empty()) {
        not_read(entry, {true, "empty", "문서에 읽을 글이 없습니다."});
        return;
    }
    record.chunks = static_cast<std::uint32_t>(write.chunks.size());
    write.view = document.to_json();
    write.original = std::string(bytes);
    std::string reason = entry.label == kUnlabelled ? "표지가 없어 아무도 볼 수 없습니다." : "";
    for (const std::string& warning : document.warnings) reason += (reason.empty() ? "" : " ") + warning;
    const JournalRow row{entry.key,   entry.path,      FileState::indexed, reason,        entry.sha256,
                         entry.label, entry.source_id, record.id,          kReaderVersion};
    write.rows.push_back(Journal::row(row));
    index_.put(write);
    if (by_text) versions_.follow(record);
    rows_[entry.key] = row;
    report_.pages += document.pages;
    report_.chunks += write.chunks.size();
    settle(entry, FileState::indexed, std::move(reason), record.id, false);
    if (embedding_) embedding_->more();
}

void Run::take_line(const Source& source, const std::string& line, std::size_t number,
                    const std::string& label, bool deferred)
{
    Entry entry;
    entry.key = source.key + "#" + std::to_string(number);
    entry.path = source.path + "#" + std::to_string(number);
    entry.sha256 = sha256_hex(line);
    try {
        CorpusLine read = read_corpus_line(line);
        entry.key = source.key + "#" + read.id;
        entry.path = source.path + "#" + read.id;
        entry.source_id = read.id;
        entry.label = !run_.label.empty() || read.label.empty() ? label : labels_.canonical(read.label);
        const auto row = rows_.find(entry.key);
        if (row != rows_.end() && row->second.sha256 == entry.sha256 && final_row(row->second)) {
            if (row->second.state != FileState::indexed || !relabel(entry, row->second))
                report_unchanged(row->second);
            return;
        }
        std::string supersedes;
        if (!read.supersedes.empty()) {
            const std::vector<DocumentRecord> before = index_.versions(read.supersedes);
            if (before.empty() && !deferred) {
                deferred_.emplace_back(line, number);
                return;
            }
            if (!before.empty())
                supersedes = before.back().id;
            else
                read.document.warnings.push_back("앞선 판(" + read.supersedes + ")을 찾지 못했습니다.");
        }
        const MaskedDocument masked = mask_document(read.document, options_.inspect);
        if (masked.secret_mark) {
            not_read(entry,
                     {true, "secret", "비밀 표시(" + *masked.secret_mark + ")가 있는 문서는 받지 않습니다."});
            return;
        }
        store(entry, read.document, line, std::move(supersedes), false, masked.hidden);
    } catch (const Unreadable& e) {
        not_read(entry, e.not_read);
    }
}

void Run::take_corpus(const Source& source)
{
    std::string label;
    try {
        label = label_of(source.file);
    } catch (const Unreadable& e) {
        settle({source.key, source.path, "", "", "", 0}, FileState::refused, e.not_read.reason, "", false);
        return;
    }
    std::ifstream in(source.file, std::ios::binary);
    if (!in) {
        settle({source.key, source.path, "", "", label, 0}, FileState::quarantined,
               "파일을 읽을 수 없습니다.", "", false);
        return;
    }
    std::string line;
    std::size_t number = 0;
    while (!stopped() && std::getline(in, line)) {
        ++number;
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        if (number == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
        take_line(source, line, number, label, false);
        if (number % 16 == 0) tell(source.path);
    }
    // Those that name a later line; a second round may free more of them.
    for (std::size_t before = 0; !stopped() && !deferred_.empty();) {
        const bool last = deferred_.size() == before;
        before = deferred_.size();
        for (const auto& [text, at] : std::exchange(deferred_, {})) take_line(source, text, at, label, last);
    }
    deferred_.clear();
    tell(source.path);
}

void Run::wait_for_vectors()
{
    if (!embedding_) return;
    if (!run_.embed || stopped()) return;
    embedding_->no_more();
    while (!embedding_->done() && !stopped()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        if (progress_) tell("");
    }
    embedding_->rethrow();
}

IngestReport Run::run(std::span<const std::filesystem::path> paths)
{
    const std::vector<Source> sources = list_sources(paths);
    shown_.files_total = sources.size();
    std::deque<std::future<Read>> ahead;
    std::size_t next = 0;
    for (std::size_t i = 0; i < sources.size() && !stopped(); ++i) {
        while (next < sources.size() && next < i + kReadAhead) ahead.push_back(read_ahead(sources[next++]));
        Read read = ahead.front().get();
        ahead.pop_front();
        if (is_corpus(sources[i].file) && !sources[i].link)
            take_corpus(sources[i]);
        else
            take(sources[i], std::move(read));
        tell(sources[i].path);
    }
    for (std::future<Read>& left : ahead) left.wait();
    wait_for_vectors();
    report_.stopped = stopped();
    report_.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    return std::move(report_);
}

FileOutcome outcome_of(const JournalRow& row)
{
    return {row.path, row.state, row.reason, row.document_id};
}

}  // namespace

Ingest::Ingest(Index& index, Extractor& extractor, IngestOptions options)
    : state_(new State{index, extractor, std::move(options), {}})
{
}
Ingest::~Ingest() = default;

IngestReport Ingest::run(std::span<const std::filesystem::path> paths, const RunOptions& options,
                         const std::function<void(const IngestProgress&)>& progress,
                         const std::atomic<bool>* stop)
{
    const std::lock_guard one_at_a_time(state_->running);
    return Run(state_->index, state_->extractor, state_->options, options, progress, stop).run(paths);
}

std::uint64_t Ingest::embed_missing(const std::function<void(const IngestProgress&)>& progress,
                                    const std::atomic<bool>* stop)
{
    if (!state_->options.embed) return 0;
    IngestProgress shown;
    shown.to_embed = missing_vectors(state_->index);
    while (stop == nullptr || !*stop) {
        const std::uint64_t count = embed_batch(state_->index, state_->options);
        if (count == 0) break;
        shown.embedded += count;
        shown.to_embed = std::max(shown.to_embed, shown.embedded);
        if (progress) progress(shown);
    }
    return shown.embedded;
}

std::vector<FileOutcome> Ingest::journal() const
{
    std::vector<FileOutcome> out;
    for (const JournalRow& row : Journal(state_->index).all()) out.push_back(outcome_of(row));
    return out;
}

std::vector<FileOutcome> Ingest::quarantine() const
{
    std::vector<FileOutcome> out;
    for (const JournalRow& row : Journal(state_->index).all())
        if (row.state == FileState::quarantined) out.push_back(outcome_of(row));
    return out;
}

}  // namespace jiphyeon
