// Asking: the stream of checked sentences, their citations, the outcome and what can be done next.
import { ApiError, call, stream } from "./api.js";
import { byId, make } from "./dom.js";
import { openEvidence, placeText } from "./evidence.js";
import { sendOnEnter } from "./send_key.js";

const form = byId("ask-form");
const question = byId("question");
const status = byId("ask-status");
const answers = byId("answers");
const cancel = byId("cancel");
const send = byId("send");
let running = null; // AbortController of the question under way

export function openAsk() {
  byId("as-of").max = "2999-12-31";
  question.focus();
}

sendOnEnter(question, () => form.requestSubmit());
cancel.addEventListener("click", () => running?.abort());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (text && !running) ask(text);
});

async function ask(text) {
  running = new AbortController();
  question.value = "";
  send.disabled = true;
  cancel.hidden = false;
  status.textContent = "문서를 찾고 있습니다.";
  const turn = new Turn(text);
  answers.prepend(turn.element);
  const body = { question: text };
  if (byId("as-of").value) body.as_of = byId("as-of").value;
  try {
    await stream("/api/ask", body, (name, data) => turn.on(name, data), running.signal);
    if (!turn.finished) turn.fail("답이 중간에 끊어졌습니다. 다시 물어 주십시오.");
  } catch (error) {
    if (error.name === "AbortError") turn.fail("멈추었습니다. 여기까지의 답과 멈춘 사실이 기록에 남습니다.");
    else turn.fail(error instanceof ApiError ? error.message : "서버와의 연결이 끊어졌습니다. 다시 물어 주십시오.");
  }
  running = null;
  send.disabled = false;
  cancel.hidden = true;
  question.focus();
}

// One question and its answer on the page.
class Turn {
  constructor(text) {
    this.text = text;
    this.evidence = new Map();
    this.finished = false;
    this.sentences = make("p", { className: "sentences waiting", "aria-live": "polite" });
    this.after = make("div");
    this.element = make("article", { className: "turn" }, make("h2", {}, text), this.sentences, this.after);
  }

  on(name, data) {
    if (name === "queued") status.textContent = `앞에 ${data.place}개의 질문이 있습니다. 차례를 기다립니다.`;
    else if (name === "evidence") this.setEvidence(data.evidence);
    else if (name === "sentence") this.addSentence(data.sentence);
    else if (name === "done") this.finish(data);
    else if (name === "error") this.fail(data.error.message);
  }

  setEvidence(evidence) {
    for (const item of evidence) this.evidence.set(item.n, item);
    if (!this.finished) status.textContent = `근거 ${evidence.length}곳을 읽고 답을 쓰고 있습니다.`;
  }

  addSentence(sentence) {
    const element = make("span", { className: `sentence ${sentence.support}` }, sentence.text);
    for (const n of sentence.citations) {
      const item = this.evidence.get(n);
      const chip = make("button", { type: "button", className: "cite", "aria-expanded": "false", "aria-controls": "evidence" }, `${n}`);
      chip.setAttribute("aria-label", item ? `근거 ${n}: ${item.document} ${placeText(item)}` : `근거 ${n}`);
      chip.title = item ? `${item.document} ${placeText(item)}` : "";
      const spans = (sentence.spans ?? []).filter((span) => span.n === n);
      chip.addEventListener("click", () => item && openEvidence(item, spans, chip));
      element.append(" ", chip);
    }
    if (sentence.doubt) element.append(" ", make("span", { className: "doubt" }, `(확인되지 않음: ${sentence.doubt})`));
    this.sentences.append(element, " ");
  }

  finish(reply) {
    this.finished = true;
    this.sentences.classList.remove("waiting");
    this.setEvidence(reply.evidence ?? []);
    if (reply.label && reply.label !== "public") this.sentences.before(make("span", { className: "banner" }, `이 답에 쓰인 문서의 등급: ${reply.label}`));
    const told = reply.message || (reply.sentences.length === 0 ? reply.answer : "");
    if (told) this.after.append(make("p", { className: reply.outcome === "answered" ? "outcome" : "outcome warn" }, told));
    if (reply.embedded !== undefined && reply.embedded < 0.999) this.after.append(make("p", { className: "hint" }, `새 문서의 ${Math.round((1 - reply.embedded) * 100)}%는 아직 낱말로만 찾습니다.`));
    this.after.append(this.sourceLists(reply), this.foot(reply));
    status.textContent = reply.sentences.length > 0 ? "답을 마쳤습니다." : "찾기를 마쳤습니다.";
  }

  fail(message) {
    this.finished = true;
    this.sentences.classList.remove("waiting");
    this.after.append(make("p", { className: "outcome warn", role: "alert" }, message));
    status.textContent = "";
  }

  sourceLists(reply) {
    const cited = reply.evidence.filter((item) => item.cited);
    const others = reply.evidence.filter((item) => !item.cited);
    const box = make("div");
    if (cited.length > 0) box.append(sources(cited, "답의 근거"));
    if (others.length > 0) box.append(make("details", { open: cited.length === 0 }, make("summary", {}, `함께 찾은 곳 ${others.length}`), sources(others, "함께 찾은 곳")));
    return box;
  }

  foot(reply) {
    const foot = make("div", { className: "foot" });
    const copy = make("button", { type: "button", className: "quiet" }, "근거와 함께 복사");
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(this.plainText(reply));
      copy.textContent = "복사했습니다";
    });
    foot.append(copy);
    for (const [verdict, label] of [["good", "도움이 됨"], ["bad", "맞지 않음"]]) {
      const button = make("button", { type: "button", className: "quiet", "aria-pressed": "false" }, label);
      button.addEventListener("click", () => this.feedback(reply.receipt.leaf, verdict, button, foot));
      foot.append(button);
    }
    foot.append(make("span", { className: "receipt", title: `root ${reply.receipt.root}` }, `기록 ${reply.receipt.leaf} · ${(reply.timings_ms.total / 1000).toFixed(1)}초`));
    return foot;
  }

  async feedback(leaf, verdict, button, foot) {
    try {
      await call("POST", "/api/feedback", { leaf, verdict });
      for (const other of foot.querySelectorAll("[aria-pressed]")) other.setAttribute("aria-pressed", String(other === button));
      status.textContent = "의견을 남겼습니다.";
    } catch (error) {
      status.textContent = error.message;
    }
  }

  plainText(reply) {
    const cited = reply.evidence.filter((item) => item.cited).map((item) => `[${item.n}] ${item.document}, ${placeText(item)}`);
    return [`질문: ${this.text}`, reply.answer, ...cited, `집현이 인공지능으로 만든 답입니다. 기록 ${reply.receipt.leaf}, ${reply.receipt.root}`].join("\n");
  }
}

function sources(items, label) {
  const list = make("ul", { className: "sources", "aria-label": label });
  for (const item of items) {
    const button = make("button", { type: "button", "aria-expanded": "false", "aria-controls": "evidence" },
      make("span", { className: "n" }, `[${item.n}]`), make("span", {}, item.document), make("span", { className: "place" }, placeText(item)));
    button.addEventListener("click", () => openEvidence(item, [], button));
    list.append(make("li", {}, button));
  }
  return list;
}
