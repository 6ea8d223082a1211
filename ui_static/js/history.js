// One's own earlier questions, read from the record.
import { call } from "./api.js";
import { byId, make } from "./dom.js";

const kOutcomes = {
  answered: "답함", partly_supported: "일부만 확인됨", conflicting: "근거가 서로 다름", not_found: "찾지 못함", not_enough: "근거 부족",
  out_of_scope: "범위 밖", refused: "답할 수 없음", search_only: "근거만 찾음", busy: "붐빔", cancelled: "멈춤", failed: "실패", interrupted: "중단됨",
};

export async function openHistory() {
  const status = byId("history-status");
  const records = byId("records");
  status.textContent = "불러오고 있습니다.";
  records.replaceChildren();
  try {
    const reply = await call("GET", "/api/history");
    status.textContent = reply.records.length > 0 ? "" : "아직 물은 것이 없습니다.";
    for (const record of reply.records) {
      const answer = record.withheld ? "지금은 읽을 수 없는 문서에서 나온 답입니다." : record.answer;
      records.append(make("li", {},
        make("time", { dateTime: record.time }, `${new Date(record.time).toLocaleString("ko-KR")} · ${kOutcomes[record.outcome] ?? record.outcome} · 기록 ${record.leaf}`),
        make("h2", {}, record.question), make("p", { className: "answer" }, answer)));
    }
  } catch (error) {
    status.textContent = error.message;
  }
}
