// Drives the index alone for bench/lexical.py and bench/vector.py: one JSON request per line on standard
// input, one JSON answer per line on standard output. Times are of this process, without reading and writing
// the lines.
//     {"op": "open", "folder", "graph_from"}
//     {"op": "put", "items": [{"id", "title", "text"}], "per_document"}  items as chunks of documents of that
//     many
//     {"op": "search", "texts": [...], "k", "k1", "b", "stem", "bigram", "exact"}   -> hits: [[id, ...], ...]
//     {"op": "vectors", "file", "dim"}                                              f32 rows, one per chunk
//     in order
//     {"op": "wait"}                                                                until the graph holds
//     them
//     {"op": "nearest", "file", "dim", "k", "labels"}                               -> hits: [[id, ...], ...]
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "jiphyeon/index.hpp"
#include "store.hpp"

namespace {

using namespace jiphyeon;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<float> read_floats(const std::string& file)
{
    std::ifstream in(file, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    std::vector<float> floats(bytes.size() / sizeof(float));
    std::copy_n(bytes.data(), floats.size() * sizeof(float), reinterpret_cast<char*>(floats.data()));
    return floats;
}

class Bench {
public:
    json answer(const json& request)
    {
        const std::string op = request.at("op");
        if (op == "open") return open(request);
        if (op == "put") return put(request);
        if (op == "search") return search(request);
        if (op == "vectors") return vectors(request);
        if (op == "wait") return wait();
        if (op == "nearest") return nearest(request);
        throw std::runtime_error("unknown op " + op);
    }

private:
    json open(const json& request)
    {
        index_.reset();
        chunk_ids_.clear();
        documents_ = 0;
        index_ = Index::open(request.at("folder").get<std::string>(),
                             {.graph_from = request.value("graph_from", std::size_t{50'000})});
        return {{"ok", true}};
    }

    json put(const json& request)
    {
        const std::size_t per_document = request.value("per_document", std::size_t{1});
        const json& items = request.at("items");
        std::vector<DocumentWrite> writes;
        for (std::size_t i = 0; i < items.size(); ++i) {
            if (i % per_document == 0) {
                DocumentWrite& write = writes.emplace_back();
                write.document.id = "d" + std::to_string(documents_++);
                write.document.source_id = write.document.id;
                write.document.label = items[i].value("label", "public");
            }
            DocumentWrite& write = writes.back();
            Chunk& chunk = write.chunks.emplace_back();
            chunk.document_id = write.document.id;
            chunk.ordinal = static_cast<std::uint32_t>(write.chunks.size() - 1);
            chunk.header = items[i].value("title", "");
            chunk.text = items[i].at("text");
            chunk.label = write.document.label;
            chunk_ids_.push_back(chunk.id());
            names_[chunk.id()] = items[i].at("id");
        }
        const auto start = Clock::now();
        for (const DocumentWrite& write : writes) index_->put(write);
        return {{"seconds", seconds_since(start)}, {"chunks", items.size()}};
    }

    json named(const std::vector<std::vector<Hit>>& all, std::vector<double> times) const
    {
        json hits = json::array();
        for (const std::vector<Hit>& one : all) {
            json ids = json::array();
            for (const Hit& hit : one) ids.push_back(names_.at(hit.chunk.id()));
            hits.push_back(std::move(ids));
        }
        return {{"hits", std::move(hits)}, {"seconds", std::move(times)}};
    }

    json search(const json& request) const
    {
        LexicalOptions options;
        options.k1 = request.value("k1", options.k1);
        options.b = request.value("b", options.b);
        options.stem_weight = request.value("stem", options.stem_weight);
        options.bigram_weight = request.value("bigram", options.bigram_weight);
        options.exact_weight = request.value("exact", options.exact_weight);
        std::vector<std::vector<Hit>> all;
        std::vector<double> times;
        for (const std::string text : request.at("texts")) {
            const auto start = Clock::now();
            all.push_back(index_->search_lexical(analyze(text), request.at("k"), everything_, options));
            times.push_back(seconds_since(start));
        }
        return named(all, std::move(times));
    }

    json vectors(const json& request)
    {
        const std::size_t dim = request.at("dim");
        const std::vector<float> floats = read_floats(request.at("file"));
        constexpr std::size_t kBatch = 4096;
        const auto start = Clock::now();
        for (std::size_t i = 0; i < chunk_ids_.size(); i += kBatch) {
            const std::size_t n = std::min(kBatch, chunk_ids_.size() - i);
            index_->put_vectors(std::span(chunk_ids_).subspan(i, n),
                                std::span(floats).subspan(i * dim, n * dim), "bench");
        }
        return {{"seconds", seconds_since(start)}};
    }

    json wait() const
    {
        const auto start = Clock::now();
        dynamic_cast<const Store&>(*index_).wait_for_graph();
        return {{"seconds", seconds_since(start)}};
    }

    json nearest(const json& request) const
    {
        const std::size_t dim = request.at("dim");
        const std::vector<float> floats = read_floats(request.at("file"));
        const Scope scope{
            .labels = request.value("labels", everything_.labels), .day = 0, .all_versions = true};
        std::vector<std::vector<Hit>> all;
        std::vector<double> times;
        for (std::size_t i = 0; i + dim <= floats.size(); i += dim) {
            const auto start = Clock::now();
            all.push_back(index_->search_dense(std::span(floats).subspan(i, dim), request.at("k"), scope));
            times.push_back(seconds_since(start));
        }
        return named(all, std::move(times));
    }

    std::unique_ptr<Index> index_;
    std::vector<std::string> chunk_ids_;
    std::map<std::string, std::string> names_;
    std::size_t documents_ = 0;
    const Scope everything_{
        .labels = {"public", "half", "tenth", "hundredth"}, .day = 0, .all_versions = true};
};

}  // namespace

int main()
{
    Bench bench;
    for (std::string line; std::getline(std::cin, line);) {
        try {
            std::cout << bench.answer(json::parse(line)).dump() << std::endl;
        } catch (const std::exception& e) {
            std::cout << json{{"error", e.what()}}.dump() << std::endl;
        }
    }
    return 0;
}
