// Memory that begins a line of the cache. The kernels read and write 64 bytes at a time; where a line is
// straddled each of them costs two: storing a prompt's sums so made their products a fifteenth slower.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace jiphyeon {

inline constexpr std::size_t kLineBytes = 64;

template <typename T>
struct LineAllocator {
    using value_type = T;
    LineAllocator() = default;
    template <typename U>
    LineAllocator(const LineAllocator<U>&) noexcept
    {
    }
    T* allocate(std::size_t n)
    {
        if (n > SIZE_MAX / sizeof(T)) throw std::bad_array_new_length();
        return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{kLineBytes}));
    }
    void deallocate(T* p, std::size_t) noexcept { ::operator delete (p, std::align_val_t{kLineBytes}); }
    bool operator==(const LineAllocator&) const = default;
};

template <typename T>
using AlignedVector = std::vector<T, LineAllocator<T>>;

// Bytes that are not initialised. For what comes and goes: glibc 2.36 seldom finds an aligned piece again
// that was given back (a thousand requests left 8 MiB of them behind), so this takes an ordinary one and
// leaves out what lies before the line.
class AlignedBytes {
public:
    explicit AlignedBytes(std::size_t size)
        : memory_(std::make_unique_for_overwrite<std::uint8_t[]>(size + kLineBytes - 1))
    {
        const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
        first_ = memory_.get() + (kLineBytes - address % kLineBytes) % kLineBytes;
    }
    std::uint8_t* get() const { return first_; }

private:
    std::unique_ptr<std::uint8_t[]> memory_;
    std::uint8_t* first_;
};

}  // namespace jiphyeon
