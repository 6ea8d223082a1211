// Attention of one step: its queries are shared out in tiles of up to 12 that have a key/value head in
// common, as the kernel wants them. Each tile goes over the chunks of positions in ascending order.
#include <algorithm>
#include <limits>

#include "model.hpp"

namespace jiphyeon {

// Queries of one sequence that share a key/value head: query i of the tile is head i % group of row i /
// group, counted from `first`.
struct Model::QueryTile {
    std::size_t row = 0;  // first row of the sequence's run of rows
    std::size_t kv_head = 0;
    std::size_t first = 0;
    unsigned queries = 0;   // real ones
    unsigned padded = 0;    // as the kernel wants them; the rest are zeros that see nothing
    std::size_t begin = 0;  // positions that any of them sees
    std::size_t end = 0;
};

// Positions [first, second) that a row sees in a layer.
std::pair<std::size_t, std::size_t> Model::seen_by(const Row& row, const Layer& layer) const
{
    if (layer.window == 0) return {row.begin, row.end};
    const bool around = shape_.family->window_around;
    const std::size_t before = around ? layer.window / 2 : layer.window - 1;
    const std::size_t after = around ? layer.window / 2 : 0;
    return {std::max(row.begin, row.position - std::min(row.position, before)),
            std::min(row.end, row.position + after + 1)};
}

void Model::attend(const Layer& layer, std::size_t plane)
{
    const std::size_t group = shape_.heads / shape_.kv_heads;
    std::vector<QueryTile> tiles;
    for (std::size_t row = 0, next = 0; row < work_.rows.size(); row = next) {
        while (next < work_.rows.size() && work_.rows[next].pages == work_.rows[row].pages) ++next;
        const std::size_t queries = (next - row) * group;
        for (std::size_t head = 0; head < shape_.kv_heads; ++head) {
            for (std::size_t first = 0; first < queries; first += kAttendQueries) {
                QueryTile tile{row, head, first, 0, 0, std::numeric_limits<std::size_t>::max(), 0};
                tile.queries = static_cast<unsigned>(std::min(kAttendQueries, queries - first));
                tile.padded = attend_queries(tile.queries);
                for (std::size_t i = first; i < first + tile.queries; ++i) {
                    const auto [begin, end] = seen_by(work_.rows[row + i / group], layer);
                    tile.begin = std::min(tile.begin, begin);
                    tile.end = std::max(tile.end, end);
                }
                tiles.push_back(tile);
            }
        }
    }
    pool_.run(tiles.size(), 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
        for (std::size_t i = begin; i < end; ++i) attend_tile(layer, plane, tiles[i], thread);
    });
}

void Model::attend_tile(const Layer& layer, std::size_t plane, const QueryTile& tile, unsigned thread)
{
    const std::size_t size = shape_.head_size;
    const std::size_t group = shape_.heads / shape_.kv_heads;
    std::vector<float>& space = work_.attention[thread];
    if (space.size() < 3 * kAttendQueries * size) space.resize(3 * kAttendQueries * size);
    float* const q = space.data();
    float* const chunk_out = q + kAttendQueries * size;
    float* const running = chunk_out + kAttendQueries * size;

    std::fill(space.begin(), space.end(), 0.0f);
    for (unsigned i = 0; i < tile.queries; ++i) {
        const std::size_t query = tile.first + i;
        const std::size_t head = tile.kv_head * group + query % group;
        const float* const from = work_.q.data() + ((tile.row + query / group) * shape_.heads + head) * size;
        for (std::size_t d = 0; d < size; ++d) q[d * tile.padded + i] = from[d] * shape_.attention_scale;
    }
    float maximum[kAttendQueries];
    float sum[kAttendQueries];
    std::fill_n(maximum, kAttendQueries, -std::numeric_limits<float>::infinity());
    std::fill_n(sum, kAttendQueries, 0.0f);
    for (std::size_t chunk = tile.begin / kChunkPositions; chunk * kChunkPositions < tile.end; ++chunk) {
        float chunk_maximum[kAttendQueries];
        float chunk_sum[kAttendQueries];
        attend_chunk_of_tile(layer, plane, tile, chunk, q, chunk_maximum, chunk_sum, chunk_out);
        for (unsigned i = 0; i < tile.queries; ++i) {
            kernels_.merge(&maximum[i], &sum[i], running + i * size, chunk_maximum[i], chunk_sum[i],
                           chunk_out + i * size, size);
        }
    }
    for (unsigned i = 0; i < tile.queries; ++i) {
        const std::size_t query = tile.first + i;
        const std::size_t head = tile.kv_head * group + query % group;
        float* const to = work_.attended.data() + ((tile.row + query / group) * shape_.heads + head) * size;
        const float share = 1.0f / sum[i];
        for (std::size_t d = 0; d < size; ++d) to[d] = running[i * size + d] * share;
    }
}

void Model::attend_chunk_of_tile(const Layer& layer, std::size_t plane, const QueryTile& tile,
                                 std::size_t chunk, float* q, float* maximum, float* sum, float* out)
{
    const std::size_t group = shape_.heads / shape_.kv_heads;
    int begin[kAttendQueries] = {};
    int end[kAttendQueries] = {};
    const auto within = [chunk](std::size_t position) {
        const std::size_t start = chunk * kChunkPositions;
        return static_cast<int>(std::clamp(position, start, start + kChunkPositions) - start);
    };
    for (unsigned i = 0; i < tile.queries; ++i) {
        const auto [first, past] = seen_by(work_.rows[tile.row + (tile.first + i) / group], layer);
        begin[i] = within(first);
        end[i] = within(past);
    }
    KvPage& page = *(*work_.rows[tile.row].pages)[chunk];
    AttendChunk task;
    task.queries = tile.padded;
    task.head_size = shape_.head_size;
    task.cap = shape_.attention_cap;
    task.q = q;
    task.keys = page.keys(plane, tile.kv_head);
    task.values = page.values(plane, tile.kv_head);
    task.begin = begin;
    task.end = end;
    task.maximum = maximum;
    task.sum = sum;
    task.out = out;
    kernels_.attend(task);
}

}  // namespace jiphyeon
