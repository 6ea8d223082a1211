// A program around AuditLog for tests that need one: kills, faults injected by strace, the tamper matrix.
//     SITE is a folder with `bodies` (32 bytes) and `signer` (PEM), made by `init`; the record lies in DIR.
//     audit_driver init SITE
//     audit_driver make SITE DIR           a small record with a bit of everything, closed in order
//     audit_driver add SITE DIR N          N more notes, a line for each
//     audit_driver checkpoint SITE DIR     prints the signed checkpoint
//     audit_driver verify SITE DIR [FILE]  verifies against the remembered checkpoint in FILE; prints JSON
//     audit_driver work SITE DIR SEED N    N random calls in each of two threads; a line per acknowledged
//     call
// Exit 0: done; 1: problems found; 3: failed, in words on standard error.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>

#include <nlohmann/json.hpp>

#include "jiphyeon/audit.hpp"

using namespace jiphyeon;
namespace fs = std::filesystem;

namespace {

constexpr const char* kOrigin = "jiphyeon.test/audit";

std::string read_all(const fs::path& path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

SecretKey bodies_of(const fs::path& site)
{
    const std::string bytes = read_all(site / "bodies");
    return SecretKey::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

crypto::SigningKey signer_of(const fs::path& site)
{
    return crypto::SigningKey::from_pem(read_all(site / "signer"));
}

std::unique_ptr<AuditLog> open(const fs::path& site, const fs::path& dir)
{
    return AuditLog::open(dir, bodies_of(site), signer_of(site), kOrigin);
}

void init(const fs::path& site)
{
    const SecretKey key = SecretKey::random();
    fs::create_directories(site);
    std::ofstream(site / "bodies", std::ios::binary)
        .write(reinterpret_cast<const char*>(key.bytes().data()),
               static_cast<std::streamsize>(key.bytes().size()));
    std::ofstream(site / "bodies.hex") << crypto::hex(key.bytes());
    std::ofstream(site / "signer") << crypto::SigningKey::generate().to_pem();
}

// Leaves: 0 asked, 1 answered, 2-5 notes, 6 asked, 7 answered, 8 erased (of 0), 9 asked, 10 interrupted.
void make(const fs::path& site, const fs::path& dir)
{
    const auto log = open(site, dir);
    const RecordId first = log->begin({.actor = "kim"}, "연차 이월 한도는?");
    log->append(first, "이월 한도는 10일이다. [1]");
    log->finish(first, {.actor = "kim", .outcome = "answered", .objects = {"doc:1"}}, "{}");
    for (const char* act : {"login", "grant", "ingest", "login"})
        log->note({.actor = "lee", .action = act}, std::string("본문 ") + act);
    const RecordId second = log->begin({.actor = "kim"}, "둘째 질문");
    log->append(second, "하나");
    log->append(second, "둘");
    log->finish(second, {.actor = "kim", .outcome = "not_found"}, "{\"n\":2}");
    log->erase_body(first, {.actor = "lee", .outcome = "retention"});
    log->begin({.actor = "park"}, "닫히지 않은 질문");
}

int verify(const fs::path& site, const fs::path& dir, const std::string& remembered)
{
    const SecretKey bodies = bodies_of(site);
    const auto as_json = [](const AuditReport& report) {
        nlohmann::json out = {{"ok", report.ok},
                              {"records", report.records},
                              {"size", report.size},
                              {"root", crypto::hex(report.root)},
                              {"problems", nlohmann::json::array()},
                              {"not_checked", report.not_checked}};
        for (const AuditProblem& problem : report.problems)
            out["problems"].push_back({{"leaf", problem.leaf}, {"what", problem.what}});
        return out;
    };
    // The files first, as they lie there; opening would add to them.
    const AuditReport files = verify_audit_log(dir, {.bodies = &bodies,
                                                     .public_key_der = signer_of(site).public_key_der(),
                                                     .origin = kOrigin,
                                                     .remembered = remembered,
                                                     .progress = {}});
    nlohmann::json out = as_json(files);
    try {
        const auto log = open(site, dir);
        out["opened"] = as_json(log->verify(remembered));
    } catch (const AuditError& e) {
        out["refused"] = e.what();
    }
    std::cout << out.dump() << "\n";
    return files.ok ? 0 : 1;
}

// One write call a line, so that what the reader has is what was said.
void say(const std::string& line)
{
    const std::string whole = line + "\n";
    static_cast<void>(!::write(STDOUT_FILENO, whole.data(), whole.size()));
}

void work_in_thread(AuditLog& log, unsigned seed, int calls)
{
    std::mt19937 random(seed);
    const auto below = [&random](unsigned n) { return static_cast<unsigned>(random() % n); };
    for (int i = 0; i < calls; ++i) {
        const std::string text = std::to_string(seed) + "." + std::to_string(i);
        if (below(4) == 0) {
            const Receipt noted = log.note({.actor = "kim", .action = "login"}, "note " + text);
            say("note " + std::to_string(noted.leaf) + " " + text);
            continue;
        }
        const RecordId id = log.begin({.actor = "kim"}, "question " + text);
        const std::string name = std::to_string(id) + " " + text;
        say("begin " + name);
        for (unsigned piece = 0, pieces = below(4); piece < pieces; ++piece) {
            log.append(id, "piece " + std::to_string(piece) + " of " + text + std::string(below(3000), 'x'));
            say("piece " + name + " " + std::to_string(piece));
        }
        if (below(8) == 0) continue;  // stays open
        const Receipt closed = log.finish(id, {.actor = "kim", .outcome = "answered"}, "answer " + text);
        say("finish " + name + " " + std::to_string(closed.leaf));
        if (below(2) == 0) {
            say("erasing " + name);
            log.erase_body(id, {.actor = "lee"});
            say("erased " + name);
        }
        if (below(6) == 0) {
            std::string checkpoint = log.checkpoint().text;
            std::replace(checkpoint.begin(), checkpoint.end(), '\n', '|');
            say("checkpoint " + checkpoint);
        }
    }
}

void work(const fs::path& site, const fs::path& dir, unsigned seed, int calls)
{
    const auto log = open(site, dir);
    say("open " + std::to_string(log->size()));
    std::atomic<bool> failed = false;
    const auto guarded = [&](unsigned own_seed) {
        try {
            work_in_thread(*log, own_seed, calls);
        } catch (const AuditError& e) {
            if (!failed.exchange(true)) std::cerr << "audit_driver: " << e.what() << "\n";
        }
    };
    std::thread other(guarded, 2 * seed + 1);
    guarded(2 * seed);
    other.join();
    if (failed) throw AuditError(AuditError::Kind::io, "stopped at the first failure");
}

}  // namespace

int main(int argc, char** argv)
{
    const std::vector<std::string> words(argv + 1, argv + argc);
    const auto word = [&words](std::size_t i) { return i < words.size() ? words[i] : std::string(); };
    try {
        if (word(0) == "init") {
            init(word(1));
        } else if (word(0) == "make") {
            make(word(1), word(2));
        } else if (word(0) == "add") {
            const auto log = open(word(1), word(2));
            for (int i = 0; i < std::stoi(word(3)); ++i)
                say("note " + std::to_string(log->note({.actor = "kim", .action = "login"}, "added").leaf));
        } else if (word(0) == "checkpoint") {
            std::cout << open(word(1), word(2))->checkpoint().text;
        } else if (word(0) == "verify") {
            return verify(word(1), word(2), word(3).empty() ? "" : read_all(word(3)));
        } else if (word(0) == "work") {
            work(word(1), word(2), static_cast<unsigned>(std::stoul(word(3))), std::stoi(word(4)));
        } else {
            std::cerr << "audit_driver: init, make, add, checkpoint, verify or work\n";
            return 2;
        }
    } catch (const std::exception& e) {
        std::cerr << "audit_driver: " << e.what() << "\n";
        return 3;
    }
    return 0;
}
