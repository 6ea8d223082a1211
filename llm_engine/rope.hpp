// Rotary positions: by how much each pair of a head's numbers is turned at a position.
//
// Pair i of n = size / 2 turns by position * base^(-i / n), changed in one of the ways that models ask for:
//     linear    everything slower by `factor`
//     yarn      slow pairs slower by `factor`, fast ones left alone, a ramp between (arXiv 2309.00071)
//     divisors  each pair slower by its own number: Llama 3's scaling and Phi's "longrope", which files carry
//               as a tensor
// and all of it enlarged by `magnitude`. Tables are computed once, in double with functions of our own, so
// that they are the same bits everywhere.
#pragma once

#include <cstddef>
#include <vector>

namespace jiphyeon {

struct RopeRule {
    std::size_t size = 0;  // numbers of a head that are turned: its first ones
    double base = 10000;
    double factor = 1;
    double magnitude = 1;
    bool yarn = false;
    double beta_fast = 32;             // turns within `original_context` above which a pair is fast,
    double beta_slow = 1;              // and below which it is slow
    double original_context = 0;       // that the model was trained with
    std::vector<float> divisors = {};  // size / 2, or empty
};

class RopeTable {
public:
    RopeTable() = default;
    // halves: pair i is numbers i and i + size / 2 of a head; else numbers 2i and 2i + 1.
    RopeTable(const RopeRule& rule, bool halves, std::size_t positions);

    void rotate(float* head, std::size_t position) const;

private:
    std::size_t half_ = 0;
    bool halves_ = false;
    std::vector<float> cos_, sin_;  // [positions][half_]
};

}  // namespace jiphyeon
