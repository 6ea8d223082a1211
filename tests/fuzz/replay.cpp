// Runs a fuzz target over saved inputs, and over each with a byte changed and with its tail cut: an ordinary
// test that needs no fuzzing engine.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv)
{
    std::size_t inputs = 0;
    for (int i = 1; i < argc; ++i)
        for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
            if (!entry.is_regular_file()) continue;
            std::ifstream in(entry.path(), std::ios::binary);
            std::vector<char> text((std::istreambuf_iterator<char>(in)), {});
            std::vector<std::uint8_t> bytes(text.begin(), text.end());
            LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
            constexpr std::size_t kVariants = 64;
            for (std::size_t v = 0; v < kVariants && !bytes.empty(); ++v) {
                const std::size_t at = v * bytes.size() / kVariants;
                std::vector<std::uint8_t> changed = bytes;
                changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1u << (v % 8)));
                LLVMFuzzerTestOneInput(changed.data(), changed.size());
                LLVMFuzzerTestOneInput(bytes.data(), at);
            }
            ++inputs;
        }
    std::printf("%zu inputs\n", inputs);
    return inputs == 0 ? 1 : 0;
}
