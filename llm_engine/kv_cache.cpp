#include "kv_cache.hpp"

#include <algorithm>
#include <cstring>

namespace jiphyeon {

// Not zeroed: attention looks at no value that was not written, and throws away the scores of such keys.
KvPage::KvPage(const KvShape& shape)
    : shape_(shape),
      numbers_(std::make_unique_for_overwrite<std::uint16_t[]>(shape.page_bytes() / sizeof(std::uint16_t)))
{
}

std::shared_ptr<KvPage> KvPage::copy(std::size_t positions) const
{
    auto page = std::make_shared<KvPage>(shape_);
    const std::size_t numbers = (positions + 15) / 16 * 16 * shape_.head_size;
    for (std::size_t i = 0; i < shape_.layers * shape_.heads * 2; ++i) {
        std::memcpy(page->numbers_.get() + i * shape_.plane(), numbers_.get() + i * shape_.plane(),
                    numbers * sizeof(std::uint16_t));
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
        for (;;) {
            Node* best = nullptr;
            std::size_t longest = 0;
            for (const auto& child : node->children) {
                const std::size_t length = common(*child, usable.subspan(found.tokens));
                if (length > longest) {
                    longest = length;
                    best = child.get();
                }
            }
            if (best == nullptr) break;
            best->used = clock_;
            if (longest < kChunkPositions) {
                partial = best->page;
                partial_tokens = longest;
                break;
            }
            found.pages.push_back(best->page);
            found.tokens += kChunkPositions;
            node = best;
        }
    }
    if (partial) {
        found.pages.push_back(partial->copy(partial_tokens));
        found.tokens += partial_tokens;
    }
    return found;
}

void PrefixCache::keep(std::string_view domain, std::span<const TokenId> tokens, KvPages pages)
{
    if (domain.empty() || tokens.empty() || bytes_max_ < shape_.page_bytes()) return;
    const std::lock_guard lock(mutex_);
    ++clock_;
    Node* node = &roots_.try_emplace(std::string(domain)).first->second;
    for (std::size_t first = 0, page = 0; first < tokens.size(); first += kChunkPositions, ++page) {
        const auto mine = tokens.subspan(first, std::min(kChunkPositions, tokens.size() - first));
        Node* next = nullptr;
        for (const auto& child : node->children) {
            const std::size_t length = common(*child, mine);
            if (length == mine.size()) {  // known already, perhaps with more behind it
                next = child.get();
                break;
            }
            if (length == child->tokens.size() && child->children.empty()) {  // ours goes further
                child->tokens.assign(mine.begin(), mine.end());
                child->page = pages[page];
                next = child.get();
                break;
            }
        }
        if (next == nullptr) {
            auto child = std::make_unique<Node>();
            child->tokens.assign(mine.begin(), mine.end());
            child->page = pages[page];
            next = child.get();
            node->children.push_back(std::move(child));
            ++pages_;
        }
        next->used = clock_;
        node = next;
    }
    pages.clear();
    evict_to(bytes_max_ / shape_.page_bytes());
}

// Leaves go first, the longest unused before others. To drop what a request is using would free nothing.
void PrefixCache::evict_to(std::size_t pages)
{
    while (pages_ > pages) {
        std::vector<std::unique_ptr<Node>>* siblings = nullptr;
        std::size_t index = 0;
        std::uint64_t oldest = ~std::uint64_t{0};
        std::vector<Node*> open;
        for (auto& [domain, root] : roots_) open.push_back(&root);
        while (!open.empty()) {
            Node* const node = open.back();
            open.pop_back();
            for (std::size_t i = 0; i < node->children.size(); ++i) {
                Node* const child = node->children[i].get();
                if (!child->children.empty()) {
                    open.push_back(child);
                } else if (child->used < oldest && child->page.use_count() == 1) {
                    oldest = child->used;
                    siblings = &node->children;
                    index = i;
                }
            }
        }
        if (siblings == nullptr) break;
        siblings->erase(siblings->begin() + static_cast<std::ptrdiff_t>(index));
        --pages_;
    }
    std::erase_if(roots_, [](const auto& entry) { return entry.second.children.empty(); });
}

std::size_t PrefixCache::bytes() const
{
    const std::lock_guard lock(mutex_);
    return pages_ * shape_.page_bytes();
}

}  // namespace jiphyeon
