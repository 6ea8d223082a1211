// Which evidence a sentence comes from, and whether that evidence says it. Attribution is by the share of the
// sentence's words, weighted by their rarity, that a window of one to three sentences holds. The check is by
// code: every number, date, article, name, quotation and denial of the sentence must be found there. It
// catches what was invented or mixed up; it does not prove meaning.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "facts.hpp"
#include "jiphyeon/retriever.hpp"
#include "query.hpp"
#include "words.hpp"

namespace jiphyeon {

// Rarity of stems within the reader's scope.
using Rarity = std::function<std::vector<float>(std::span<const Term>)>;

class Attribution {
public:
    // The evidence must outlive this.
    Attribution(std::span<const Evidence> evidence, const Query& question, Rarity rarity);

    struct Window {
        std::size_t evidence = 0;         // index into the evidence
        std::size_t start = 0, end = 0;   // bytes of its chunk's text
        std::size_t first = 0, last = 0;  // segments, last excluded
        float share = 0;                  // of the sentence's words by weight, 0..1
    };
    // Windows that share the sentence's words, best first: those that are nearly as good as the best. Of one
    // evidence alone where it is given: the one that the writer of the sentence had before him.
    std::vector<Window> candidates(std::string_view sentence,
                                   std::optional<std::size_t> evidence = std::nullopt) const;

    struct Check {
        Support support = Support::unsupported;
        std::string doubt;  // what was not found, in Korean; empty when supported
    };
    Check check(std::string_view sentence, const Window& window) const;

    struct Source {
        Window window;
        Check check;
    };
    // The first candidate that supports the sentence, else the best one with what it lacks; nothing where no
    // evidence shares a word.
    std::optional<Source> source_of(std::string_view sentence,
                                    std::optional<std::size_t> evidence = std::nullopt) const;

    // A window of another document that speaks of the same and gives another number of the same kind.
    std::optional<Window> contradiction(std::string_view sentence, const Window& window) const;

    // How much of the question's words the best single evidence holds, 0..1: the mean of what its whole
    // passage and what its best few sentences hold.
    float cover() const { return cover_; }
    // The same of one window: a sentence taken from where nobody speaks of the question is no answer to it.
    float cover_of(const Window& window) const;
    // The window of one evidence that the question's words fit best among those that tell what was wanted.
    std::optional<Window> best_for_question(std::size_t evidence) const;

    std::string_view text_of(const Window& window) const;

private:
    struct Passage {
        std::vector<Segment> segments;
        std::vector<std::string> squeezed;                   // per segment
        std::vector<std::unordered_set<std::string>> pairs;  // per segment
        std::string context;                                 // title, header, section: squeezed
        std::unordered_set<std::string> context_pairs;
    };
    struct Weighted {
        const Word* word;
        float weight;
    };
    std::vector<Weighted> weigh(std::span<const Word> words, bool question) const;
    float share_of(std::span<const Weighted> words, const Passage& passage, std::size_t first,
                   std::size_t last) const;
    // Best first; of one evidence where it is given.
    std::vector<Window> windows(std::span<const Weighted> words, std::optional<std::size_t> evidence) const;
    std::string around(const Window& window) const;

    std::span<const Evidence> evidence_;
    const Query& question_;
    Facts asked_;
    Rarity rarity_;
    std::vector<Passage> passages_;
    std::optional<DateFact> day_asked_about_;
    std::vector<Weighted> question_words_;  // their rarity is read from the index once
    float cover_ = 0;
};

}  // namespace jiphyeon
