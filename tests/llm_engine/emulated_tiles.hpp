// Tile registers in plain C++, after the pseudo-code of Intel's manual (LDTILECFG, TILELOADD, TDPBSUD and the
// others), for processors without AMX. Where a processor would raise an exception, this throws logic_error.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>

#include "tiles.hpp"

namespace jiphyeon::test {

class EmulatedTiles {
public:
    static void set_shapes(const TileShapes& shapes)
    {
        check(shapes.palette == 1 && shapes.start_row == 0, "palette");
        for (const std::uint8_t byte : shapes.reserved) check(byte == 0, "reserved byte");
        for (std::size_t i = 0; i < 16; ++i) {
            check(shapes.row_bytes[i] <= 64 && shapes.rows[i] <= 16, "too large a tile");
            check((shapes.row_bytes[i] == 0) == (shapes.rows[i] == 0), "a tile of rows or columns alone");
            check(i < kCount || shapes.rows[i] == 0, "more tiles than there are");
        }
        state() = {};
        state().shapes = shapes;
    }
    static void release() { state() = {}; }

    template <int kTile>
    static void zero()
    {
        tile(kTile) = {};
    }
    template <int kTile>
    static void load(const void* rows, std::size_t stride)
    {
        Bytes& to = tile(kTile);
        to = {};
        for (std::size_t m = 0; m < state().shapes.rows[kTile]; ++m) {
            std::memcpy(to.row[m], static_cast<const std::uint8_t*>(rows) + m * stride,
                        state().shapes.row_bytes[kTile]);
        }
    }
    template <int kTile>
    static void store(void* rows, std::size_t stride)
    {
        const Bytes& from = tile(kTile);
        for (std::size_t m = 0; m < state().shapes.rows[kTile]; ++m) {
            std::memcpy(static_cast<std::uint8_t*>(rows) + m * stride, from.row[m],
                        state().shapes.row_bytes[kTile]);
        }
    }
    template <int kSum, int kLeft, int kRight>
    static void dot_unsigned()
    {
        dot<std::uint8_t>(kSum, kLeft, kRight);
    }
    template <int kSum, int kLeft, int kRight>
    static void dot_signed()
    {
        dot<std::int8_t>(kSum, kLeft, kRight);
    }

private:
    static constexpr std::size_t kCount = 8;
    struct Bytes {
        std::uint8_t row[16][64] = {};
    };
    struct State {
        TileShapes shapes{.palette = 0};
        Bytes tiles[kCount] = {};
    };

    static State& state()
    {
        thread_local State of_thread;
        return of_thread;
    }
    static void check(bool holds, const char* what)
    {
        if (!holds) throw std::logic_error(std::string("tiles: ") + what);
    }
    static Bytes& tile(int i)
    {
        check(state().shapes.palette == 1, "no shapes are set");
        check(state().shapes.rows[i] != 0, "a tile without a shape");
        return state().tiles[i];
    }

    template <typename Right>
    static void dot(int sum_tile, int left_tile, int right_tile)
    {
        check(sum_tile != left_tile && sum_tile != right_tile && left_tile != right_tile, "one tile twice");
        Bytes& sums = tile(sum_tile);
        const Bytes& left = tile(left_tile);
        const Bytes& right = tile(right_tile);
        const TileShapes& shapes = state().shapes;
        const auto lanes = [&](int i) { return shapes.row_bytes[i] / 4u; };
        for (const int i : {sum_tile, left_tile, right_tile}) check(shapes.row_bytes[i] % 4 == 0, "lanes");
        check(shapes.rows[sum_tile] == shapes.rows[left_tile], "rows of the left side");
        check(lanes(sum_tile) == lanes(right_tile), "columns of the right side");
        check(lanes(left_tile) == shapes.rows[right_tile], "inner sizes");
        for (std::size_t m = 0; m < shapes.rows[sum_tile]; ++m) {
            for (std::size_t n = 0; n < lanes(sum_tile); ++n) {
                std::uint32_t sum;  // wraps around
                std::memcpy(&sum, sums.row[m] + 4 * n, 4);
                for (std::size_t k = 0; k < lanes(left_tile); ++k) {
                    for (std::size_t i = 0; i < 4; ++i) {
                        const int a = static_cast<std::int8_t>(left.row[m][4 * k + i]);
                        const int b = static_cast<Right>(right.row[k][4 * n + i]);
                        sum += static_cast<std::uint32_t>(a * b);
                    }
                }
                std::memcpy(sums.row[m] + 4 * n, &sum, 4);
            }
        }
    }
};

}  // namespace jiphyeon::test
