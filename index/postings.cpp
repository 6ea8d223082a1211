#include "postings.hpp"

#include <algorithm>

#include "bytes.hpp"

namespace jiphyeon {
namespace {

// Most counts are 1, 2 or 3 and share the varint of the distance; 0 says that the count follows.
constexpr std::uint32_t kCountBits = 2;
constexpr std::uint32_t kSmallCountMax = (1u << kCountBits) - 1;

[[noreturn]] void corrupt(const char* what)
{
    throw IndexError(IndexError::Kind::corrupt, what);
}

// As ByteReader::varint32, on the path that every query takes for every posting.
inline std::uint32_t take_varint(const char*& at, const char* end)
{
    std::uint32_t value = 0;
    for (unsigned shift = 0; at != end && shift < 32; shift += 7) {
        const auto next = static_cast<unsigned char>(*at++);
        if (shift == 28 && next > 15) break;
        value |= static_cast<std::uint32_t>(next & 0x7F) << shift;
        if (next < 0x80) return value;
    }
    corrupt("postings are cut or malformed");
}

// The fold of a row and its operands, in chunk order.
class Fold {
public:
    void take(std::string_view bytes)
    {
        const std::size_t before = adds_.size();
        list_.clear();
        if (decode_postings(bytes, 0, list_) == PostingsKind::add) {
            adds_.insert(adds_.end(), list_.begin(), list_.end());
            sorted_ =
                sorted_ && (before == 0 || list_.empty() || adds_[before - 1].chunk < list_.front().chunk);
        } else {
            drops_.insert(drops_.end(), list_.begin(), list_.end());
        }
    }
    std::string result()
    {
        if (!sorted_) std::ranges::sort(adds_);
        if (!drops_.empty()) {
            std::ranges::sort(drops_);
            std::erase_if(adds_, [&](const Posting& posting) {
                return std::ranges::binary_search(drops_, posting.chunk, {}, &Posting::chunk);
            });
        }
        return encode_postings(PostingsKind::add, adds_);
    }

private:
    std::vector<Posting> adds_, drops_, list_;
    bool sorted_ = true;
};

std::string_view view(const rocksdb::Slice& slice)
{
    return {slice.data(), slice.size()};
}

class PostingsMerge final : public rocksdb::MergeOperator {
public:
    bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override
    {
        try {
            Fold fold;
            if (in.existing_value != nullptr) fold.take(view(*in.existing_value));
            for (const rocksdb::Slice& operand : in.operand_list) fold.take(view(operand));
            out->new_value = fold.result();
            return true;
        } catch (const std::exception&) {
            return false;  // RocksDB reports the row as corrupt
        }
    }
    bool PartialMergeMulti(const rocksdb::Slice&, const std::deque<rocksdb::Slice>& operands,
                           std::string* out, rocksdb::Logger*) const override
    {
        try {
            Fold fold;
            for (const rocksdb::Slice& operand : operands) {
                // A drop must stay until it meets the row that it is for.
                if (operand.empty() || operand[0] != static_cast<char>(PostingsKind::add)) return false;
                fold.take(view(operand));
            }
            *out = fold.result();
            return true;
        } catch (const std::exception&) {
            return false;
        }
    }
    const char* Name() const override { return "jiphyeon.postings.1"; }
};

class DropEmpty final : public rocksdb::CompactionFilter {
public:
    bool Filter(int, const rocksdb::Slice&, const rocksdb::Slice& value, std::string*, bool*) const override
    {
        return value.size() == 1;  // a kind and no posting
    }
    const char* Name() const override { return "jiphyeon.postings.empty"; }
};

}  // namespace

std::string postings_prefix(Field field, std::string_view term)
{
    std::string prefix(1, static_cast<char>(field));
    prefix += term;
    prefix += '\0';
    return prefix;
}

std::string postings_key(std::string_view prefix, std::uint32_t label, std::uint32_t bucket)
{
    std::string key(prefix);
    append_key32(key, label);
    append_key32(key, bucket);
    return key;
}

PostingsKey parse_postings_key(std::string_view key)
{
    const std::size_t end = key.find('\0', 1);
    if (key.empty() || static_cast<std::uint8_t>(key[0]) > static_cast<std::uint8_t>(Field::exact) ||
        end == std::string_view::npos || key.size() != end + 9) {
        corrupt("malformed key of postings");
    }
    return {static_cast<Field>(key[0]), key.substr(1, end - 1), read_key32(key.substr(end + 1)),
            read_key32(key.substr(end + 5))};
}

std::string encode_postings(PostingsKind kind, const std::vector<Posting>& list)
{
    std::string bytes;
    ByteWriter out(bytes);
    out.byte(static_cast<std::uint8_t>(kind));
    constexpr std::uint32_t kWithin = (1u << kBucketBits) - 1;
    std::uint32_t next = 0;
    for (const Posting& posting : list) {
        const std::uint32_t within = posting.chunk & kWithin;
        const std::uint32_t small = posting.count <= kSmallCountMax ? posting.count : 0;
        out.varint((static_cast<std::uint64_t>(within - next) << kCountBits) | small);
        if (small == 0) out.varint(posting.count);
        next = within + 1;
    }
    return bytes;
}

PostingsKind decode_postings(std::string_view bytes, std::uint32_t bucket, std::vector<Posting>& list)
{
    if (bytes.empty() || (bytes[0] != 1 && bytes[0] != 2)) corrupt("postings of an unknown kind");
    const std::uint32_t base = bucket << kBucketBits;
    const char* at = bytes.data() + 1;
    const char* const end = bytes.data() + bytes.size();
    list.reserve(list.size() + bytes.size() / 2);
    std::uint32_t next = 0;
    while (at != end) {
        const std::uint32_t head = take_varint(at, end);
        const std::uint32_t within = next + (head >> kCountBits);
        if (within >= (1u << kBucketBits)) corrupt("a posting outside its bucket");
        const std::uint32_t small = head & kSmallCountMax;
        list.push_back({base + within, small != 0 ? small : take_varint(at, end)});
        next = within + 1;
    }
    return static_cast<PostingsKind>(bytes[0]);
}

std::shared_ptr<rocksdb::MergeOperator> postings_merge_operator()
{
    static const auto shared = std::make_shared<PostingsMerge>();
    return shared;
}

const rocksdb::CompactionFilter* empty_postings_filter()
{
    static const DropEmpty filter;
    return &filter;
}

}  // namespace jiphyeon
