// The parser child of the tests: what `jiphyeon worker parse` is in the product.
#include "jiphyeon/ingest.hpp"
#include "jiphyeon/sandbox.hpp"

int main()
{
    return jiphyeon::serve_parser(jiphyeon::kWorkerFd);
}
