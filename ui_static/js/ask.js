// Questions and their answers, one below the other. Sentences appear as they are released; each bears the
// numbers of its evidence as buttons.
import { askStream, post } from "./api.js";
import { $, announce, el, show } from "./dom.js";
import { sendOnEnter } from "./enter.js";
import { closeEvidence, openEvidence } from "./evidence.js";
import { labelText, outcomeText, placeText } from "./words.js";

let running = null;  // AbortController of the question that is being answered

class Turn {
  constructor(question) {
    this.question = question;
    this.evidence = new Map();  // n -> item
    this.sentences = [];
    this.status = el("p", { class: "turn-status working" }, "문서를 찾고 있습니다.");
    this.text = el("div", { class: "turn-text", "aria-live": "polite", "aria-relevant": "additions" });
    this.foot = el("div", {});
    this.element = el("article", { class: "turn", "aria-label": `질문: ${question}` },
      el("h2", { class: "turn-question" }, question),
      el("div", { class: "card turn-card" }, this.status, this.text, this.foot));
  }

  say(text, working = true) {
    this.status.textContent = text;
    this.status.classList.toggle("working", working);
    show(this.status, Boolean(text));
    if (text) announce(text);
  }

  onEvent(name, data) {
    if (name === "queued") this.say(`앞에 ${data.place}명이 묻고 있습니다. 차례가 되면 바로 찾습니다.`);
    else if (name === "evidence") this.onEvidence(data.evidence);
    else if (name === "sentence") this.onSentence(data.sentence);
    else if (name === "done") this.onDone(data);
    else if (name === "error") this.onFailed(data.error?.message);
  }

  onEvidence(items) {
    for (const item of items) this.evidence.set(item.n, item);
    if (items.length) this.say(`근거가 될 만한 대목 ${items.length}곳을 읽고 답을 쓰고 있습니다.`);
  }

  onSentence(sentence) {
    this.sentences.push(sentence);
    const span = el("span", { class: sentence.support === "partial" ? "sentence partial" : "sentence" }, sentence.text);
    const parts = [span];
    for (const n of sentence.citations) parts.push(this.citeButton(n));
    if (sentence.doubt) parts.push(el("span", { class: "doubt" }, ` (확인하지 못함: ${sentence.doubt})`));
    this.text.append(...parts, " ");
  }

  citeButton(n) {
    const item = this.evidence.get(n);
    return el("button", {
      type: "button", class: "cite", "aria-pressed": "false",
      "aria-label": `근거 ${n} 보기${item ? `: ${item.document} ${placeText(item)}` : ""}`,
      title: item ? `${item.document} ${placeText(item)}` : null,
      onclick: (event) => this.open(n, event.currentTarget),
    }, `[${n}]`);
  }

  spansOf(n) {
    return this.sentences.flatMap((sentence) => (sentence.spans || []).filter((span) => span.n === n));
  }

  open(n, opener) {
    const item = this.evidence.get(n);
    if (item) openEvidence(item, this.spansOf(n), opener);
  }

  onFailed(message) {
    this.finished = true;
    this.say("", false);
    this.foot.replaceChildren(el("p", { class: "outcome caution", role: "alert" }, outcomeText("failed", message)));
  }

  onStopped() {
    this.finished = true;
    this.say("", false);
    this.foot.replaceChildren(el("p", { class: "outcome" }, outcomeText("cancelled")));
    announce("답을 멈췄습니다.");
  }

  onDone(reply) {
    this.finished = true;
    this.reply = reply;
    for (const item of reply.evidence) this.evidence.set(item.n, item);
    this.say("", false);
    const parts = [];
    const message = reply.outcome === "answered" ? "" : outcomeText(reply.outcome, reply.message);
    const caution = reply.outcome === "partly_supported" || reply.outcome === "conflicting";
    if (message) parts.push(el("p", { class: caution ? "outcome caution" : "outcome" }, message));
    parts.push(this.footOf(reply));
    this.foot.replaceChildren(...parts);
    announce(reply.sentences.length ? "답이 끝났습니다." : message);
  }

  sourceRow(item) {
    return el("li", {}, el("button", { type: "button", class: "source", "aria-pressed": "false",
        onclick: (event) => this.open(item.n, event.currentTarget) },
      el("span", { class: "source-n" }, `[${item.n}]`),
      el("span", {}, item.document, " ", el("span", { class: "source-place" }, placeText(item)))));
  }

  sourceList(items) { return el("ol", { class: "source-list" }, ...items.map((item) => this.sourceRow(item))); }

  footOf(reply) {
    const cited = reply.evidence.filter((item) => item.cited);
    const others = reply.evidence.filter((item) => !item.cited);
    const parts = [];
    if (cited.length) parts.push(el("h3", {}, "근거 문서"), this.sourceList(cited));
    if (others.length && cited.length)
      parts.push(el("details", { class: "more" }, el("summary", {}, `함께 찾은 대목 ${others.length}곳`), this.sourceList(others)));
    else if (others.length) parts.push(el("h3", {}, "찾은 대목"), this.sourceList(others));
    if (reply.embedded < 1)
      parts.push(el("p", { class: "small" }, `문서의 ${Math.floor(reply.embedded * 100)}%만 뜻으로 찾을 수 있게 준비되었습니다. 나머지는 낱말로만 찾았습니다.`));
    parts.push(this.acts(reply));
    return el("div", { class: "turn-foot" }, ...parts);
  }

