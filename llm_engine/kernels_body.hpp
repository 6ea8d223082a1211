// The kernels over `Lanes`, a struct of the including file that gives vectors of 16 lanes: F (float), I
// (int32) and B (64 bytes, 16 quads). Included once by each kernels_<isa>.cpp, which is compiled with its own
// -m flags. Everything here has internal linkage and calls no library function: an inline function shared
// with other files could otherwise end up in the program in a version that older processors cannot run.
// kernels_products.hpp has the products of weights; here are activations, functions and attention.
#include "kernels_products.hpp"

namespace jiphyeon {
namespace {

// --- activations -------------------------------------------------------------------------------------------

// Adding 1.5 * 2^23 rounds to the nearest integer, ties to even, and leaves it in the low bits.
constexpr float kRounder = 12582912.0f;

float largest_magnitude(const float* x, std::size_t n)
{
    F largest = Lanes::zero();
    for (std::size_t i = 0; i < n; i += 16) largest = Lanes::max(largest, Lanes::abs(Lanes::load(x + i)));
    return Lanes::reduce_max(largest);
}

// The integers of a block, the largest of which gets the largest magnitude, and its scale.
template <typename Integer>
float round_block(const float* x, std::size_t n, Integer* out)
{
    constexpr float kMost = sizeof(Integer) == 1 ? 127.0f : 32767.0f;
    const float largest = largest_magnitude(x, n);
    const F inverse = Lanes::set1(largest > 0 ? kMost / largest : 0.0f);
    for (std::size_t i = 0; i < n; i += 16) {
        const F scaled = Lanes::mul(Lanes::load(x + i), inverse);
        Lanes::store_low(out + i, Lanes::add(scaled, Lanes::set1(kRounder)));
    }
    return largest / kMost;
}

// The same, and the sums of the integers by 8.
template <std::size_t kBlock>
float round_and_sum(const float* x, std::int8_t* out, std::int64_t (&of_8)[kBlock / 8])
{
    const float scale = round_block(x, kBlock, out);
    for (std::size_t i = 0; i < kBlock / 8; i += 4) Lanes::sums_of_8(out + 8 * i, of_8 + i);
    return scale;
}
std::int32_t sum_of_32(const std::int64_t* of_8)
{
    return static_cast<std::int32_t>(of_8[0] + of_8[1] + of_8[2] + of_8[3]);
}

// Puts the bytes of a block, kBlock of each token, into quads side by side; those of four tokens at a time.
template <std::size_t kBlock>
void interleave_quads(const std::int8_t (&bytes)[kTileTokens][kBlock], unsigned tokens, std::int32_t* quads)
{
    using Four [[gnu::vector_size(16)]] = std::int32_t;
    const auto load = [](const std::int8_t* from) {
        Four four;
        __builtin_memcpy(&four, from, sizeof four);
        return four;
    };
    unsigned first = 0;
    for (; first + 4 <= tokens; first += 4) {
        for (std::size_t i = 0; i < kBlock; i += 16) {
            const Four a = load(bytes[first] + i);
            const Four b = load(bytes[first + 1] + i);
            const Four c = load(bytes[first + 2] + i);
            const Four d = load(bytes[first + 3] + i);
            const Four ab[2] = {__builtin_shufflevector(a, b, 0, 4, 1, 5),
                                __builtin_shufflevector(a, b, 2, 6, 3, 7)};
            const Four cd[2] = {__builtin_shufflevector(c, d, 0, 4, 1, 5),
                                __builtin_shufflevector(c, d, 2, 6, 3, 7)};
            std::int32_t* to = quads + i / 4 * tokens + first;
            for (std::size_t half = 0; half < 2; ++half) {
                const Four even = __builtin_shufflevector(ab[half], cd[half], 0, 1, 4, 5);
                const Four odd = __builtin_shufflevector(ab[half], cd[half], 2, 3, 6, 7);
                __builtin_memcpy(to, &even, sizeof even);
                __builtin_memcpy(to + tokens, &odd, sizeof odd);
                to += 2 * tokens;
            }
        }
    }
    for (; first < tokens; ++first) {
        for (std::size_t i = 0; i < kBlock; i += 4)
            __builtin_memcpy(quads + i / 4 * tokens + first, bytes[first] + i, 4);
    }
}

void quantize_32(const float* x, std::size_t stride, std::size_t columns, const ActTileOut& out)
{
    alignas(64) std::int8_t bytes[kTileTokens][32];
    for (std::size_t b = 0; b < columns / 32; ++b) {
        float* const scales = out.scales + b * out.tokens;
        std::int32_t* const bias = out.bias + b * kBiasRows32 * out.tokens;
        for (unsigned t = 0; t < out.tokens; ++t) {
            std::int64_t of_8[4];
            scales[t] = round_and_sum<32>(x + t * stride + 32 * b, bytes[t], of_8);
            const std::int32_t sum = sum_of_32(of_8);
            bias[t] = -8 * sum;
            bias[out.tokens + t] = -16 * sum;
            bias[2 * out.tokens + t] = -128 * sum;
            bias[3 * out.tokens + t] = sum;
        }
        interleave_quads<32>(bytes, out.tokens, out.quads + 8 * b * out.tokens);
    }
}

// The sums of 32 columns and of the next 32, given by 8, as two int16.
std::int32_t pair_of_sums(const std::int64_t* of_8)
{
    return static_cast<std::int32_t>((static_cast<std::uint32_t>(sum_of_32(of_8 + 4)) << 16) |
                                     (static_cast<std::uint32_t>(sum_of_32(of_8)) & 0xffffu));
}

void quantize_256(const float* x, std::size_t stride, std::size_t columns, const ActTileOut& out)
{
    alignas(64) std::int8_t bytes[kTileTokens][256];
    for (std::size_t b = 0; b < columns / 256; ++b) {
        for (unsigned t = 0; t < out.tokens; ++t) {
            const float* const from = x + t * stride + 256 * b;
            // A dozen rows in turn are more streams than the processor follows by itself.
            for (std::size_t i = 0; i < 256; i += 16) __builtin_prefetch(from + 256 + i);
            std::int64_t of_8[32];
            out.scales[b * out.tokens + t] = round_and_sum<256>(from, bytes[t], of_8);
            for (std::size_t j = 0; j < kBiasRows256; ++j) {
                const auto sum = static_cast<std::int32_t>(of_8[j]);
                out.bias[(b * kBiasRows256 + j) * out.tokens + t] = -32 * sum;
            }
            for (std::size_t p = 0; p < 4; ++p)
                out.pairs[(b * 4 + p) * out.tokens + t] = pair_of_sums(of_8 + 8 * p);
        }
        interleave_quads<256>(bytes, out.tokens, out.quads + 64 * b * out.tokens);
    }
}

void quantize_blocks_32(const float* x, std::size_t columns, std::size_t token, const ActBlockOut& out)
{
    for (std::size_t first = 0; first < columns; first += 256) {
        const std::size_t count = (columns - first < 256 ? columns - first : 256) / 32;
        const std::size_t at = first / 32 * out.tokens + token / 16 * 16 * count + token % 16;
        for (std::size_t b = 0; b < count; ++b) {
            std::int8_t* const row = out.rows + (at + 16 * b) * 32;
            std::int64_t of_8[4];
            out.scales[at + 16 * b] = round_and_sum<32>(x + first + 32 * b, row, of_8);
            out.totals[at + 16 * b] = static_cast<float>(sum_of_32(of_8));
        }
    }
}

void quantize_blocks_256(const float* x, std::size_t columns, std::size_t token, const ActBlockOut& out)
{
    for (std::size_t b = 0; b < columns / 256; ++b) {
        const std::size_t before = b * out.tokens;
        alignas(64) std::int8_t bytes[256];
        std::int64_t of_8[32];
        out.scales[before + token] = round_and_sum<256>(x + 256 * b, bytes, of_8);
        const std::size_t group = token / kStepTokens * kStepTokens;
        std::int32_t* const pairs = out.pairs + (before + group) * 4 + token % kStepTokens;
        for (std::size_t p = 0; p < 4; ++p) pairs[p * kStepTokens] = pair_of_sums(of_8 + 8 * p);
        std::int8_t* const rows = out.rows + (before + token / 16 * 16) * 256 + token % 16 * 64;
        for (std::size_t i = 0; i < 4; ++i) __builtin_memcpy(rows + 1024 * i, bytes + 64 * i, 64);
    }
}

// --- functions ---------------------------------------------------------------------------------------------

// e^x, error below 2 ulp; exactly 1 at 0, exactly 0 below -87.3, and no more than e^88 above.
[[gnu::always_inline]] inline F exp_lanes(F x)
{
    const F clamped = Lanes::min(x, Lanes::set1(88.0f));
    const F t = Lanes::fma(clamped, Lanes::set1(1.44269504088896341f), Lanes::set1(kRounder));
    const F n = Lanes::sub(t, Lanes::set1(kRounder));
    F r = Lanes::fnma(n, Lanes::set1(0.693359375f), clamped);
    r = Lanes::fnma(n, Lanes::set1(-2.12194440e-4f), r);
    F p = Lanes::set1(1.9875691500e-4f);
    p = Lanes::fma(p, r, Lanes::set1(1.3981999507e-3f));
    p = Lanes::fma(p, r, Lanes::set1(8.3334519073e-3f));
    p = Lanes::fma(p, r, Lanes::set1(4.1665795894e-2f));
    p = Lanes::fma(p, r, Lanes::set1(1.6666665459e-1f));
    p = Lanes::fma(p, r, Lanes::set1(5.0000001201e-1f));
    const F y = Lanes::add(Lanes::fma(p, Lanes::mul(r, r), r), Lanes::set1(1.0f));
    return Lanes::zero_below(x, Lanes::set1(-87.3f), Lanes::scale_by_power(y, t));
}

float exp_one(float x)
{
    alignas(64) float lanes[16];
    Lanes::store(lanes, exp_lanes(Lanes::set1(x)));
    return lanes[0];
}

float square_root(float x)
{
    alignas(64) float lanes[16];
    Lanes::store(lanes, Lanes::sqrt(Lanes::set1(x)));
    return lanes[0];
}

float sum_of_squares(const float* x, std::size_t n)
{
    F sum = Lanes::zero();
    for (std::size_t i = 0; i < n; i += 16) {
        const F v = Lanes::load(x + i);
        sum = Lanes::fma(v, v, sum);
    }
    return Lanes::reduce_add(sum);
}

void rms_norm(const float* x, const float* weight, std::size_t n, float epsilon, float* out)
{
    const float mean = sum_of_squares(x, n) / static_cast<float>(n);
    const F scale = Lanes::set1(1.0f / square_root(mean + epsilon));
    for (std::size_t i = 0; i < n; i += 16) {
        Lanes::store(out + i, Lanes::mul(Lanes::mul(Lanes::load(x + i), scale), Lanes::load(weight + i)));
    }
}

void layer_norm(const float* x, const float* weight, const float* bias, std::size_t n, float epsilon,
                float* out)
{
    F sum = Lanes::zero();
    for (std::size_t i = 0; i < n; i += 16) sum = Lanes::add(sum, Lanes::load(x + i));
    const F mean = Lanes::set1(Lanes::reduce_add(sum) / static_cast<float>(n));
    F squares = Lanes::zero();
    for (std::size_t i = 0; i < n; i += 16) {
        const F v = Lanes::sub(Lanes::load(x + i), mean);
        squares = Lanes::fma(v, v, squares);
    }
    const float variance = Lanes::reduce_add(squares) / static_cast<float>(n);
    const F scale = Lanes::set1(1.0f / square_root(variance + epsilon));
    for (std::size_t i = 0; i < n; i += 16) {
        const F v = Lanes::mul(Lanes::sub(Lanes::load(x + i), mean), scale);
        Lanes::store(out + i, Lanes::fma(v, Lanes::load(weight + i), Lanes::load(bias + i)));
    }
}

void silu_multiply(const float* gate, const float* up, std::size_t n, float* out)
{
    const F one = Lanes::set1(1.0f);
    for (std::size_t i = 0; i < n; i += 16) {
        // Below -88 the result is 0 for all purposes, and exp would be at its end. What is no number passes.
        const F g = Lanes::max(Lanes::set1(-88.0f), Lanes::load(gate + i));
        const F e = exp_lanes(Lanes::sub(Lanes::zero(), g));
        const F act = Lanes::div(g, Lanes::add(one, e));
        Lanes::store(out + i, Lanes::mul(act, Lanes::load(up + i)));
    }
}

// x times the normal distribution at x: 0.5 erfc(|x| / sqrt 2) by Abramowitz and Stegun 7.1.26 (absolute
// error 1.5e-7 / 2), mirrored for positive x so that small results keep their digits.
void gelu(const float* x, std::size_t n, float* out)
{
    const F one = Lanes::set1(1.0f);
    for (std::size_t i = 0; i < n; i += 16) {
        const F v = Lanes::load(x + i);
        const F z = Lanes::mul(Lanes::abs(v), Lanes::set1(0.70710678f));
        const F t = Lanes::div(one, Lanes::fma(z, Lanes::set1(0.3275911f), one));
        F p = Lanes::set1(1.061405429f);
        p = Lanes::fma(p, t, Lanes::set1(-1.453152027f));
        p = Lanes::fma(p, t, Lanes::set1(1.421413741f));
        p = Lanes::fma(p, t, Lanes::set1(-0.284496736f));
        p = Lanes::fma(p, t, Lanes::set1(0.254829592f));
        const F tail = Lanes::mul(Lanes::mul(Lanes::mul(p, t), Lanes::set1(0.5f)),
                                  exp_lanes(Lanes::sub(Lanes::zero(), Lanes::mul(z, z))));
        const F share = Lanes::select_below(v, Lanes::zero(), tail, Lanes::sub(one, tail));
        Lanes::store(out + i, Lanes::mul(v, share));
    }
}

// x times the logistic function of 2 sqrt(2 / pi) (x + 0.044715 x^3), which is the usual form with tanh.
void gelu_tanh(const float* x, std::size_t n, float* out)
{
    const F one = Lanes::set1(1.0f);
    for (std::size_t i = 0; i < n; i += 16) {
        const F v = Lanes::load(x + i);
        const F cubic = Lanes::mul(Lanes::mul(v, v), Lanes::set1(0.044715f));
        const F u = Lanes::mul(Lanes::fma(cubic, v, v), Lanes::set1(-1.5957691216f));
        Lanes::store(out + i, Lanes::div(v, Lanes::add(one, exp_lanes(u))));
    }
}

void xielu(const float* x, std::size_t count, float p, float n, float b, float eps, float* out)
{
    const F zero = Lanes::zero();
    for (std::size_t i = 0; i < count; i += 16) {
        const F v = Lanes::load(x + i);
        const F linear = Lanes::mul(Lanes::set1(b), v);
        const F above = Lanes::fma(Lanes::mul(Lanes::set1(p), v), v, linear);
        const F grown = Lanes::sub(exp_lanes(Lanes::min(v, Lanes::set1(eps))), Lanes::set1(1.0f));
        const F below = Lanes::fma(Lanes::set1(n), Lanes::sub(grown, v), linear);
        Lanes::store(out + i, Lanes::select_below(zero, v, above, below));
    }
}

// 1 - 2 / (e^2x + 1).
[[gnu::always_inline]] inline F tanh_lanes(F x)
{
    const F one = Lanes::set1(1.0f);
    const F twice = Lanes::max(Lanes::set1(-40.0f), Lanes::add(x, x));
    return Lanes::sub(one, Lanes::div(Lanes::set1(2.0f), Lanes::add(exp_lanes(twice), one)));
}

[[gnu::always_inline]] inline F soft_cap_lanes(F x, F cap)
{
    return Lanes::mul(cap, tanh_lanes(Lanes::div(x, cap)));
}

void soft_cap(const float* x, std::size_t n, float cap, float* out)
{
    const F limit = Lanes::set1(cap);
    for (std::size_t i = 0; i < n; i += 16) Lanes::store(out + i, soft_cap_lanes(Lanes::load(x + i), limit));
}

void l2_normalize(const float* x, std::size_t n, float* out)
{
    const float length = square_root(sum_of_squares(x, n));
    const F scale = Lanes::set1(length > 0 ? 1.0f / length : 0.0f);
    for (std::size_t i = 0; i < n; i += 16) Lanes::store(out + i, Lanes::mul(Lanes::load(x + i), scale));
}

constexpr float kLargestHalf = 65504.0f;

// What is beyond a half becomes the largest one: infinity times the weight 0 of a position that is not seen
// would be no number.
void to_half(const float* x, std::size_t n, std::uint16_t* out)
{
    for (std::size_t i = 0; i < n; i += 16) {
        const F capped = Lanes::min(Lanes::set1(kLargestHalf), Lanes::load(x + i));
        Lanes::store_half(out + i, Lanes::max(Lanes::set1(-kLargestHalf), capped));
    }
}

// The scale is rounded before it is used, so that only the integers are inexact. A half's steps may be so
// coarse that the integers would leave their range.
void to_bytes(const float* x, std::size_t n, std::int8_t* out, std::uint16_t* scale)
{
    const float wanted = largest_magnitude(x, n) / 127.0f;
    alignas(64) std::uint16_t halves[16];
    alignas(64) float lanes[16];
    Lanes::store_half(halves, Lanes::set1(wanted < kLargestHalf ? wanted : kLargestHalf));
    Lanes::store(lanes, Lanes::load_half(halves));
    *scale = halves[0];
    const F inverse = Lanes::set1(lanes[0] > 0 ? 1.0f / lanes[0] : 0.0f);
    for (std::size_t i = 0; i < n; i += 16) {
        const F scaled = Lanes::max(Lanes::mul(Lanes::load(x + i), inverse), Lanes::set1(-127.0f));
        const F within = Lanes::min(scaled, Lanes::set1(127.0f));
        Lanes::store_low(out + i, Lanes::add(within, Lanes::set1(kRounder)));
    }
}

// --- attention ---------------------------------------------------------------------------------------------

using Scores = float[kChunkPositions];  // of a query, and then their exponentials

// Positions that any query sees, from a whole 16.
struct Span {
    int begin, end;
};
template <int T>
Span seen_by_any(const AttendChunk& c)
{
    Span seen{static_cast<int>(kChunkPositions), 0};
    for (int t = 0; t < T; ++t) {
        if (c.begin[t] >= c.end[t]) continue;
        if (c.begin[t] < seen.begin) seen.begin = c.begin[t];
        if (c.end[t] > seen.end) seen.end = c.end[t];
    }
    seen.begin -= seen.begin % 16;
    return seen;
}

// Files the scores of 16 positions with a query.
[[gnu::always_inline]] inline void keep_scores(const AttendChunk& c, int t, int first, F score,
                                               Scores& scores, F& largest)
{
    const F capped = c.cap == 0 ? score : soft_cap_lanes(score, Lanes::set1(c.cap));
    const F seen =
        Lanes::keep_between(capped, c.begin[t] - first, c.end[t] - first, Lanes::set1(-__builtin_inff()));
    Lanes::store(scores + first, seen);
    largest = Lanes::max(seen, largest);
}

void exponentials(const AttendChunk& c, int t, Span seen, F largest, Scores& scores)
{
    c.maximum[t] = Lanes::reduce_max(largest);
    F sum = Lanes::zero();
    // A query that sees nothing here gets weights of exactly 0.
    const F top = Lanes::set1(c.begin[t] < c.end[t] ? c.maximum[t] : 0.0f);
    for (int first = seen.begin; first < seen.end; first += 16) {
        const F p = exp_lanes(Lanes::sub(Lanes::load(scores + first), top));
        Lanes::store(scores + first, p);
        sum = Lanes::add(sum, p);
    }
    c.sum[t] = Lanes::reduce_add(sum);
}

template <int T>
void attend_halves(const AttendChunk& c)
{
    const Span seen = seen_by_any<T>(c);
    alignas(64) Scores scores[T];
    F largest[T];
    for (int t = 0; t < T; ++t) largest[t] = Lanes::set1(-__builtin_inff());
    const auto* const keys = reinterpret_cast<const std::uint16_t*>(c.keys);
    const auto* const values = reinterpret_cast<const std::uint16_t*>(c.values);
    for (int first = seen.begin; first < seen.end; first += 16) {
        F acc[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) acc[t] = Lanes::zero();
        const std::uint16_t* key = keys + static_cast<std::size_t>(first) * c.head_size;
        const float* q = c.q;
        for (std::size_t d = 0; d < c.head_size; ++d, key += 16, q += T) {
            const F k = Lanes::load_half(key);
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) acc[t] = Lanes::fma(k, Lanes::set1(q[t]), acc[t]);
        }
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) keep_scores(c, t, first, acc[t], scores[t], largest[t]);
    }
    for (int t = 0; t < T; ++t) exponentials(c, t, seen, largest[t], scores[t]);
    for (std::size_t d = 0; d < c.head_size; d += 16) {
        F acc[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) acc[t] = Lanes::zero();
        const std::uint16_t* value = values + static_cast<std::size_t>(seen.begin) * c.head_size + d;
        for (int i = seen.begin; i < seen.end; ++i, value += c.head_size) {
            const F v = Lanes::load_half(value);
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) acc[t] = Lanes::fma(v, Lanes::set1(scores[t][i]), acc[t]);
        }
        for (int t = 0; t < T; ++t)
            Lanes::store(c.out + static_cast<std::size_t>(t) * c.head_size + d, acc[t]);
    }
}

