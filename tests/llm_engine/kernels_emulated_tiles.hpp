// The plain C++ kernels with products by emulated tiles: what the kernels for AMX compute, on any processor.
#pragma once

#include "kernels.hpp"

namespace jiphyeon::test {

const Kernels& kernels_emulated_tiles();

}  // namespace jiphyeon::test
