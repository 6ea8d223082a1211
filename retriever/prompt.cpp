#include "prompt.hpp"

#include "words.hpp"

namespace jiphyeon {

// After 다 a period ends the sentence; any other period ("2026. 5. 19.", "3.5%") does not. Brackets are left
// to the slots. An answer asks nothing: without that a small model says the question again.
const std::string_view kAnswerGrammar = R"(root ::= sentence <slot:cite> (" "? sentence <slot:cite>){0,3}
sentence ::= first rest* "다"+ "."
first ::= [^다\n \[\].?]
rest ::= [^다\n\[\]?] | "다"+ [^다.\n\[\]?]
)";

namespace {

constexpr std::string_view kInstruction =
    "당신은 행정기관의 문서를 근거로 답하는 담당자입니다. 주어진 문서에 적힌 내용만 사용하여 한국어 존댓말로 "
    "한두 문장으로 짧게 답하십시오. "
    "숫자, 날짜, 이름은 문서에 적힌 그대로 옮기십시오.";

constexpr std::string_view kExampleDocuments =
    "[1] 청사 주차장 운영 지침 > 제4조(이용 시간)\n주차장은 평일 오전 7시부터 오후 10시까지 운영한다. "
    "공휴일에는 운영하지 아니한다.\n"
    "[2] 청사 주차장 운영 지침 > 제6조(요금)\n방문 차량의 주차 요금은 최초 1시간까지 무료로 하고, 이후 "
    "30분마다 500원을 받는다.";
constexpr std::string_view kExampleQuestion = "방문객 주차 요금은 얼마인가요?";
constexpr std::string_view kExampleAnswer =
    "방문 차량은 최초 1시간까지 무료이고 이후 30분마다 500원을 받습니다. [2]";

std::string passage_text(const Evidence& e)
{
    return "[" + std::to_string(e.n) + "] " + (e.chunk.header.empty() ? e.title : e.chunk.header) + "\n" +
           e.chunk.text;
}

std::string question_text(std::string_view documents, std::string_view question)
{
    return "문서:\n" + std::string(documents) + "\n\n질문: " + std::string(question);
}

std::vector<TokenId> prompt(const Engine& engine, std::string last_turn)
{
    const ChatTurn turns[] = {{"system", std::string(kInstruction)},
                              {"user", question_text(kExampleDocuments, kExampleQuestion)},
                              {"assistant", std::string(kExampleAnswer)},
                              {"user", std::move(last_turn)}};
    return engine.chat_prompt(turns);
}

}  // namespace

std::vector<TokenId> answer_prompt(const Engine& engine, const Evidence& passage, std::string_view question)
{
    return prompt(engine, question_text(passage_text(passage), question));
}

std::vector<TokenId> sufficiency_prompt(const Engine& engine, const Evidence& passage,
                                        std::string_view question)
{
    return prompt(engine, question_text(passage_text(passage), question) +
                              "\n\n위 문서에 이 질문의 답이 있습니까? '예' 또는 '아니오'로만 답하십시오.");
}

std::vector<Evidence> within_budget(const Engine& engine, std::span<const Evidence> evidence,
                                    std::size_t tokens)
{
    constexpr std::size_t kWorthShowing = 60;  // tokens; less of a document says nothing
    std::vector<Evidence> out;
    std::size_t left = tokens;
    for (const Evidence& e : evidence) {
        Evidence shown = e;
        const std::size_t head = engine.tokenizer().encode(e.chunk.header).size() + 8;
        if (left < head + kWorthShowing) break;
        std::size_t room = left - head, used = 0, end = 0;
        for (const Segment& s : split_sentences(e.chunk.text)) {
            const std::size_t size =
                engine.tokenizer().encode(std::string_view(e.chunk.text).substr(end, s.end - end)).size();
            if (used + size > room) break;
            used += size;
            end = s.end;
        }
        if (end == 0) continue;
        shown.chunk.text.resize(end);
        left -= head + used;
        out.push_back(std::move(shown));
    }
    return out;
}

}  // namespace jiphyeon
