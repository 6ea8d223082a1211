// Ingestion and page images behind the gateway's `Archive`.
#pragma once

#include <memory>

#include "data_folder.hpp"
#include "jiphyeon/gateway.hpp"
#include "jiphyeon/ingest.hpp"

namespace jiphyeon::app {

std::unique_ptr<Archive> make_archive(Index& index, Extractor& extractor, Ingest& ingest,
                                      const Config& config);

// The `ingest` command's reply.
std::string report_json(const IngestReport& report);

}  // namespace jiphyeon::app
