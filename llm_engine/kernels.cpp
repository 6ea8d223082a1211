#include "kernels.hpp"

#include <cpuid.h>

#include <array>

#include "amx.hpp"

namespace jiphyeon {
namespace {

constexpr std::array<std::pair<Isa, std::string_view>, 5> kNames = {{{Isa::best, "best"},
                                                                     {Isa::scalar, "scalar"},
                                                                     {Isa::avx2, "avx2"},
                                                                     {Isa::avx512, "avx512"},
                                                                     {Isa::amx, "amx"}}};

// clang 14's builtin does not know this one.
bool has_f16c()
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

bool runs_avx2()
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

bool runs_avx512()
{
    return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}

bool runs(Isa isa)
{
    switch (isa) {
        case Isa::avx2:
            return runs_avx2();
        case Isa::avx512:
            return runs_avx512();
        case Isa::amx:
            return runs_avx512() && runs_amx();
        case Isa::best:
        case Isa::scalar:
            break;
    }
    return true;
}

Isa fastest()
{
    if (!runs(Isa::avx512)) return runs(Isa::avx2) ? Isa::avx2 : Isa::scalar;
    return runs(Isa::amx) && amx_is_faster() ? Isa::amx : Isa::avx512;
}

}  // namespace

std::string_view isa_name(Isa isa)
{
    for (const auto& [id, name] : kNames) {
        if (id == isa) return name;
    }
    return "best";
}

std::optional<Isa> isa_from_name(std::string_view name)
{
    for (const auto& [id, text] : kNames) {
        if (text == name) return id;
    }
    return std::nullopt;
}

std::vector<Isa> available_isas()
{
    std::vector<Isa> isas;
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512, Isa::amx}) {
        if (runs(isa)) isas.push_back(isa);
    }
    return isas;
}

const Kernels& kernels_for(Isa isa)
{
    if (!runs(isa)) {
        throw EngineError(EngineError::Kind::unsupported,
                          "this processor has no kernels for " + std::string(isa_name(isa)));
    }
    switch (isa) {
        case Isa::best: {
            static const Kernels& best = kernels_for(fastest());
            return best;
        }
        case Isa::scalar:
            break;
        case Isa::avx2:
            return kKernelsAvx2;
        case Isa::avx512:
            return kKernelsAvx512;
        case Isa::amx:
            return kKernelsAmx;
    }
    return kKernelsScalar;
}

ActForm act_form(TensorType type)
{
    switch (tensor_type_info(static_cast<std::uint32_t>(type))->block_elements) {
        case 32:
            return ActForm::per_32;
        case 256:
            return ActForm::per_256;
        default:
            return ActForm::plain;
    }
}

unsigned tile_tokens(std::size_t tokens)
{
    for (const unsigned size : {12u, 8u, 6u, 4u, 3u, 2u}) {
        if (tokens >= size) return size;
    }
    return 1;
}

unsigned attend_queries(std::size_t queries)
{
    for (const unsigned size : {1u, 2u, 4u, 6u, 8u}) {
        if (queries <= size) return size;
    }
    return kAttendQueries;
}

}  // namespace jiphyeon
