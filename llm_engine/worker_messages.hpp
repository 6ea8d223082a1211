// What the parent and the caged engine say to each other over their channel (policy/sandbox).
//
// A message is: type (u8), request id (u32), fields. Integers and floats are little-endian; a text is u32
// length and bytes; a list is u32 count and its elements; a flag is one byte, 0 or 1. Nothing may follow the
// last field. The parent chooses ids; answers and events carry the id of their request, and many requests run
// at once.
//
//     parent → child                                  child → parent
//     open      model, options                        opened     info, pieces, ends | failed
//     encode    text, add_special                     tokens     list | failed
//     control   name                                  tokens     none or one
//     chat      turns                                 tokens | failed
//     logits    prompt, cache domain                  floats | failed
//     embed     texts                                 floats | failed
//     rerank    query, passages                       floats | failed
//     generate  request, wanted events                any number of events, then generated | failed
//     cancel    (of a running request)
//                                                     text       piece      answered by go_on
//     go_on     flag: false cancels
//                                                     slot       name, since  answered by fill
//     fill      text, stop
//                                                     progress   done, total  (no answer)
//
// Both sides treat the other's bytes as foreign: every read is checked, and a message that is not exactly
// right throws EngineError malformed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::worker {

enum class Type : std::uint8_t {
    open = 1,
    encode,
    control,
    chat,
    logits,
    embed,
    generate,
    cancel,
    go_on,
    fill,
    rerank,
    opened = 64,
    failed,
    tokens,
    floats,
    generated,
    text,
    slot,
    progress,
};

struct Header {
    Type type = Type::cancel;
    std::uint32_t id = 0;
};

struct Open {
    std::string model;
    EngineOptions options;
};
struct Opened {
    ModelInfo info;
    std::vector<std::string> pieces;  // of each token, by id
    std::vector<TokenId> ends;
};
struct Encode {
    std::string text;
    bool add_special = false;
};
struct Logits {
    std::vector<TokenId> prompt;
    std::string cache_domain;
};
struct Rerank {
    std::string query;
    std::vector<std::string> passages;
};
struct Generate {
    GenerateRequest request;  // `cancel` does not travel
    bool wants_text = false;
    bool wants_slot = false;
    bool wants_progress = false;
};
struct Failed {
    EngineError::Kind kind = EngineError::Kind::lost;
    std::string detail;
};
struct Slot {
    std::string name;
    std::string since;
};
struct Progress {
    std::uint64_t done = 0;
    std::uint64_t total = 0;
};

// Messages, header included.
std::string write_empty(Header header);                                         // cancel
std::string write_flag(Header header, bool value);                              // go_on
std::string write_text(Header header, std::string_view value);                  // control, text
std::string write_tokens(std::uint32_t id, const std::vector<TokenId>& value);  // tokens
std::string write_floats(std::uint32_t id, const std::vector<float>& value);    // floats
std::string write(std::uint32_t id, const Open& value);
std::string write(std::uint32_t id, const Opened& value);
std::string write(std::uint32_t id, const Encode& value);
std::string write(std::uint32_t id, const std::vector<ChatTurn>& value);  // chat
std::string write(std::uint32_t id, const Logits& value);
std::string write(std::uint32_t id, const std::vector<std::string>& value);  // embed
std::string write(std::uint32_t id, const Rerank& value);
std::string write(std::uint32_t id, const Generate& value);
std::string write(std::uint32_t id, const Generated& value);
std::string write(std::uint32_t id, const Failed& value);
std::string write(std::uint32_t id, const Slot& value);
std::string write(std::uint32_t id, const GenerateEvents::SlotFill& value);  // fill
std::string write(std::uint32_t id, const Progress& value);

// Takes the header off the front of a message.
Header read_header(std::string_view& message);
// The fields behind the header. A type that is not as the header says throws, as do all malformed bytes.
bool read_flag(std::string_view body);
std::string read_text(std::string_view body);
std::vector<TokenId> read_tokens(std::string_view body);
std::vector<float> read_floats(std::string_view body);
Open read_open(std::string_view body);
Opened read_opened(std::string_view body);
Encode read_encode(std::string_view body);
std::vector<ChatTurn> read_chat(std::string_view body);
Logits read_logits(std::string_view body);
std::vector<std::string> read_embed(std::string_view body);
Rerank read_rerank(std::string_view body);
Generate read_generate(std::string_view body);
Generated read_generated(std::string_view body);
Failed read_failed(std::string_view body);
Slot read_slot(std::string_view body);
GenerateEvents::SlotFill read_fill(std::string_view body);
Progress read_progress(std::string_view body);

}  // namespace jiphyeon::worker
