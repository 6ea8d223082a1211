// Decisions. Each function answers from its arguments alone and denies what it does not know.
#include "jiphyeon/policy.hpp"

#include <algorithm>
#include <array>

namespace jiphyeon {
namespace {

constexpr std::array<std::string_view, 5> kRoleNames = {"user", "librarian", "administrator",
                                                        "security_officer", "auditor"};

// The administrator runs the machine and sees no content; the auditor reads the record and cannot ask, so
// that nobody's own questions are judged by himself.
bool role_may(Role role, Act act)
{
    switch (act) {
        case Act::ask:
            return role == Role::user || role == Role::librarian || role == Role::security_officer;
        case Act::ingest:
        case Act::withdraw_document:
            return role == Role::librarian;
        case Act::manage_accounts:
        case Act::backup:
        case Act::swap_model:
            return role == Role::administrator;
        case Act::manage_labels:
            return role == Role::security_officer;
        case Act::read_audit:
            return role == Role::auditor || role == Role::security_officer;
        case Act::read_audit_bodies:
            return role == Role::auditor;
        case Act::verify_audit:
        case Act::read_status:
            return role == Role::auditor || role == Role::security_officer || role == Role::administrator ||
                   (act == Act::read_status && role == Role::librarian);
    }
    return false;
}

}  // namespace

std::string_view role_name(Role role)
{
    return kRoleNames.at(static_cast<std::size_t>(role));
}

std::optional<Role> role_from_name(std::string_view name)
{
    const auto found = std::find(kRoleNames.begin(), kRoleNames.end(), name);
    if (found == kRoleNames.end()) return std::nullopt;
    return static_cast<Role>(found - kRoleNames.begin());
}

Decision may_read(const Reader& reader, const Label& label)
{
    if (reader.clearance < label.level) return Refused{"level " + Label{label.level, {}}.to_text()};
    for (const std::string& department : label.departments)
        if (!reader.departments.contains(department)) return Refused{"department " + department};
    return Granted{{label.to_text()}};
}

Decision readable_labels(const Reader& reader, std::span<const std::string> labels_in_use)
{
    Granted granted;
    for (const std::string& text : labels_in_use) {
        try {
            const Label label = Label::parse(text);
            // A text that is not the canonical one was not written by us: what it means is not known.
            if (label.to_text() == text && std::holds_alternative<Granted>(may_read(reader, label)))
                granted.labels.push_back(text);
        } catch (const PolicyError&) {
            continue;  // unknown is deny
        }
    }
    if (granted.labels.empty()) return Refused{"no label in use is readable"};
    std::sort(granted.labels.begin(), granted.labels.end());
    granted.labels.erase(std::unique(granted.labels.begin(), granted.labels.end()), granted.labels.end());
    return granted;
}

bool may_act(std::span<const Role> roles, Act act)
{
    return std::any_of(roles.begin(), roles.end(), [act](Role role) { return role_may(role, act); });
}

void check_separation(std::span<const Role> roles)
{
    const auto holds = [roles](Role role) {
        return std::find(roles.begin(), roles.end(), role) != roles.end();
    };
    if (!holds(Role::auditor)) return;
    for (const Role other : {Role::user, Role::librarian, Role::administrator, Role::security_officer})
        if (holds(other))
            throw PolicyError(PolicyError::Kind::not_allowed,
                              "an auditor's account cannot also be " + std::string(role_name(other)));
}

}  // namespace jiphyeon
