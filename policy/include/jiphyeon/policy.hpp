// Who may read what: labels, readers, decisions. Default deny; unknown is deny. Knows no documents, no HTTP.
//
// A label is a point of a lattice: a level and a set of departments. A reader is cleared to a level and
// belongs to departments. He may read a label when his level is at least the label's and the label's
// departments are all his (보안업무규정 제24조: cleared and connected with the duty).
//
// Example:
//     const Label audit{Level::restricted, {"감사관"}};
//     const Reader clerk{"kim", Level::restricted, {"총무과"}};
//     const Decision d = may_read(clerk, audit);   // Refused, reason "department 감사관"
//
// Threads: all functions are pure.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace jiphyeon {

class PolicyError : public std::runtime_error {
public:
    enum class Kind { bad_label, bad_rule, not_allowed, io };
    PolicyError(Kind k, const std::string& detail) : std::runtime_error(detail), kind(k) {}
    Kind kind;
};

// 공개 < 내부 < 부분 제한 < 대외비. Classified secrets (Ⅰ-Ⅲ급) have no level here: they are refused at
// ingest.
enum class Level : std::uint8_t { open = 0, internal = 1, restricted = 2, confidential = 3 };

struct Label {
    Level level = Level::open;
    std::set<std::string> departments;  // NFC; empty: no department needed
    auto operator<=>(const Label&) const = default;

    // "public", "internal", "restricted:감사관", "confidential:감사관+인사과". Throws bad_label.
    static Label parse(std::string_view text);
    std::string to_text() const;  // canonical: what `index` stores as a chunk's label
};

enum class Role : std::uint8_t { user, librarian, administrator, security_officer, auditor };
std::string_view role_name(Role role);  // "user", "librarian", …
std::optional<Role> role_from_name(std::string_view name);

struct Reader {
    std::string account;
    Level clearance = Level::open;
    std::set<std::string> departments;
};

struct Granted {
    std::vector<std::string> labels;  // canonical texts, sorted; what may be searched
};
struct Refused {
    std::string reason;  // for the audit log, never for the caller
};
using Decision = std::variant<Granted, Refused>;

Decision may_read(const Reader& reader, const Label& label);
// Of all labels in use, those the reader may read. No grant at all is Refused.
Decision readable_labels(const Reader& reader, std::span<const std::string> labels_in_use);
// The least label that covers both: what is made of two sources bears it.
Label join(const Label& a, const Label& b);

// What a role may do besides asking. No account holds administrator and auditor at once.
enum class Act : std::uint8_t {
    ask,
    ingest,
    withdraw_document,
    manage_accounts,
    manage_labels,
    read_audit,
    read_audit_bodies,
    verify_audit,
    backup,
    swap_model,
    read_status,
};
bool may_act(std::span<const Role> roles, Act act);
// Throws not_allowed where duties must be apart.
void check_separation(std::span<const Role> roles);

// A mark of classified matter in a document ("Ⅱ급비밀", a 예고문 block): ingest refuses such a file.
struct SecretMark {
    std::size_t start = 0, end = 0;  // UTF-8 bytes
    std::string what;                // e.g. "Ⅱ급비밀"
};
std::optional<SecretMark> find_secret_mark(std::string_view text);

}  // namespace jiphyeon
