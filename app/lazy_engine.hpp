// An Engine that is opened by its first use: listing documents should not load a gigabyte of weights.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon::app {

class LazyEngine : public Engine {
public:
    explicit LazyEngine(std::function<std::unique_ptr<Engine>()> open) : open_(std::move(open)) {}

    const ModelInfo& info() const override { return engine().info(); }
    const Tokenizer& tokenizer() const override { return engine().tokenizer(); }
    std::vector<TokenId> chat_prompt(std::span<const ChatTurn> turns) const override
    {
        return engine().chat_prompt(turns);
    }
    Generated generate(const GenerateRequest& request, const GenerateEvents& events) override
    {
        return engine().generate(request, events);
    }
    std::vector<float> next_logits(std::span<const TokenId> prompt, std::string_view cache_domain) override
    {
        return engine().next_logits(prompt, cache_domain);
    }
    std::vector<std::optional<float>> next_scores(std::span<const TokenId> prompt,
                                                  std::span<const TokenId> choices,
                                                  std::string_view cache_domain) override
    {
        return engine().next_scores(prompt, choices, cache_domain);
    }
    std::vector<float> embed(std::span<const std::string> texts) override { return engine().embed(texts); }
    std::vector<float> rerank(const std::string& query, std::span<const std::string> passages) override
    {
        return engine().rerank(query, passages);
    }

private:
    // A failed opening is tried again by the next use: the file may be back by then.
    Engine& engine() const
    {
        const std::lock_guard guard(mutex_);
        if (!engine_) engine_ = open_();
        return *engine_;
    }

    std::function<std::unique_ptr<Engine>()> open_;
    mutable std::mutex mutex_;  // guards engine_
    mutable std::unique_ptr<Engine> engine_;
};

}  // namespace jiphyeon::app
