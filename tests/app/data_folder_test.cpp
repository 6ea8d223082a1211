// Making, opening and owning a data folder.
#include "data_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "support/temp_dir.hpp"

namespace jiphyeon::app {
namespace {

using Kind = CommandError::Kind;

template <class Act>
Kind kind_of(Act act)
{
    try {
        act();
    } catch (const CommandError& e) {
        return e.kind;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Kind::usage;
}

TEST(DataFolder, WhatIsMadeCanBeOpenedAndThreeSharesGiveTheMasterKeyBack)
{
    const test::TempDir dir;
    const auto data = dir.path() / "자료";
    const std::vector<std::string> shares = DataFolder::create(data, {});
    const DataFolder folder = DataFolder::open(data);
    EXPECT_NE(folder.unseal("audit").find("PRIVATE KEY"), std::string::npos);

    ASSERT_EQ(shares.size(), 5u);
    const std::vector<std::string> three{shares[4], shares[0], shares[2]};
    const SecretKey restored = crypto::join_key(three);
    EXPECT_TRUE(
        std::equal(restored.bytes().begin(), restored.bytes().end(), folder.master_key().bytes().begin()));
}

TEST(DataFolder, NoSecretLiesInTheFolderInClear)
{
    const test::TempDir dir;
    DataFolder::create(dir.path() / "d", {});
    const std::string master = read_file(dir.path() / "d.key").substr(0, 20);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path() / "d")) {
        if (!entry.is_regular_file()) continue;
        const std::string bytes = read_file(entry.path());
        EXPECT_EQ(bytes.find("PRIVATE KEY"), std::string::npos) << entry.path();
        EXPECT_EQ(bytes.find(master), std::string::npos) << entry.path();
    }
}

TEST(DataFolder, AFolderWithContentOrAnExistingKeyIsLeftAlone)
{
    const test::TempDir dir;
    std::ofstream(dir.path() / "precious") << "1";
    EXPECT_EQ(kind_of([&] { DataFolder::create(dir.path(), {}); }), Kind::data_folder);
    EXPECT_EQ(read_file(dir.path() / "precious"), "1");

    std::ofstream(dir.path() / "new.key") << "another key";
    EXPECT_EQ(kind_of([&] { DataFolder::create(dir.path() / "new", {}); }), Kind::data_folder);
    EXPECT_EQ(read_file(dir.path() / "new.key"), "another key");
    EXPECT_FALSE(std::filesystem::exists(dir.path() / "new"));
}

TEST(DataFolder, AnotherFoldersKeyOpensNothing)
{
    const test::TempDir dir;
    DataFolder::create(dir.path() / "a", {});
    DataFolder::create(dir.path() / "b", {});
    std::filesystem::copy_file(dir.path() / "b.key", dir.path() / "a.key",
                               std::filesystem::copy_options::overwrite_existing);
    EXPECT_EQ(kind_of([&] { DataFolder::open(dir.path() / "a").unseal("audit"); }), Kind::data_folder);
}

TEST(DataFolder, AnotherFormatNumberIsRefused)
{
    const test::TempDir dir;
    DataFolder::create(dir.path() / "a", {});
    write_file(dir.path() / "a" / "FORMAT", "jiphyeon data folder 2\n", 0644);
    EXPECT_EQ(kind_of([&] { DataFolder::open(dir.path() / "a"); }), Kind::data_folder);
    EXPECT_EQ(kind_of([&] { DataFolder::open(dir.path()); }), Kind::data_folder);
}

TEST(OwnerLock, OneProcessAtATimeOwnsAFolder)
{
    const test::TempDir dir;
    DataFolder::create(dir.path() / "a", {});
    {
        const auto first = OwnerLock::take(dir.path() / "a");
        ASSERT_TRUE(first);
        EXPECT_FALSE(OwnerLock::take(dir.path() / "a"));
    }
    EXPECT_TRUE(OwnerLock::take(dir.path() / "a"));
}

TEST(OwnerLock, WhoComesWhileItIsHeldForAMomentGetsItAfterwards)
{
    const test::TempDir dir;
    DataFolder::create(dir.path() / "a", {});
    auto first = OwnerLock::take(dir.path() / "a");
    ASSERT_TRUE(first);
    int asked = 0;
    const auto second = OwnerLock::wait(dir.path() / "a", [&] {
        if (++asked == 2) first.reset();
        return false;
    });
    EXPECT_TRUE(second);
    EXPECT_EQ(asked, 2);
}

TEST(OwnerLock, NobodyWaitsForItOnceTheOwnerAnswers)
{
    const test::TempDir dir;
    DataFolder::create(dir.path() / "a", {});
    const auto first = OwnerLock::take(dir.path() / "a");
    EXPECT_FALSE(OwnerLock::wait(dir.path() / "a", [] { return true; }));
}

}  // namespace
}  // namespace jiphyeon::app
