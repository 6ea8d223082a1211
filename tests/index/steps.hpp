// A fixed course of commits: step n is the same whoever takes it.
#pragma once

#include <string>
#include <vector>

#include "fixture.hpp"

namespace jiphyeon::test {

inline SecretKey test_key()
{
    return SecretKey::from_bytes(std::vector<std::uint8_t>(32, 7));
}

inline void take_step(Index& index, unsigned n)
{
    const std::string id = "d" + std::to_string(n);
    switch (n % 5) {
        case 3:  // replaces the one before
            index.put(document("d" + std::to_string(n - 1), "public", {"바뀐 연가 " + std::to_string(n)}));
            break;
        case 4:
            if (n % 10 == 4) {
                index.remove("d" + std::to_string(n - 2));
            } else {
                index.set_label("d" + std::to_string(n - 2), "hr");
            }
            break;
        default: {
            DocumentWrite write = document(
                id, "public", {"연가 신청 " + std::to_string(n), "병가 제" + std::to_string(n) + "조"});
            write.original = "원본 " + id;
            write.rows = {{"journal", id, "indexed"}};
            index.put(write);
            if (n % 5 == 1) index.put_vectors(std::vector{id + "#0"}, std::vector<float>{1, 0, 0, 0}, "m");
        }
    }
}

}  // namespace jiphyeon::test
