// A pull reader over XML in memory (libxml2), for recursive descent by local names. No network, no external
// entities, no entity expansion; depth is bounded by the library (256).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "parse.hpp"

struct _xmlTextReader;

namespace jiphyeon {

class Xml {
public:
    // `what` names the part in messages. The bytes must outlive the reader.
    Xml(std::string_view bytes, std::string what);
    ~Xml();
    Xml(const Xml&) = delete;
    Xml& operator=(const Xml&) = delete;

    // Moves to the root element and returns its local name. Throws Unreadable where there is none.
    std::string_view root();
    // Calls on_child(local name) at each child element of the current one; what the callee does not consume
    // is skipped. on_text sees character data directly inside. Throws Unreadable at broken XML.
    void children(const std::function<void(std::string_view)>& on_child,
                  const std::function<void(std::string_view)>& on_text = nullptr);
    std::string text();  // all character data inside the current element, which is consumed
    // Attribute by local name; empty where there is none.
    std::string attribute(const char* name) const;
    std::uint32_t number(const char* name, std::uint32_t otherwise) const;

private:
    bool read();
    _xmlTextReader* reader_ = nullptr;
    std::string what_;
};

}  // namespace jiphyeon
