// Plain C++: the reference that the others must equal bit for bit, and what runs on any x86-64.
#include "kernels.hpp"
#include "lanes_scalar.hpp"

#define JIPHYEON_UNROLL(n)
#include "kernels_body.hpp"

namespace jiphyeon {
constinit const Kernels kKernelsScalar = make_kernels(Isa::scalar);
}
