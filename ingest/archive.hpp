// Members of a ZIP in memory, every one of them bounded.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "parse.hpp"

struct zip;

namespace jiphyeon {

class Archive {
public:
    struct Member {
        std::string name;  // UTF-8, with forward slashes
        std::uint64_t index = 0;
        std::uint64_t bytes = 0, packed = 0;
        bool encrypted = false;
        bool folder = false;
    };
    // Throws Unreadable: broken, bomb. The bytes must outlive it.
    explicit Archive(std::string_view bytes);
    ~Archive();
    Archive(const Archive&) = delete;
    Archive& operator=(const Archive&) = delete;

    const std::vector<Member>& members() const { return members_; }
    const Member* find(std::string_view name) const;  // nullptr where there is none
    bool has(std::string_view name) const { return find(name) != nullptr; }
    // Throws Unreadable: broken, bomb, password.
    std::string read(const Member& member);
    std::string read(std::string_view name);  // missing: Unreadable broken

private:
    zip* zip_ = nullptr;
    std::vector<Member> members_;
    std::map<std::string, std::size_t, std::less<>> by_name_;
    std::uint64_t inflated_ = 0;
};

}  // namespace jiphyeon
