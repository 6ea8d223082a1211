#include "kv_cache.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "jiphyeon/crypto.hpp"

namespace jiphyeon {

std::string_view kv_type_name(KvType type)
{
    return type == KvType::q8 ? "q8" : "f16";
}

std::optional<KvType> kv_type_from_name(std::string_view name)
{
    for (const KvType type : {KvType::f16, KvType::q8}) {
        if (name == kv_type_name(type)) return type;
    }
    return std::nullopt;
}

// Not zeroed: what was not written counts for nothing in attention, whatever it is.
KvPage::KvPage(const KvShape& shape) : shape_(shape), bytes_(shape.page_bytes()) {}

void KvPage::store(const Kernels& kernels, std::size_t layer, std::size_t head, std::size_t position,
                   const float* key, const float* value)
{
    const std::size_t size = shape_.head_size;
    const std::size_t lane = position % 16;
    std::uint8_t* keys = at(layer, head) + position / 16 * shape_.keys_of_16();
    std::uint8_t* const values =
        at(layer, head) + shape_.keys_bytes() + position / 16 * shape_.values_of_16();
    if (shape_.type == KvType::f16) {
        std::uint16_t halves[kHeadSizeMax];
        kernels.to_half(key, size, halves);
        auto* const to = reinterpret_cast<std::uint16_t*>(keys);
        for (std::size_t d = 0; d < size; ++d) to[d * 16 + lane] = halves[d];
        kernels.to_half(value, size, reinterpret_cast<std::uint16_t*>(values) + lane * size);
        return;
    }
    std::int8_t bytes[kHeadSizeMax];
    for (std::size_t d = 0; d < size; d += kKeyBlock, keys += kKeyBlockBytes) {
        float block[16] = {};  // kernels take whole 16s
        std::copy_n(key + d, kKeyBlock, block);
        kernels.to_bytes(block, 16, bytes, reinterpret_cast<std::uint16_t*>(keys + 16 * kKeyBlock) + lane);
        for (std::size_t i = 0; i < kKeyBlock; ++i)
            keys[(i / 2 * 16 + lane) * 2 + i % 2] = static_cast<std::uint8_t>(bytes[i]);
    }
    kernels.to_bytes(value, size, bytes, reinterpret_cast<std::uint16_t*>(values + 16 * size) + lane);
    for (std::size_t d = 0; d < size; ++d)
        values[(lane / 2 * size + d) * 2 + lane % 2] = static_cast<std::uint8_t>(bytes[d]);
}

std::shared_ptr<KvPage> KvPage::copy(std::size_t positions) const
{
    auto page = std::make_shared<KvPage>(shape_);
    const std::size_t groups = (positions + 15) / 16;
    for (std::size_t i = 0; i < shape_.layers * shape_.heads; ++i) {
        const std::uint8_t* const from = bytes_.get() + i * shape_.head_bytes();
        std::uint8_t* const to = page->bytes_.get() + i * shape_.head_bytes();
        std::memcpy(to, from, groups * shape_.keys_of_16());
        std::memcpy(to + shape_.keys_bytes(), from + shape_.keys_bytes(), groups * shape_.values_of_16());
    }
    return page;
}

std::size_t PrefixCache::common(const Node& node, std::span<const TokenId> tokens)
{
    const std::size_t size = std::min(node.tokens.size(), tokens.size());
    std::size_t i = 0;
    while (i < size && node.tokens[i] == tokens[i]) ++i;
    return i;
}

PrefixCache::PrefixCache(const KvShape& shape, std::size_t bytes_max, std::unique_ptr<PageFile> file)
    : shape_(shape), bytes_max_(bytes_max), file_(std::move(file))
{
    if (!file_) return;
    for (std::size_t slot = 0; slot < file_->slots(); ++slot) free_slots_.push_back(slot);
}

PrefixCache::Found PrefixCache::find(std::string_view domain, std::span<const TokenId> prompt)
{
    Found found;
    if (domain.empty() || prompt.size() < 2) return found;
    const std::span<const TokenId> usable = prompt.first(prompt.size() - 1);
    std::shared_ptr<KvPage> partial;
    std::size_t partial_tokens = 0;
    {
        const std::lock_guard lock(mutex_);
        const auto root = roots_.find(domain);
        if (root == roots_.end()) return found;
        ++clock_;
        Node* node = &root->second;
        std::size_t longest = kChunkPositions;
        for (std::size_t done = 0; longest == kChunkPositions; done += longest) {
            Node* best = nullptr;
            longest = 0;
            for (const auto& child : node->children) {
                const std::size_t length = common(*child, usable.subspan(done));
                if (length > longest) {
                    longest = length;
                    best = child.get();
                }
            }
            if (best == nullptr) break;
            best->used = clock_;
            node = best;
            if (!best->page) {
                if (!best->slot) break;
                found.stored.push_back({*best->slot, best->identity, longest});
            } else if (longest == kChunkPositions) {
                assert(found.stored.empty());
                found.pages.push_back(best->page);
                found.tokens += kChunkPositions;
            } else {
                partial = best->page;
                partial_tokens = longest;
            }
        }
        if (pages_ <= bytes_max_ / shape_.page_bytes()) found.shared = found.pages.size();
    }
    if (partial) {
        found.pages.push_back(partial->copy(partial_tokens));
        found.tokens += partial_tokens;
    }
    return found;
}

// Nobody keeps a slot from being written anew before it is read here; another page does not open.
void PrefixCache::load(Found& found)
{
    for (const Found::Stored& stored : std::exchange(found.stored, {})) {
        auto page = std::make_shared<KvPage>(shape_);
        if (!file_->read(stored.slot, stored.identity, page->bytes())) {
            const std::lock_guard lock(mutex_);
            Node* const node = oldest([&](const Node& other) {
                return other.slot == stored.slot && other.identity == stored.identity;
            });
            if (node != nullptr) free_slot(*node);
            return;
        }
        found.pages.push_back(std::move(page));
        found.tokens += stored.tokens;
    }
}

void PrefixCache::keep(std::string_view domain, std::span<const TokenId> tokens, KvPages pages)
{
    if (domain.empty() || tokens.empty() || bytes_max_ < shape_.page_bytes()) return;
    bool full = false;
    {
        const std::lock_guard lock(mutex_);
        ++clock_;
        const auto [root, fresh] = roots_.try_emplace(std::string(domain));
        if (fresh) {
            root->second.identity =
                crypto::sha256(std::string(kv_type_name(shape_.type)) + " domain " + std::string(domain));
        }
        Node* node = &root->second;
        for (std::size_t first = 0, page = 0; first < tokens.size(); first += kChunkPositions, ++page) {
            const auto mine = tokens.subspan(first, std::min(kChunkPositions, tokens.size() - first));
            Node* next = nullptr;
            for (const auto& child : node->children) {
                const std::size_t length = common(*child, mine);
                if (length == mine.size()) {  // known already, perhaps with more behind it
                    next = child.get();
                    if (length == child->tokens.size() && !child->page) {
                        child->page = pages[page];
                        ++pages_;
                    }
                    break;
                }
                if (length == child->tokens.size() && child->children.empty()) {  // ours goes further
                    next = child.get();
                    if (!child->page) ++pages_;
                    set(*child, *node, mine, pages[page]);
                    break;
                }
            }
            if (next == nullptr) {
                next = node->children.emplace_back(std::make_unique<Node>()).get();
                set(*next, *node, mine, pages[page]);
                ++pages_;
            }
            next->used = clock_;
            node = next;
        }
        full = pages_ > bytes_max_ / shape_.page_bytes();
    }
    pages.clear();
    if (full) evict();
}

void PrefixCache::set(Node& node, const Node& parent, std::span<const TokenId> tokens,
                      std::shared_ptr<KvPage> page)
{
    node.tokens.assign(tokens.begin(), tokens.end());
    node.page = std::move(page);
    crypto::Sha256 identity;
    identity.update({reinterpret_cast<const char*>(parent.identity.data()), parent.identity.size()});
    identity.update({reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()});
    node.identity = identity.finish();
}

// The longest unused of those that `may` be taken; of nodes used at once the last of the path.
template <typename May>
PrefixCache::Node* PrefixCache::oldest(const May& may)
{
    Node* found = nullptr;
    std::vector<Node*> open;
    for (auto& [domain, root] : roots_) open.push_back(&root);
    while (!open.empty()) {
        Node* const node = open.back();
        open.pop_back();
        for (const auto& child : node->children) {
            open.push_back(child.get());
            if (may(*child) && (found == nullptr || child->used <= found->used)) found = child.get();
        }
    }
    return found;
}

// A page goes after those that follow it. To drop what a request is using would free nothing.
void PrefixCache::evict()
{
    const auto may_go = [](const Node& node) {
        return node.page.use_count() == 1 &&
               std::none_of(node.children.begin(), node.children.end(),
                            [](const auto& child) { return child->page != nullptr; });
    };
    const std::lock_guard one(evicting_);
    std::unique_lock lock(mutex_);
    while (pages_ > bytes_max_ / shape_.page_bytes()) {
        Node* const node = oldest(may_go);
        if (node == nullptr) break;
        // One that is filled in part would cost as much as a full one and spare less.
        if (!node->slot && node->tokens.size() == kChunkPositions) store(*node, lock);
        if (!may_go(*node)) continue;  // found by a request meanwhile, or followed by a page of one
        node->page.reset();
        --pages_;
    }
    for (auto& [domain, root] : roots_) prune(root);
    std::erase_if(roots_, [](const auto& entry) { return entry.second.children.empty(); });
}

// Puts a page into the file, in the place of the longest unused if need be. `lock` is open while it is
// written: who looks for pages finds this one in memory.
void PrefixCache::store(Node& node, std::unique_lock<std::mutex>& lock)
{
    if (!file_ || file_->slots() == 0) return;
    if (free_slots_.empty()) {
        Node* const last = oldest([](const Node& other) {
            return other.slot && (other.page || std::none_of(other.children.begin(), other.children.end(),
                                                             [](const auto& child) { return child->slot; }));
        });
        free_slot(*last);
    }
    const std::size_t slot = free_slots_.back();
    free_slots_.pop_back();
    const std::shared_ptr<KvPage> page = node.page;
    const Digest identity = node.identity;
    lock.unlock();
    const bool written = file_->write(slot, identity, page->bytes());
    lock.lock();
    if (written) {
        node.slot = slot;
    } else {
        free_slots_.push_back(slot);
    }
}

void PrefixCache::free_slot(Node& node)
{
    free_slots_.push_back(*node.slot);
    node.slot.reset();
}

void PrefixCache::prune(Node& node)
{
    for (const auto& child : node.children) prune(*child);
    std::erase_if(node.children,
                  [](const auto& child) { return !child->page && !child->slot && child->children.empty(); });
}

std::size_t PrefixCache::bytes() const
{
    const std::lock_guard lock(mutex_);
    return pages_ * shape_.page_bytes();
}

}  // namespace jiphyeon
