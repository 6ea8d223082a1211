// Memory: what a machine says it has, read from made folders that stand in for /proc and /sys.
#include "model_info.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "support/temp_dir.hpp"

namespace jiphyeon {
namespace {

constexpr std::uint64_t kMebibyte = 1u << 20;

class Machine {
public:
    explicit Machine(std::uint64_t available_mebibytes)
    {
        write("proc/meminfo", "MemTotal: 99999999 kB\nMemFree: 1 kB\nMemAvailable: " +
                                  std::to_string(available_mebibytes * 1024) + " kB\n");
    }
    void write(const std::string& file, const std::string& text) const
    {
        const std::filesystem::path path = root_.path() / file;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }
    std::uint64_t mebibytes() const { return available_memory(root_.path()) / kMebibyte; }

private:
    test::TempDir root_;
};

std::string bytes(std::uint64_t mebibytes)
{
    return std::to_string(mebibytes * kMebibyte) + "\n";
}

TEST(AvailableMemory, IsTheKernelsEstimateWhereNoGroupHasALimit)
{
    const Machine machine(3000);
    EXPECT_EQ(machine.mebibytes(), 3000u);
    machine.write("proc/self/cgroup", "0::/service\n");
    machine.write("sys/fs/cgroup/service/memory.max", "max\n");
    machine.write("sys/fs/cgroup/service/memory.current", bytes(2999));
    EXPECT_EQ(machine.mebibytes(), 3000u);
}

TEST(AvailableMemory, IsWhatTheNarrowestGroupLeaves)
{
    const Machine machine(3000);
    machine.write("proc/self/cgroup", "0::/tenant/service\n");
    machine.write("sys/fs/cgroup/tenant/service/memory.max", bytes(2500));
    machine.write("sys/fs/cgroup/tenant/service/memory.current", bytes(100));
    EXPECT_EQ(machine.mebibytes(), 2400u);
    machine.write("sys/fs/cgroup/tenant/memory.max", bytes(1000));
    machine.write("sys/fs/cgroup/tenant/memory.current", bytes(300));
    EXPECT_EQ(machine.mebibytes(), 700u);
    machine.write("sys/fs/cgroup/tenant/memory.current", bytes(1001));
    EXPECT_EQ(machine.mebibytes(), 0u);
}

// A file that was hashed just now fills the group with pages that the kernel drops when asked.
TEST(AvailableMemory, PagesOfFilesThatCanBeDroppedAreFree)
{
    const Machine machine(3000);
    machine.write("proc/self/cgroup", "0::/service\n");
    machine.write("sys/fs/cgroup/service/memory.max", bytes(1000));
    machine.write("sys/fs/cgroup/service/memory.current", bytes(900));
    machine.write("sys/fs/cgroup/service/memory.stat", "anon 5\ninactive_file " + bytes(600));
    EXPECT_EQ(machine.mebibytes(), 700u);
}

TEST(AvailableMemory, GroupsOfTheFirstVersionCountAsWell)
{
    const Machine machine(3000);
    machine.write("proc/self/cgroup", "5:cpu,cpuacct:/other\n4:memory:/service\n0::/\n");
    machine.write("sys/fs/cgroup/memory/service/memory.limit_in_bytes", bytes(1000));
    machine.write("sys/fs/cgroup/memory/service/memory.usage_in_bytes", bytes(400));
    machine.write("sys/fs/cgroup/memory/service/memory.stat", "total_inactive_file " + bytes(100));
    machine.write("sys/fs/cgroup/memory/other/memory.limit_in_bytes", bytes(1));
    machine.write("sys/fs/cgroup/memory/other/memory.usage_in_bytes", bytes(1));
    EXPECT_EQ(machine.mebibytes(), 700u);
}

// In a container the group's path may be the host's, while its files lie at the mount.
TEST(AvailableMemory, AGroupWhosePathIsNotMountedIsFoundAtTheMount)
{
    const Machine machine(3000);
    machine.write("proc/self/cgroup", "0::/../../host/service\n4:memory:/docker/1234\n");
    machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", bytes(800));
    machine.write("sys/fs/cgroup/memory/memory.usage_in_bytes", bytes(300));
    EXPECT_EQ(machine.mebibytes(), 500u);
}

TEST(AvailableMemory, ModelsThatNeedMoreAreRefusedWithBothNumbers)
{
    const MemoryNeed need{.weights = 700 * kMebibyte, .caches = 200 * kMebibyte, .work = 100 * kMebibyte};
    check_memory("큰모델.gguf", need, 1000 * kMebibyte);
    try {
        check_memory("큰모델.gguf", need, 1000 * kMebibyte - 1);
        FAIL() << "not refused";
    } catch (const EngineError& error) {
        EXPECT_EQ(error.kind, EngineError::Kind::too_large);
        EXPECT_STREQ(
            error.what(),
            "큰모델.gguf needs 1000 MiB of memory (weights 700, caches 200, work space 100); 999 MiB "
            "are available");
    }
}

}  // namespace
}  // namespace jiphyeon
