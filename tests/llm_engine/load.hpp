// Many users at once, some of whom leave in the middle, and what a process has of memory.
#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::test {

// The only child of this process, or the first.
inline pid_t child_process()
{
    const std::string self = std::to_string(::getpid());
    std::ifstream children("/proc/" + self + "/task/" + self + "/children");
    pid_t pid = 0;
    if (!(children >> pid)) throw std::runtime_error("no child process");
    return pid;
}

// A line of a process's status in bytes: VmRSS, or VmHWM, the most since forget_peak().
inline std::size_t memory_of(pid_t process, const std::string& line)
{
    std::ifstream status("/proc/" + std::to_string(process) + "/status");
    for (std::string word; status >> word;) {
        std::size_t kilobytes = 0;
        if (word == line + ":" && status >> kilobytes) return kilobytes * 1024;
        status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    throw std::runtime_error("no " + line + " of process " + std::to_string(process));
}

inline void forget_peak(pid_t process)
{
    std::ofstream("/proc/" + std::to_string(process) + "/clear_refs") << 5;
}

enum class Leaving { before, in_prompt, by_text, by_exception, never };

struct User {
    std::string text;
    std::string domain;
    Leaving leaving = Leaving::never;
    std::size_t max_tokens = 8;
};

// One request from its beginning to the end that `user` gives it.
inline Generated::Finish visit(Engine& engine, const User& user)
{
    std::atomic<bool> cancel = user.leaving == Leaving::before;
    GenerateRequest request;
    request.prompt = engine.tokenizer().encode(user.text);
    request.max_tokens = user.max_tokens;
    request.cache_domain = user.domain;
    request.grammar = "root ::= [a-z ]+";
    request.cancel = &cancel;
    GenerateEvents events;
    events.on_prompt = [&](std::size_t, std::size_t) {
        cancel = cancel || user.leaving == Leaving::in_prompt;
    };
    events.on_text = [&](std::string_view) {
        if (user.leaving == Leaving::by_exception) throw std::domain_error("gone");
        return user.leaving != Leaving::by_text;
    };
    try {
        return engine.generate(request, events).finish;
    } catch (const std::domain_error&) {
        return Generated::Finish::cancelled;
    }
}

// The visits, `at_once` at a time. visit_of: the user by number; must be safe to call from several threads.
template <typename UserOf>
void visits(Engine& engine, std::size_t count, std::size_t at_once, const UserOf& user_of)
{
    std::atomic<std::size_t> next = 0;
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < at_once; ++t) {
        threads.emplace_back([&] {
            for (std::size_t i = next++; i < count; i = next++) visit(engine, user_of(i));
        });
    }
}

}  // namespace jiphyeon::test
