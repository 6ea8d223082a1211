// Is there enough to answer? Decided before a word is generated, from what was found. No single sign is good
// enough: words of the question may stand in a passage that does not answer it, a passage may answer in other
// words, and the model's own yes or no has an offset that differs per question.
#pragma once

#include <optional>

namespace jiphyeon {

struct Signs {
    float cover = 0;             // of the question's words by weight in the best single evidence, 0..1
    float cosine = 0;            // of the best evidence; 0 without vectors
    std::optional<float> logit;  // 예 minus 아니오 for the passage that holds the answer most likely
};

enum class Sufficiency { nothing, related, enough, clearly_enough };
Sufficiency judge(const Signs& signs);
// The combination that judge() cuts; for measuring.
float sufficiency_score(const Signs& signs);

}  // namespace jiphyeon
