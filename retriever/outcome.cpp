#include <array>

#include "jiphyeon/retriever.hpp"

namespace jiphyeon {
namespace {

struct OutcomeText {
    std::string_view name, text;
};

constexpr std::array<OutcomeText, 11> kOutcomes = {{
    {"answered", ""},
    {"partly_supported",
     "문서에서 확인된 부분만 답하였습니다. 빠진 내용은 아래 근거 문서에서 직접 확인하시기 바랍니다."},
    {"conflicting",
     "시행 중인 문서들의 내용이 서로 다릅니다. 두 근거를 함께 보이니 소관 부서에 확인하시기 바랍니다."},
    {"not_found",
     "열람하실 수 있는 문서에서 관련 내용을 찾지 못했습니다. 다른 낱말로 묻거나 소관 부서에 문의하시기 "
     "바랍니다."},
    {"not_enough",
     "관련된 문서는 있으나 질문에 답할 내용이 충분하지 않습니다. 아래 문서를 확인하시거나 질문을 더 "
     "구체적으로 적어 주십시오."},
    {"out_of_scope", "문서에서 찾아 답하는 서비스입니다. 업무 문서에 관하여 질문해 주십시오."},
    {"refused", "이 질문에는 답할 수 없습니다. 필요하시면 보안담당관에게 문의하시기 바랍니다."},
    {"search_only", "지금은 답변을 만들 수 없어 관련 문서만 보입니다."},
    {"busy", "지금은 이용자가 많아 답할 수 없습니다. 잠시 뒤에 다시 질문해 주십시오."},
    {"cancelled", "답변을 중단하였습니다."},
    {"failed", "답변을 만들지 못했습니다. 다시 시도하여도 같으면 관리자에게 알려 주십시오."},
}};

}  // namespace

std::string_view outcome_name(Outcome outcome)
{
    return kOutcomes.at(static_cast<std::size_t>(outcome)).name;
}
std::string_view outcome_text(Outcome outcome)
{
    return kOutcomes.at(static_cast<std::size_t>(outcome)).text;
}

std::string_view support_name(Support support)
{
    switch (support) {
        case Support::supported:
            return "supported";
        case Support::partial:
            return "partial";
        case Support::unsupported:
            return "unsupported";
    }
    return "unsupported";
}

}  // namespace jiphyeon
