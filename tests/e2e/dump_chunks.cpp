// dump_chunks DIR: every chunk of an index, one line of JSON each, in order of source and version; at the end
// a line with the counts of documents, chunks and vectors. For tests that compare two archives.
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "jiphyeon/index.hpp"

using namespace jiphyeon;

int main(int argc, char** argv)
{
    if (argc != 2) return 2;
    try {
        const auto index = Index::open(argv[1], {.read_only = true});
        const Scope all{.labels = index->labels_in_use(), .day = 0, .all_versions = true};
        std::vector<DocumentRecord> documents = index->documents();
        std::ranges::sort(documents, {},
                          [](const DocumentRecord& d) { return std::pair(d.source_id, d.version); });
        for (const DocumentRecord& document : documents)
            for (const Chunk& chunk : index->chunks_of(document.id, all))
                std::cout << nlohmann::ordered_json{{"source_id", document.source_id},
                                                    {"version", document.version},
                                                    {"ordinal", chunk.ordinal},
                                                    {"label", chunk.label},
                                                    {"page", chunk.place.page},
                                                    {"section", chunk.place.section},
                                                    {"header", chunk.header},
                                                    {"text", chunk.text}}
                                 .dump()
                          << "\n";
        const ScopeStatistics counts = index->statistics(all);
        std::cout << nlohmann::ordered_json{{"documents", counts.documents},
                                            {"chunks", counts.chunks},
                                            {"embedded", counts.embedded}}
                         .dump()
                  << "\n";
    } catch (const IndexError& error) {
        std::cerr << error.what() << "\n";
        return 3;
    }
    return 0;
}
