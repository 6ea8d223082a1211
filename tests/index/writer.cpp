// A process of its own that writes to an index until it is killed or its disk is full. The tests start it,
// because a process with RocksDB's threads must not fork.
//     writer steps DIR FIRST   takes step FIRST and the following; a byte on standard output for each that is
//     done writer full DIR          fails to write a large document; exit 0 where that was an error and lost
//     nothing

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string_view>

#include "steps.hpp"

namespace {

using namespace jiphyeon;

int take_steps(const std::filesystem::path& dir, unsigned first)
{
    const SecretKey key = test::test_key();
    const auto index = Index::open(dir, {.master_key = &key, .graph_from = 8});
    for (unsigned n = first;; ++n) {
        test::take_step(*index, n);
        const char done = '.';
        if (::write(STDOUT_FILENO, &done, 1) != 1) return 3;
    }
}

// A limit on the size of files stands for a full disk: writing fails in the middle of a commit.
int fill(const std::filesystem::path& dir)
{
    ::signal(SIGXFSZ, SIG_IGN);
    const auto index = Index::open(dir, {});
    index->put(test::document("kept", "public", {"연가"}));
    const rlimit limit{1 << 16, 1 << 16};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::string long_text;
    for (int i = 0; i < 20'000; ++i) long_text += "병가 " + std::to_string(i) + " ";
    const auto refused = [&](const DocumentWrite& write) {
        try {
            index->put(write);
            return false;
        } catch (const IndexError& e) {
            return e.kind == IndexError::Kind::io;
        }
    };
    if (!refused(test::document("lost", "public", {long_text}))) return 4;
    if (!refused(test::document("later", "public", {"병가"}))) return 5;
    const bool found = index->search_lexical(analyze("연가"), 5, test::scope({"public"})).size() == 1;
    return found && !index->document("lost") && index->generation() == 2 ? 0 : 7;
}

}  // namespace

int main(int argc, char** argv)
{
    const std::string_view mode = argc > 2 ? argv[1] : "";
    try {
        if (mode == "steps" && argc == 4)
            return take_steps(argv[2], static_cast<unsigned>(std::stoul(argv[3])));
        if (mode == "full") return fill(argv[2]);
    } catch (const std::exception&) {
        return 6;
    }
    return 2;
}
