// Messages between parent, parser and PDF program: a JSON head, then bytes. The form inside a Channel's
// message: length of the head (4 bytes, little-endian), head, the rest.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace jiphyeon {

struct Message {
    nlohmann::json head;
    std::string_view bytes;  // into the message that was unpacked
};

inline std::string pack_message(const nlohmann::json& head, std::string_view bytes = {})
{
    const std::string text = head.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    std::string out;
    out.reserve(4 + text.size() + bytes.size());
    for (unsigned shift = 0; shift < 32; shift += 8)
        out.push_back(static_cast<char>(text.size() >> shift & 0xFF));
    out += text;
    out += bytes;
    return out;
}

// Throws std::runtime_error where the other side does not speak this.
inline Message unpack_message(std::string_view message)
{
    std::uint32_t length = 0;
    if (message.size() < 4) throw std::runtime_error("message without a head");
    for (unsigned i = 0; i < 4; ++i)
        length |= static_cast<std::uint32_t>(static_cast<unsigned char>(message[i])) << (8 * i);
    if (length > message.size() - 4) throw std::runtime_error("message shorter than its head");
    Message out;
    out.head = nlohmann::json::parse(message.substr(4, length));
    out.bytes = message.substr(4 + length);
    return out;
}

}  // namespace jiphyeon
