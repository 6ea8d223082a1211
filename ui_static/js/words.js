// The words for what the server says in names.
const LEVELS = { public: "공개", internal: "내부", restricted: "부분 제한", confidential: "대외비" };

export function labelText(label) {
  const [level, departments] = (label || "public").split(":");
  return (LEVELS[level] || level) + (departments ? ` · ${departments.replaceAll("+", ", ")}` : "");
}

export function placeText(item) {
  const parts = [];
  if (item.page > 0) {
    const pages = item.page_end > item.page ? `${item.page}~${item.page_end}쪽` : `${item.page}쪽`;
    parts.push(item.page_exact === false ? `약 ${pages}` : pages);
  }
  if (item.section) parts.push(item.section);
  return parts.join(", ");
}

export function stateText(item) {
  if (item.state === "superseded") return item.effective_to ? `개정 전 (${item.effective_to}까지)` : "개정 전";
  if (item.effective_from) return `${item.effective_from} 시행`;
  return "";
}

export function timeText(iso) {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? iso : time.toLocaleString("ko-KR", { dateStyle: "medium", timeStyle: "short" });
}

// Where the server's own words are missing: what happened, and what to do next.
const OUTCOMES = {
  partly_supported: "문서에서 확인하지 못한 문장은 빼거나 표시했습니다. 표시된 문장은 근거를 직접 확인하십시오.",
  conflicting: "문서끼리 서로 다르게 말합니다. 양쪽 근거를 모두 확인하십시오.",
  not_found: "볼 수 있는 문서에서 관련된 내용을 찾지 못했습니다. 다른 말로 묻거나 문서 찾기를 써 보십시오.",
  not_enough: "관련된 문서는 있으나 답할 만한 내용이 없습니다. 아래 문서를 직접 확인해 보십시오.",
  out_of_scope: "문서에서 찾을 수 있는 질문이 아닙니다. 규정, 계획, 절차처럼 문서에 있는 것을 물어 주십시오.",
  refused: "이 질문에는 답할 수 없습니다.",
  search_only: "지금은 답을 만들 수 없어 찾은 문서만 보여 드립니다.",
  busy: "지금은 질문이 많습니다. 잠시 뒤에 다시 물어 주십시오.",
  cancelled: "답을 멈췄습니다. 여기까지의 답과 멈춘 사실은 기록에 남습니다.",
  failed: "답을 만들지 못했습니다. 잠시 뒤에 다시 물어 주십시오.",
};
export function outcomeText(outcome, fromServer) { return fromServer || OUTCOMES[outcome] || ""; }
