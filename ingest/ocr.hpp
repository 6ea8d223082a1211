// Reading pictures of pages with Tesseract, and turning its lines into blocks.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "builder.hpp"
#include "parse.hpp"

namespace jiphyeon {

// Opens the model at once: make it before the cage is closed. `on_page` is told of each page before it is
// read.
std::unique_ptr<Ocr> make_tesseract(const std::filesystem::path& tessdata,
                                    std::function<void(std::uint32_t)> on_page);

void add_ocr_page(DocumentBuilder& builder, const OcrPage& page, std::uint32_t number);

}  // namespace jiphyeon
