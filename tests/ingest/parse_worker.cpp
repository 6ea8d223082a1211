// The programs that the tests start: with "worker parse" the parser child, as `jiphyeon worker parse` is in
// the product; with "ingest INDEX PDF-PROGRAM PATH…" a batch run that a test may kill.
#include <array>
#include <cstdio>
#include <string_view>

#include "jiphyeon/ingest.hpp"
#include "jiphyeon/sandbox.hpp"

int main(int argc, char** argv)
{
    using namespace jiphyeon;
    if (argc < 5 || std::string_view(argv[1]) != "ingest") return serve_parser(kWorkerFd);
    try {
        const std::array<std::uint8_t, 32> bytes{7};
        const SecretKey key = SecretKey::from_bytes(bytes);
        const std::unique_ptr<Index> index = Index::open(argv[2], {.master_key = &key});
        ExtractorOptions options;
        options.program = "/proc/self/exe";
        options.pdf_program = argv[3];
        Extractor extractor(options);
        Ingest ingest(*index, extractor, {});
        const std::vector<std::filesystem::path> paths(argv + 4, argv + argc);
        ingest.run(paths, {.label = "public"}, {});
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
    return 0;
}
