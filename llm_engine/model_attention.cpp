// Attention of one step: its queries are shared out in tiles of up to 12 that have a key/value head in
// common, as the kernel wants them. Each tile goes over the chunks of positions in ascending order.
#include <algorithm>
#include <cstring>
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
    AttendSpace& space = work_.attention[thread];
    space.chunk_out.resize(kAttendQueries * size);
    space.running.assign(kAttendQueries * size, 0.0f);
    if (shape_.kv_type == KvType::f16) {
        space.q.assign(kAttendQueries * size, 0.0f);
    } else {
        space.q_pairs.assign(kAttendQueries * size / 2, 0);
    }
    for (unsigned i = 0; i < tile.queries; ++i) place_query(tile, i, space);

    float chunk_maximum[kAttendQueries];
    float chunk_sum[kAttendQueries];
    AttendChunk task;
    task.type = shape_.kv_type;
    task.queries = tile.padded;
    task.head_size = size;
    task.cap = shape_.attention_cap;
    task.q = space.q.data();
    task.q_pairs = space.q_pairs.data();
    task.q_scales = space.q_scales;
    task.maximum = chunk_maximum;
    task.sum = chunk_sum;
    task.out = space.chunk_out.data();

    float maximum[kAttendQueries];
    float sum[kAttendQueries];
    std::fill_n(maximum, kAttendQueries, -std::numeric_limits<float>::infinity());
    std::fill_n(sum, kAttendQueries, 0.0f);
    for (std::size_t chunk = tile.begin / kChunkPositions; chunk * kChunkPositions < tile.end; ++chunk) {
        attend_chunk_of_tile(layer, plane, tile, chunk, task);
        for (unsigned i = 0; i < tile.queries; ++i) {
            kernels_.merge(&maximum[i], &sum[i], space.running.data() + i * size, chunk_maximum[i],
                           chunk_sum[i], space.chunk_out.data() + i * size, size);
        }
    }
    for (unsigned i = 0; i < tile.queries; ++i) {
        const std::size_t query = tile.first + i;
        const std::size_t head = tile.kv_head * group + query % group;
        float* const to = work_.attended.data() + ((tile.row + query / group) * shape_.heads + head) * size;
        const float share = 1.0f / sum[i];
        for (std::size_t d = 0; d < size; ++d) to[d] = space.running[i * size + d] * share;
    }
}

// Puts query i of the tile beside the others.
void Model::place_query(const QueryTile& tile, unsigned i, AttendSpace& space) const
{
    const std::size_t size = shape_.head_size;
    const std::size_t group = shape_.heads / shape_.kv_heads;
    const std::size_t query = tile.first + i;
    const std::size_t head = tile.kv_head * group + query % group;
    const float* const from = work_.q.data() + ((tile.row + query / group) * shape_.heads + head) * size;
    if (shape_.kv_type == KvType::f16) {
        for (std::size_t d = 0; d < size; ++d)
            space.q[d * tile.padded + i] = from[d] * shape_.attention_scale;
        return;
    }
    std::int16_t shorts[kHeadSizeMax];
    space.q_scales[i] = kernels_.to_shorts(from, size, shorts) * shape_.attention_scale;
    for (std::size_t pair = 0; pair < size / 2; ++pair)
        std::memcpy(&space.q_pairs[pair * tile.padded + i], shorts + 2 * pair, sizeof(std::int32_t));
}

void Model::attend_chunk_of_tile(const Layer& layer, std::size_t plane, const QueryTile& tile,
                                 std::size_t chunk, AttendChunk task) const
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
    const KvPage& page = *(*work_.rows[tile.row].pages)[chunk];
    task.keys = page.keys(plane, tile.kv_head);
    task.values = page.values(plane, tile.kv_head);
    task.begin = begin;
    task.end = end;
    kernels_.attend(task);
}

}  // namespace jiphyeon
