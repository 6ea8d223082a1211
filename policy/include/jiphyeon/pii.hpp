// Personal data in Korean text: where it is, and how it is hidden.
//
// Two passes, over the text as it is and over a folded view (width, dashes, invisible characters, Hangul
// numerals, look-alikes), both with offsets into the original; stored text is never rewritten by the view.
// Check digits raise confidence and never drop a 주민등록번호: those issued since 2020-10-05 have none.
// Time is linear in the text; no regular-expression engine runs.
//
// Example:
//     for (const PiiSpan& s : find_pii("주민번호 900101-1234568")) …   // type rrn
//     mask("주민번호 900101-1234568").text                               // "주민번호 [주민등록번호]"
//
// Threads: the functions are pure; a StreamMask belongs to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace jiphyeon {

enum class PiiType : std::uint8_t {
    rrn,               // 주민등록번호
    frn,               // 외국인등록번호
    passport,          // 여권번호
    driver_licence,    // 운전면허번호
    card,              // 신용카드번호
    account,           // 계좌번호
    health_insurance,  // 건강보험증번호
    phone,             // a person's telephone
    email,             // a person's e-mail
    birth_date,
    address,
    person,  // only where a form's label says so
    vehicle,
    business,          // 사업자등록번호: found, not masked
    corporation,       // 법인등록번호: found, not masked
    official_contact,  // post, office telephone, official e-mail: found, not masked
};
std::string_view pii_tag(PiiType type);   // "[주민등록번호]", … what is put in the place
std::string_view pii_name(PiiType type);  // "rrn", …
bool is_masked(PiiType type);             // hidden from everybody, before indexing

struct PiiSpan {
    std::size_t start = 0,
                end = 0;  // UTF-8 bytes of the input, on character borders, not overlapping, ascending
    PiiType type = PiiType::rrn;
    float confidence = 0;  // 0..1
};

std::vector<PiiSpan> find_pii(std::string_view text);

struct Masked {
    std::string text;
    struct Piece {  // for carrying places over: [start, end) of the input became [masked_start, masked_end)
        std::size_t start, end, masked_start, masked_end;
        PiiType type;
    };
    std::vector<Piece> pieces;
};
// Replaces what is_masked() by its tag; not what is only doubtful (confidence below 0.35: thirteen bare
// digits that are rather a bar code).
Masked mask(std::string_view text);

// For text that comes in pieces and is shown at once: gives out what can no longer be part of an identifier
// (holds back kHoldBack characters at most), masked. flush() gives the rest.
class StreamMask {
public:
    static constexpr std::size_t kHoldBackCharacters = 64;
    std::string push(std::string_view piece);
    std::string flush();

private:
    std::string release(std::size_t cut);

    std::string pending_;       // context that was given out, then what is held back
    std::size_t released_ = 0;  // bytes of it that were given out
};

}  // namespace jiphyeon