template <int T>
void attend_bytes(const AttendChunk& c)
{
    const Span seen = seen_by_any<T>(c);
    alignas(64) Scores scores[T];
    F largest[T];
    for (int t = 0; t < T; ++t) largest[t] = Lanes::set1(-__builtin_inff());
    // So many bytes of values belong to 16 positions.
    const std::size_t of_values = 16 * (c.head_size + sizeof(std::uint16_t));
    const std::size_t blocks = c.head_size / kKeyBlock;
    for (int first = seen.begin; first < seen.end; first += 16) {
        const auto* key = reinterpret_cast<const std::int8_t*>(c.keys) +
                          static_cast<unsigned>(first) / 16 * blocks * kKeyBlockBytes;
        const std::int32_t* q = c.q_pairs;
        F acc[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) acc[t] = Lanes::zero();
        for (std::size_t block = 0; block < blocks; ++block, key += kKeyBlockBytes) {
            I dots[T];
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) dots[t] = Lanes::zero_int();
            for (std::size_t pair = 0; pair < kKeyBlock / 2; ++pair, q += T) {
                const I k = Lanes::load_pairs(key + 32 * pair);
                JIPHYEON_UNROLL(12)
                for (int t = 0; t < T; ++t) dots[t] = Lanes::dot_pair(dots[t], k, q[t]);
            }
            const F scale = Lanes::load_half(reinterpret_cast<const std::uint16_t*>(key + 16 * kKeyBlock));
            JIPHYEON_UNROLL(12)
            for (int t = 0; t < T; ++t) acc[t] = Lanes::fma(scale, Lanes::to_float(dots[t]), acc[t]);
        }
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) {
            const F score = Lanes::mul(acc[t], Lanes::set1(c.q_scales[t]));
            keep_scores(c, t, first, score, scores[t], largest[t]);
        }
    }

    const auto values_of = [&](int first) {
        return reinterpret_cast<const std::int8_t*>(c.values) + static_cast<unsigned>(first) / 16 * of_values;
    };
    alignas(64) std::int16_t weights[T][kChunkPositions];
    float weight_scales[T];
    for (int t = 0; t < T; ++t) {
        exponentials(c, t, seen, largest[t], scores[t]);
        // What was never written may be no number, even times 0.
        for (int first = seen.begin; first < seen.end; first += 16) {
            const auto* const scale =
                reinterpret_cast<const std::uint16_t*>(values_of(first) + 16 * c.head_size);
            const F weight = Lanes::mul(Lanes::load(scores[t] + first), Lanes::load_half(scale));
            Lanes::store(scores[t] + first,
                         Lanes::keep_between(weight, c.begin[t] - first, c.end[t] - first, Lanes::zero()));
        }
        const int size = seen.begin < seen.end ? (seen.end - seen.begin + 15) / 16 * 16 : 0;
        weight_scales[t] =
            round_block(scores[t] + seen.begin, static_cast<std::size_t>(size), weights[t] + seen.begin);
    }
    for (std::size_t d = 0; d < c.head_size; d += 16) {
        I acc[T];
        JIPHYEON_UNROLL(12)
        for (int t = 0; t < T; ++t) acc[t] = Lanes::zero_int();
        for (int first = seen.begin; first < seen.end; first += 16) {
            const std::int8_t* value = values_of(first) + 2 * d;
            for (int i = first; i < first + 16; i += 2, value += 2 * c.head_size) {
                const I v = Lanes::load_pairs(value);
                JIPHYEON_UNROLL(12)
                for (int t = 0; t < T; ++t) {
                    std::int32_t pair;
                    __builtin_memcpy(&pair, weights[t] + i, sizeof pair);
                    acc[t] = Lanes::dot_pair(acc[t], v, pair);
                }
            }
        }
        for (int t = 0; t < T; ++t)
            Lanes::store(c.out + static_cast<std::size_t>(t) * c.head_size + d,
                         Lanes::mul(Lanes::to_float(acc[t]), Lanes::set1(weight_scales[t])));
    }
}

