// An array that grows without moving: one writer fills elements that no reader knows of yet, and readers
// learn of them through the lock that publishes a commit.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace jiphyeon {

template <typename T>
class Segmented {
public:
    Segmented() = default;
    Segmented(const Segmented&) = delete;
    Segmented& operator=(const Segmented&) = delete;
    ~Segmented()
    {
        for (auto& segment : segments_) delete[] segment.load(std::memory_order_relaxed);
    }
    const T& operator[](std::uint32_t i) const
    {
        return segments_[i >> kBits].load(std::memory_order_acquire)[i & kMask];
    }
    void set(std::uint32_t i, const T& value)
    {
        std::atomic<T*>& segment = segments_[i >> kBits];
        if (segment.load(std::memory_order_relaxed) == nullptr) {
            segment.store(std::make_unique<T[]>(kMask + 1).release(), std::memory_order_release);
        }
        segment.load(std::memory_order_relaxed)[i & kMask] = value;
    }

private:
    static constexpr unsigned kBits = 16;
    static constexpr std::uint32_t kMask = (1u << kBits) - 1;
    std::array<std::atomic<T*>, 1u << (32 - kBits)> segments_{};
};

}  // namespace jiphyeon
