import { get } from "./api.js";
import { $, el } from "./dom.js";
import { outcomeText, timeText } from "./words.js";
import { askAgain } from "./ask.js";

function row(record) {
  const answer = record.withheld ? "근거 문서를 볼 권한이 없어져 답을 보여 드리지 않습니다."
    : record.answer || outcomeText(record.outcome, "") || "답이 끝나지 않았습니다.";
  return el("li", { class: "card past-row" },
    el("h2", {}, record.question || "(내용 없음)"),
    el("p", { class: "hit-place" }, `${timeText(record.time)} · 기록 번호 ${record.leaf}`),
    el("p", { class: "past-answer" }, answer),
    el("button", { type: "button", class: "plain", onclick: () => { location.hash = "#ask"; askAgain(record.question); } }, "다시 묻기"));
}

export async function showHistory() {
  $("history-status").textContent = "가져오고 있습니다.";
  $("past").replaceChildren();
  try {
    const { records } = await get("/api/history");
    $("history-status").textContent = records.length ? "" : "아직 물은 것이 없습니다.";
    $("past").replaceChildren(...records.map(row));
  } catch (error) {
    $("history-status").textContent = error.message;
  }
}

export function clearHistory() { $("past").replaceChildren(); }
