// Tile registers, as AMX has them: 8 of up to 16 rows of 64 bytes, of shapes that a thread sets, and products
// of two of them that are added to a third. kernels_tiles.hpp computes with any type of AmxTiles' functions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jiphyeon {

// What LDTILECFG reads. A register without rows is not to be used.
struct TileShapes {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;  // where an interrupted load goes on
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};
};
static_assert(sizeof(TileShapes) == 64);

namespace {

// Assembly instead of the compilers' intrinsics: GCC 12 declares only 8 of the 64 bytes of LDTILECFG as read
// and drops the stores of the others; GCC's and clang's intrinsics differ; and no compiler can take the
// registers for something else as long as it does not know of them. Functions do not touch tiles, so those
// that compute with them may be compiled without flags for AMX.
struct AmxTiles {
    static void set_shapes(const TileShapes& shapes) { asm volatile("ldtilecfg %0" : : "m"(shapes)); }
    static void release() { asm volatile("tilerelease"); }
    template <int kTile>
    static void zero()
    {
        asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
    }
    // Rows lie `stride` bytes apart.
    template <int kTile>
    static void load(const void* rows, std::size_t stride)
    {
        asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(rows), "r"(stride), "i"(kTile) : "memory");
    }
    template <int kTile>
    static void store(void* rows, std::size_t stride)
    {
        asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(rows), "r"(stride), "i"(kTile) : "memory");
    }
    // Lane n of row m of kSum += 4 products of bytes for each lane k of row m of kLeft with lane n of row k
    // of kRight. Left bytes are signed, right ones unsigned or signed.
    template <int kSum, int kLeft, int kRight>
    static void dot_unsigned()
    {
        asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kLeft), "i"(kRight));
    }
    template <int kSum, int kLeft, int kRight>
    static void dot_signed()
    {
        asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kLeft), "i"(kRight));
    }
};

}  // namespace
}  // namespace jiphyeon
