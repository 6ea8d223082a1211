// The record without the appliance around it, driven by bench/audit.py: one JSON request a line, one reply.
#include <chrono>
#include <iostream>
#include <random>
#include <thread>

#include <nlohmann/json.hpp>

#include "jiphyeon/audit.hpp"

using namespace jiphyeon;
using nlohmann::json;

namespace {

double seconds_of(const std::function<void()>& act)
{
    const auto start = std::chrono::steady_clock::now();
    act();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Acts of one leaf, each durable before the next of its thread begins.
double notes(AuditLog& log, int count, int threads, const std::string& body)
{
    return seconds_of([&] {
        std::vector<std::thread> running;
        for (int t = 0; t < threads; ++t)
            running.emplace_back([&] {
                for (int i = 0; i < count / threads; ++i)
                    log.note({.actor = "kim", .session = "s", .origin = "10.0.0.1", .action = "login"}, body);
            });
        for (std::thread& thread : running) thread.join();
    });
}

double inclusion_proofs(const AuditLog& log, int count)
{
    std::mt19937_64 random(1);
    const std::uint64_t size = log.size();
    return seconds_of([&] {
        for (int i = 0; i < count; ++i) log.inclusion_proof(random() % size, size);
    });
}

json answer(AuditLog& log, const json& request)
{
    const std::string op = request.at("op");
    const int count = request.value("count", 1);
    if (op == "notes")
        return {{"seconds",
                 notes(log, count, request.at("threads"), std::string(request.value("bytes", 1000), 'x'))}};
    if (op == "proofs") return {{"seconds", inclusion_proofs(log, count)}};
    if (op == "verify") {
        AuditReport report;
        const double seconds = seconds_of([&] { report = log.verify(); });
        return {{"seconds", seconds}, {"leaves", report.size}, {"ok", report.ok}};
    }
    return {{"error", "unknown op " + op}};
}

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 2) {
        std::cerr << "usage: jiphyeon_audit_bench FOLDER\n";
        return 2;
    }
    const auto log =
        AuditLog::open(argv[1], SecretKey::random(), crypto::SigningKey::generate(), "jiphyeon.bench/audit");
    for (std::string line; std::getline(std::cin, line);)
        std::cout << answer(*log, json::parse(line)).dump() << std::endl;
    return 0;
}
