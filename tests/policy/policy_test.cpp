#include "jiphyeon/policy.hpp"

#include <gtest/gtest.h>

#include <array>

namespace jiphyeon {
namespace {

const std::array<std::string, 3> kDepartments = {"감사관", "인사과", "총무과"};
constexpr std::array<Level, 4> kLevels = {Level::open, Level::internal, Level::restricted,
                                          Level::confidential};

std::set<std::string> departments_of(unsigned bits)
{
    std::set<std::string> out;
    for (std::size_t i = 0; i < kDepartments.size(); ++i)
        if ((bits >> i & 1u) != 0) out.insert(kDepartments[i]);
    return out;
}

// The rule of the duty to know, on bit sets.
bool oracle(unsigned clearance, unsigned member_of, unsigned level, unsigned needed)
{
    if (level > clearance) return false;
    for (unsigned bit = 1; bit != 0; bit <<= 1)
        if ((needed & bit) != 0 && (member_of & bit) == 0) return false;
    return true;
}

// Every reader against every label of a universe with three departments.
TEST(Policy, DecisionsAgreeWithTheOracleOnTheWholeSmallUniverse)
{
    std::vector<std::string> all_labels;
    for (const Level level : kLevels)
        for (unsigned needed = 0; needed < 8; ++needed)
            all_labels.push_back(Label{level, departments_of(needed)}.to_text());
    int granted_total = 0;
    for (const Level clearance : kLevels)
        for (unsigned member_of = 0; member_of < 8; ++member_of) {
            const Reader reader{"kim", clearance, departments_of(member_of)};
            std::vector<std::string> expected;
            for (const Level level : kLevels)
                for (unsigned needed = 0; needed < 8; ++needed) {
                    const Label label{level, departments_of(needed)};
                    const bool allowed = oracle(static_cast<unsigned>(clearance), member_of,
                                                static_cast<unsigned>(level), needed);
                    const Decision decision = may_read(reader, label);
                    ASSERT_EQ(std::holds_alternative<Granted>(decision), allowed) << label.to_text();
                    if (allowed) {
                        EXPECT_EQ(std::get<Granted>(decision).labels,
                                  std::vector<std::string>{label.to_text()});
                        expected.push_back(label.to_text());
                    } else {
                        EXPECT_FALSE(std::get<Refused>(decision).reason.empty());
                    }
                }
            std::sort(expected.begin(), expected.end());
            const Decision readable = readable_labels(reader, all_labels);
            ASSERT_TRUE(std::holds_alternative<Granted>(readable));
            EXPECT_EQ(std::get<Granted>(readable).labels, expected);
            granted_total += static_cast<int>(expected.size());
        }
    EXPECT_EQ(granted_total, 10 * 27);  // sum of level pairs times sum of subset pairs
}

TEST(Policy, JoinIsTheLeastLabelThatCoversBoth)
{
    for (const Level a : kLevels)
        for (const Level b : kLevels)
            for (unsigned x = 0; x < 8; ++x)
                for (unsigned y = 0; y < 8; ++y) {
                    const Label first{a, departments_of(x)}, second{b, departments_of(y)};
                    const Label both = join(first, second);
                    EXPECT_EQ(both, join(second, first));
                    for (unsigned member_of = 0; member_of < 8; ++member_of)
                        for (const Level clearance : kLevels) {
                            const Reader reader{"lee", clearance, departments_of(member_of)};
                            const auto reads = [&reader](const Label& label) {
                                return std::holds_alternative<Granted>(may_read(reader, label));
                            };
                            ASSERT_EQ(reads(both), reads(first) && reads(second));
                        }
                }
}

TEST(Policy, LabelTextsAreCanonicalAndComeBack)
{
    EXPECT_EQ(Label{}.to_text(), "public");
    EXPECT_EQ((Label{Level::confidential, {"인사과", "감사관"}}.to_text()), "confidential:감사관+인사과");
    EXPECT_EQ(Label::parse("confidential:인사과+감사관").to_text(), "confidential:감사관+인사과");
    // "감사관" spelled in conjoining jamo is the same department.
    EXPECT_EQ(Label::parse("restricted:\u1100\u1161\u11B7\u1109\u1161\u1100\u116A\u11AB"),
              Label::parse("restricted:감사관"));
    for (const Level level : kLevels)
        for (unsigned needed = 0; needed < 8; ++needed) {
            const Label label{level, departments_of(needed)};
            EXPECT_EQ(Label::parse(label.to_text()), label);
        }
}

TEST(Policy, WhatIsNoLabelThrowsAndIsNeverReadable)
{
    const std::vector<std::string> wrong = {"",
                                            "PUBLIC",
                                            "secret",
                                            "public ",
                                            "public:",
                                            "restricted:감사관+",
                                            "restricted: 감사관",
                                            "restricted:감:사",
                                            "restricted:\xff\xfe",
                                            "restricted:감사\u200B관",
                                            "restricted:감\n사",
                                            "internal,restricted"};
    for (const std::string& text : wrong) EXPECT_THROW(Label::parse(text), PolicyError) << text;
    const Reader reader{"root", Level::confidential, {"감사관"}};
    EXPECT_TRUE(std::holds_alternative<Refused>(readable_labels(reader, wrong)));
    // Not the canonical text: nobody knows who wrote it.
    const std::vector<std::string> twisted = {"restricted:인사과+감사관"};
    const Reader both{"root", Level::confidential, {"감사관", "인사과"}};
    EXPECT_TRUE(std::holds_alternative<Refused>(readable_labels(both, twisted)));
}

TEST(Policy, NoLabelInUseIsRefusedNotAnEmptyGrant)
{
    EXPECT_TRUE(std::holds_alternative<Refused>(readable_labels({"kim", Level::confidential, {}}, {})));
}

TEST(Policy, DutiesAreApart)
{
    const auto may = [](std::initializer_list<Role> roles, Act act) {
        return may_act(std::vector<Role>(roles), act);
    };
    EXPECT_FALSE(may({}, Act::ask));
    EXPECT_TRUE(may({Role::user}, Act::ask));
    EXPECT_FALSE(may({Role::user}, Act::ingest));
    EXPECT_FALSE(may({Role::administrator}, Act::ask));
    EXPECT_FALSE(may({Role::administrator}, Act::manage_labels));
    EXPECT_FALSE(may({Role::administrator}, Act::read_audit_bodies));
    EXPECT_FALSE(may({Role::security_officer}, Act::read_audit_bodies));
    EXPECT_FALSE(may({Role::auditor}, Act::ask));
    EXPECT_TRUE(may({Role::auditor}, Act::read_audit_bodies));
    EXPECT_TRUE(may({Role::user, Role::librarian}, Act::withdraw_document));

    const auto check = [](std::initializer_list<Role> roles) { check_separation(std::vector<Role>(roles)); };
    EXPECT_THROW(check({Role::administrator, Role::auditor}), PolicyError);
    EXPECT_THROW(check({Role::auditor, Role::user}), PolicyError);
    EXPECT_NO_THROW(check({Role::auditor}));
    EXPECT_NO_THROW(check({Role::user, Role::librarian, Role::administrator}));
}

TEST(Policy, RoleNamesComeBack)
{
    for (const Role role :
         {Role::user, Role::librarian, Role::administrator, Role::security_officer, Role::auditor})
        EXPECT_EQ(role_from_name(role_name(role)), role);
    EXPECT_EQ(role_from_name("root"), std::nullopt);
}

}  // namespace
}  // namespace jiphyeon
