// The two ends of an engine in a child process; spawn_engine and serve_engine of the public header put them
// to use.
#pragma once

#include "jiphyeon/llm_engine.hpp"
#include "jiphyeon/sandbox.hpp"

namespace jiphyeon::worker {

// The child's end: answers requests of the other end with `engine`, each in a thread of its own, until the
// channel closes; then cancels what runs and waits for it.
void serve(Channel& channel, Engine& engine);

// What the child says of its engine before it serves.
std::string greeting(const Engine& engine);

}  // namespace jiphyeon::worker