  acts(reply) {
    const line = el("div", { class: "turn-acts" });
    const box = el("div", {});
    if (reply.sentences.length) {
      line.append(el("span", { class: "badge" }, "AI가 만든 답"), el("span", { class: "badge" }, labelText(reply.label)));
      line.append(el("button", { type: "button", class: "secondary", onclick: (event) => this.copy(event.currentTarget) }, "근거와 함께 복사"));
    }
    const buttons = [["good", "도움이 됨"], ["bad", "도움이 안 됨"]].map(([verdict, word]) =>
      el("button", { type: "button", class: "secondary", "aria-pressed": "false",
        onclick: (event) => this.judge(verdict, event.currentTarget, buttons, box) }, word));
    line.append(...buttons, el("span", { class: "receipt", title: `기록의 뿌리 ${reply.receipt.root}` }, `기록 번호 ${reply.receipt.leaf}`));
    return el("div", {}, line, box);
  }

  judge(verdict, button, buttons, box) {
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    const send = async (comment) => {
      try {
        await post("/api/feedback", { leaf: this.reply.record, verdict, ...(comment ? { comment } : {}) });
        box.replaceChildren(el("p", { class: "small", role: "status" }, "의견을 남겼습니다. 고맙습니다."));
      } catch (error) {
        box.replaceChildren(el("p", { class: "alert", role: "alert" }, error.message));
      }
    };
    if (verdict === "good") { send(""); return; }
    const id = `comment-${this.reply.record}`;
    const input = el("input", { id, maxlength: "2000" });
    box.replaceChildren(el("form", { class: "comment", onsubmit: (event) => { event.preventDefault(); send(input.value.trim()); } },
      el("label", { for: id }, "무엇이 잘못되었습니까? 개인정보는 적지 마십시오."), input,
      el("button", { type: "submit", class: "primary" }, "보내기")));
    input.focus();
  }

  // The answer never travels without its sources and without saying who made it.
  textWithSources() {
    const cited = this.reply.evidence.filter((item) => item.cited)
      .map((item) => `[${item.n}] ${[item.document, placeText(item), `제${item.version}판`].filter(Boolean).join(", ")}`);
    return [`질문: ${this.question}`, "", this.reply.answer, "", "근거", ...cited, "",
      `등급: ${labelText(this.reply.label)}`,
      `이 글은 인공지능(집현)이 만들었습니다. 기록 번호 ${this.reply.receipt.leaf}.`].join("\n");
  }

  async copy(button) {
    try {
      await navigator.clipboard.writeText(this.textWithSources());
      button.textContent = "복사했습니다";
      announce("답을 근거와 함께 복사했습니다.");
    } catch {
      button.textContent = "복사할 수 없습니다";
    }
    setTimeout(() => { button.textContent = "근거와 함께 복사"; }, 2500);
  }
}

function setRunning(controller) {
  running = controller;
  show($("ask-stop"), Boolean(controller));
  $("ask-send").disabled = Boolean(controller);
}

function fit(field) {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, 224)}px`;
}

async function send() {
  const field = $("question");
  const question = field.value.trim();
  if (!question || running) return;
  field.value = "";
  fit(field);
  $("view-ask").classList.add("asked");
  closeEvidence();
  const turn = new Turn(question);
  $("answers").append(turn.element);
  turn.element.scrollIntoView({ block: "start" });
  const controller = new AbortController();
  setRunning(controller);
  const asOf = $("as-of").value;
  try {
    await askStream({ question, ...(asOf ? { as_of: asOf } : {}) }, (name, data) => turn.onEvent(name, data), controller.signal);
    if (!turn.finished) turn.onFailed("답이 오다가 끊겼습니다. 지난 질문에서 확인하거나 다시 물어 주십시오.");
  } catch (error) {
    if (error.name === "AbortError") turn.onStopped();
    else turn.onFailed(error.message);
  } finally {
    setRunning(null);
    // Who reads the evidence or went to another view stays there.
    if (document.activeElement === document.body || $("ask-form").contains(document.activeElement)) field.focus();
  }
}

export function stopAsking() {
  if (!running) return false;
  running.abort();
  return true;
}

export function askAgain(question) {
  $("question").value = question;
  fit($("question"));
  $("question").focus();
}

// Nothing of one person's questions stays on the screen for the next.
export function clearAnswers() {
  stopAsking();
  $("answers").replaceChildren();
  $("question").value = "";
  $("view-ask").classList.remove("asked");
}

export function startAsking() {
  sendOnEnter($("question"), send);
  $("question").addEventListener("input", (event) => fit(event.currentTarget));
  $("ask-form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  $("ask-stop").addEventListener("click", stopAsking);
}
