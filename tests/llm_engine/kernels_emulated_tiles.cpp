#include "kernels_emulated_tiles.hpp"

#include "emulated_tiles.hpp"
#include "lanes_scalar.hpp"

#define JIPHYEON_UNROLL(n)
#include "kernels_products.hpp"
using Tiles = jiphyeon::test::EmulatedTiles;
#include "kernels_tiles.hpp"

namespace jiphyeon::test {

const Kernels& kernels_emulated_tiles()
{
    static const Kernels kernels = with_tiles(kKernelsScalar);
    return kernels;
}

}  // namespace jiphyeon::test
