// Everything wired together: the one process that owns a data folder. `serve` keeps it for days, another
// command for one call. The language models live in caged children that start with the first use.
#pragma once

#include <filesystem>
#include <memory>

#include "data_folder.hpp"
#include "jiphyeon/gateway.hpp"
#include "jiphyeon/ingest.hpp"

namespace jiphyeon::app {

class Appliance {
public:
    // Throws IndexError, AuditError.
    Appliance(DataFolder folder, OwnerLock lock);
    ~Appliance();

    Service& service() { return *service_; }
    const DataFolder& folder() const { return folder_; }
    // Starts the model processes now, so that the first question need not wait for them.
    void warm_up();
    // Gives a vector to every chunk that has none; what was interrupted goes on.
    void embed_missing(const std::atomic<bool>& stop);

private:
    DataFolder folder_;
    OwnerLock lock_;
    std::unique_ptr<Index> index_;
    std::unique_ptr<AuditLog> audit_;
    std::unique_ptr<Engine> llm_, embedder_;
    std::unique_ptr<Extractor> extractor_;
    std::unique_ptr<Ingest> ingest_;
    std::unique_ptr<Retriever> retriever_;
    std::unique_ptr<Archive> archive_;
    std::unique_ptr<Service> service_;
};

// The record checked from its files alone, for a folder whose record refuses to open; `refusal` says why.
// Takes no lock and writes nothing. `remembered`: text of a checkpoint taken earlier, or empty.
AuditReport verify_stored_record(const DataFolder& folder, const std::string& remembered,
                                 const std::string& refusal);

// The programs that are started as children: this one, and the PDF program beside it.
std::filesystem::path own_program();
std::filesystem::path pdf_program();
ExtractorOptions extractor_options(unsigned workers);

}  // namespace jiphyeon::app