template <int T>
void attend_tile(const AttendChunk& c)
{
    c.type == KvType::q8 ? attend_bytes<T>(c) : attend_halves<T>(c);
}

void attend(const AttendChunk& chunk)
{
    switch (chunk.queries) {
        case 1:
            return attend_tile<1>(chunk);
        case 2:
            return attend_tile<2>(chunk);
        case 4:
            return attend_tile<4>(chunk);
        case 6:
            return attend_tile<6>(chunk);
        case 8:
            return attend_tile<8>(chunk);
        default:
            return attend_tile<12>(chunk);
    }
}

void merge(float* maximum, float* sum, float* out, float chunk_maximum, float chunk_sum,
           const float* chunk_out, std::size_t head_size)
{
    if (chunk_sum == 0) return;  // nothing seen
    const float top = *maximum > chunk_maximum ? *maximum : chunk_maximum;
    const float old_share = exp_one(*maximum - top);
    const float new_share = exp_one(chunk_maximum - top);
    *maximum = top;
    *sum = *sum * old_share + chunk_sum * new_share;
    for (std::size_t d = 0; d < head_size; d += 16) {
        const F added = Lanes::mul(Lanes::load(chunk_out + d), Lanes::set1(new_share));
        Lanes::store(out + d, Lanes::fma(Lanes::load(out + d), Lanes::set1(old_share), added));
    }
}

constexpr Kernels make_kernels(Isa isa)
{
    Kernels k{};
    k.isa = isa;
    set_products(k);
    k.quantize_32 = quantize_32;
    k.quantize_256 = quantize_256;
    k.quantize_blocks_32 = quantize_blocks_32;
    k.quantize_blocks_256 = quantize_blocks_256;
    k.rms_norm = rms_norm;
    k.layer_norm = layer_norm;
    k.silu_multiply = silu_multiply;
    k.gelu = gelu;
    k.gelu_tanh = gelu_tanh;
    k.xielu = xielu;
    k.soft_cap = soft_cap;
    k.l2_normalize = l2_normalize;
    k.to_half = to_half;
    k.to_bytes = to_bytes;
    k.to_shorts = round_block<std::int16_t>;
    k.attend = attend;
    k.merge = merge;
    return k;
}

}  // namespace
}  // namespace jiphyeon
