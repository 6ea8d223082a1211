#include "amx.hpp"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <random>
#include <vector>

#include "aligned.hpp"
#include "kernels.hpp"
#include "quants.hpp"

namespace jiphyeon {
namespace {

// The builtins of GCC and clang know different names of these.
bool processor_has_tiles()
{
    constexpr unsigned kTile = 1u << 24;
    constexpr unsigned kInt8 = 1u << 25;
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kTile) != 0 && (d & kInt8) != 0;
}

// Whether the system keeps tiles and their shapes when it switches threads.
bool system_saves_tiles()
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return false;
    asm("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    constexpr unsigned kShapesAndTiles = 3u << 17;
    return (a & kShapesAndTiles) == kShapesAndTiles;
}

// Linux has room for the tiles of a thread only where its process has asked.
bool system_permits_tiles()
{
    constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
    constexpr long kTileData = 18;
    return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// Products of a random matrix with random tokens, enough of them that panels are unpacked.
class Trial {
public:
    Trial(TensorType type, std::size_t rows, std::size_t columns, std::size_t tokens)
        : tokens_(tokens), matrix_(random_matrix(type, rows, columns)), x_(tokens * columns)
    {
        for (float& x : x_) x = static_cast<float>(random_() % 1024) - 512.0f;
    }

    AlignedVector<float> run(const Kernels& kernels)
    {
        const ActForm form = act_form(matrix_.type());
        activations_.shape(kernels, tokens_, matrix_.columns(), false, form == ActForm::per_32,
                           form == ActForm::per_256);
        activations_.fill(kernels, pool_, x_.data(), matrix_.columns());
        AlignedVector<float> out(tokens_ * matrix_.padded_rows());
        const Product product{&matrix_, out.data(), matrix_.padded_rows()};
        multiply(pool_, kernels, space_, activations_, {&product, 1});
        return out;
    }

private:
    Matrix random_matrix(TensorType type, std::size_t rows, std::size_t columns)
    {
        const auto id = static_cast<std::uint32_t>(type);
        const std::size_t block = tensor_type_info(id)->block_bytes;
        std::vector<std::uint8_t> bytes(rows * columns / tensor_type_info(id)->block_elements * block);
        for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random_());
        // A block begins or ends with halves, which must not be infinite.
        for (std::size_t at = 0; at < bytes.size(); at += block) {
            for (const std::size_t upper : {std::size_t{1}, std::size_t{3}, block - 1})
                bytes[at + upper] &= 0xbf;
        }
        const GgufTensor tensor{
            .name = "trial", .type_id = id, .dimensions = 2, .shape = {columns, rows, 1, 1}, .data = bytes};
        return Matrix(tensor, pool_);
    }

    std::mt19937 random_;
    ThreadPool pool_{1};
    ProductSpace space_{1};
    std::size_t tokens_;
    Matrix matrix_;
    std::vector<float> x_;
    Activations activations_;
};

bool tiles_compute_the_same()
{
    for (const TensorType type : {TensorType::q4_k, TensorType::q5_k, TensorType::q6_k, TensorType::iq4_xs,
                                  TensorType::q4_0, TensorType::q5_1, TensorType::q8_0}) {
        Trial trial(type, 48, 768, 59);  // a pair of panels and one alone; a whole step and a part of one
        const AlignedVector<float> by_tiles = trial.run(kKernelsAmx);
        const AlignedVector<float> by_vectors = trial.run(kKernelsAvx512);
        if (std::memcmp(by_tiles.data(), by_vectors.data(), by_tiles.size() * sizeof(float)) != 0)
            return false;
    }
    return true;
}

}  // namespace

bool runs_amx()
{
    static const bool runs =
        processor_has_tiles() && system_saves_tiles() && system_permits_tiles() && tiles_compute_the_same();
    return runs;
}

bool amx_is_faster()
{
    using Clock = std::chrono::steady_clock;
    Trial trial(TensorType::q4_k, 64, 2048, 240);
    // In turns, as other work comes and goes; the least time is that with the least of it.
    std::array<Clock::duration, 2> least = {Clock::duration::max(), Clock::duration::max()};
    for (int round = 0; round < 8; ++round) {
        for (std::size_t i = 0; i < least.size(); ++i) {
            const Clock::time_point start = Clock::now();
            trial.run(i == 0 ? kKernelsAvx512 : kKernelsAmx);
            least[i] = std::min(least[i], Clock::now() - start);
        }
    }
    return least[1] < least[0];
}

}  // namespace jiphyeon
