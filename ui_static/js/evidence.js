// The panel on the right: the page as a picture with the cited lines marked, the cited passage as text, or the
// whole document as text. Where there is no picture that may be shown, the text stands in.
import { get } from "./api.js";
import { $, announce, el, show } from "./dom.js";
import { withMarks } from "./marks.js";
import { labelText, placeText, stateText } from "./words.js";

let current = null;  // {item, spans, opener}
let page = 0;
let showing = 0;  // grows with each view, so that a late answer does not overwrite a newer one

const TABS = { page: "tab-page", text: "tab-text", whole: "tab-whole" };

function press(tab) {
  for (const [name, id] of Object.entries(TABS)) $(id).setAttribute("aria-pressed", String(name === tab));
}

function boxesOf(item, number) { return (item.boxes || []).filter((box) => box.page === number); }

function pageUrl(item, number) { return `/api/documents/${encodeURIComponent(item.document_id)}/pages/${number}.png`; }

function pageNavigation() {
  const last = current.item.pages || 0;
  const turn = (by) => () => { page += by; showPage(); };
  return el("div", { class: "page-nav" },
    el("button", { type: "button", class: "plain", onclick: turn(-1), disabled: page <= 1 }, "앞 쪽"),
    el("span", {}, `${page}쪽`),
    el("button", { type: "button", class: "plain", onclick: turn(1), disabled: last > 0 && page >= last }, "뒤 쪽"));
}

async function showPage() {
  const mine = ++showing;
  const { item } = current;
  press("page");
  $("panel-status").textContent = "쪽 그림을 가져오고 있습니다.";
  const image = el("img", { alt: `${item.document} ${page}쪽의 그림. 인용된 글은 ‘인용된 글’에서 읽을 수 있습니다.` });
  const sheet = el("div", { class: "page" }, image);
  image.src = pageUrl(item, page);
  try {
    await image.decode();
  } catch {
    if (mine !== showing) return;
    if (page === item.page) { showText("이 쪽은 그림으로 보여 드릴 수 없어 글로 보여 드립니다."); return; }
    $("panel-status").textContent = "이 쪽은 그림이 없습니다.";
    $("panel-body").replaceChildren(pageNavigation());
    return;
  }
  if (mine !== showing) return;
  for (const { box: [left, top, right, bottom] } of boxesOf(item, page)) {
    const mark = el("div", { class: "box", "aria-hidden": "true" });
    mark.style.left = `${left / 10}%`;
    mark.style.top = `${top / 10}%`;
    mark.style.width = `${(right - left) / 10}%`;
    mark.style.height = `${(bottom - top) / 10}%`;
    sheet.append(mark);
  }
  $("panel-status").textContent = "";
  $("panel-body").replaceChildren(pageNavigation(), sheet);
  sheet.querySelector(".box")?.scrollIntoView({ block: "center" });
}

function showText(message = "") {
  ++showing;
  press("text");
  const { item, spans } = current;
  $("panel-status").textContent = message;
  $("panel-body").replaceChildren(
    el("p", { class: "passage-header" }, item.header || ""),
    el("p", { class: "passage" }, ...withMarks(item.text, spans)));
  $("panel-body").querySelector("mark")?.scrollIntoView({ block: "center" });
}

function tableOf(block, number) {
  const rows = new Map();
  for (const cell of block.cells) {
    if (!rows.has(cell.row)) rows.set(cell.row, el("tr"));
    rows.get(cell.row).append(el(cell.header ? "th" : "td", {
      rowspan: cell.rowspan > 1 ? cell.rowspan : null, colspan: cell.colspan > 1 ? cell.colspan : null,
    }, cell.text || ""));
  }
  return el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": `표 ${number}` },
    el("table", {}, el("tbody", {}, ...rows.values())));
}

function blockOf(block, tables) {
  if (block.kind === "table" && block.cells?.length) return tableOf(block, tables);
  if (block.kind === "heading") return el("h3", {}, block.text || "");
  return el("p", { class: block.kind === "note" ? "note" : null }, block.text || "");
}

const squeezed = (text) => (text || "").replace(/\s+/g, "");

async function showWhole() {
  const mine = ++showing;
  press("whole");
  const { item } = current;
  $("panel-status").textContent = "문서를 가져오고 있습니다.";
  let document_;
  try {
    document_ = await get(`/api/documents/${encodeURIComponent(item.document_id)}`);
  } catch (error) {
    if (mine === showing) { $("panel-status").textContent = error.message; $("panel-body").replaceChildren(); }
    return;
  }
  if (mine !== showing) return;
  const passage = squeezed(item.text);
  const nodes = [];
  let lastPage = 0, tables = 0, here = null;
  for (const block of document_.view?.blocks || []) {
    if (block.kind === "header" || block.kind === "footer") continue;
    if (block.page > lastPage) {
      lastPage = block.page;
      nodes.push(el("p", { class: "page-mark" }, `${block.page}쪽`));
    }
    if (block.kind === "table") ++tables;
    const node = blockOf(block, tables);
    const text = squeezed(block.text);
    if (text.length > 6 && passage.includes(text)) {
      node.classList.add("here");
      here ??= node;
    }
    nodes.push(node);
  }
  $("panel-status").textContent = nodes.length ? "" : "보여 드릴 글이 없습니다.";
  $("panel-body").replaceChildren(el("div", { class: "whole" }, ...nodes));
  here?.scrollIntoView({ block: "center" });
}

// spans: of the item's text, in bytes. opener: gets the focus back.
export function openEvidence(item, spans, opener) {
  current?.opener?.setAttribute?.("aria-pressed", "false");
  current = { item, spans, opener };
  opener?.setAttribute("aria-pressed", "true");
  page = item.page;
  $("panel-title").textContent = item.n ? `[${item.n}] ${item.document}` : item.document;
  const facts = [placeText(item), `제${item.version}판`, stateText(item)].filter(Boolean).map((text) => el("span", {}, text));
  $("panel-place").replaceChildren(...facts, el("span", { class: "badge" }, labelText(item.label)));
  show($("tab-page"), item.page > 0);
  show($("panel"), true);
  $("panel-title").focus();
  announce(`근거를 열었습니다. ${item.document}`);
  if (item.page > 0) showPage();
  else showText();
}

export function closeEvidence() {
  if (!current) return false;
  ++showing;
  show($("panel"), false);
  $("panel-body").replaceChildren();
  const { opener } = current;
  current = null;
  opener?.setAttribute("aria-pressed", "false");
  if (opener?.isConnected) opener.focus();
  return true;
}

export function startEvidence() {
  $("panel-close").addEventListener("click", closeEvidence);
  $("tab-page").addEventListener("click", () => { page = current.item.page; showPage(); });
  $("tab-text").addEventListener("click", () => showText());
  $("tab-whole").addEventListener("click", showWhole);
}
