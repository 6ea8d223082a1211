// Writes the tiny random model of every family into a folder, an adapter for each into `adapters` there and
// two rerankers into `rerankers`, for the comparison with llama.cpp.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "tiny_model.hpp"

int main(int argc, char** argv)
{
    if (argc != 3) {
        std::cerr << "usage: jiphyeon_tiny_models FOLDER f32|q8_0\n";
        return 2;
    }
    for (jiphyeon::test::TinyOptions options : jiphyeon::test::tiny_families()) {
        if (options.architecture == "exaone4" && options.window != 0) continue;  // theirs go by 64 layers
        if (std::string(argv[2]) == "q8_0") {
            // Shallow and wide, since every layer of so small a model adds its rounding of the activations.
            options.matrices = options.others = jiphyeon::TensorType::q8_0;
            options.layers = 2;
            options.width = 256;
            options.inner = 512;
        }
        options.spare_rows = 0;  // llama.cpp refuses them
        const std::string bytes = jiphyeon::test::tiny_model(options);
        const std::string name = options.architecture + (options.window == 0 ? "-no-windows" : "") + ".gguf";
        const std::string path = std::string(argv[1]) + '/' + name;
        std::ofstream(path, std::ios::binary) << bytes;
        const auto model = jiphyeon::Gguf::open(path);
        const std::string adapters = std::string(argv[1]) + "/adapters";
        std::filesystem::create_directory(adapters);
        std::ofstream(adapters + '/' + name, std::ios::binary)
            << jiphyeon::test::tiny_adapter(model, 8, jiphyeon::TensorType::f32, 7);
    }
    const std::string rerankers = std::string(argv[1]) + "/rerankers";
    std::filesystem::create_directory(rerankers);
    for (const bool inner_layer : {false, true}) {
        std::ofstream(rerankers + (inner_layer ? "/inner-layer.gguf" : "/output-only.gguf"), std::ios::binary)
            << jiphyeon::test::tiny_reranker(inner_layer);
    }
    return 0;
}
