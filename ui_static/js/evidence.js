// The panel beside the answer: the very page with the cited lines marked, or the text where there are no pages.
import { call } from "./api.js";
import { byId, make, marked, spansOf } from "./dom.js";

const panel = byId("evidence");
const body = byId("evidence-body");
let opener = null; // gets the focus back
let request = 0; // of the latest opening: late answers of earlier ones are dropped

export function placeText(item) {
  const parts = [];
  if (item.page > 0) {
    const pages = item.page_end > item.page ? `${item.page}~${item.page_end}쪽` : `${item.page}쪽`;
    parts.push(item.page_exact === false ? `${pages}(추정)` : pages);
  }
  if (item.section) parts.push(item.section);
  return parts.join(", ");
}

export function closeEvidence() {
  panel.hidden = true;
  body.replaceChildren();
  opener?.setAttribute("aria-expanded", "false");
  opener?.focus();
  opener = null;
}

byId("evidence-close").addEventListener("click", closeEvidence);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !panel.hidden) closeEvidence();
});

export async function openEvidence(item, byteSpans, from) {
  opener?.setAttribute("aria-expanded", "false");
  opener = from;
  from?.setAttribute("aria-expanded", "true");
  const mine = ++request;
  panel.hidden = false;
  byId("evidence-title").textContent = item.n ? `근거 [${item.n}]` : "문서";
  body.replaceChildren(aboutDocument(item), passage(item, byteSpans));
  byId("evidence-title").focus();
  try {
    const found = await call("GET", `/api/documents/${encodeURIComponent(item.document_id)}`);
    if (mine !== request) return;
    body.append(...(await pages(found, item, () => mine === request)));
  } catch (error) {
    if (mine === request) body.append(make("p", { className: "error", role: "alert" }, error.message));
  }
}

function aboutDocument(item) {
  const facts = [placeText(item)];
  if (item.version > 1) facts.push(`${item.version}판`);
  if (item.effective_from) facts.push(`${item.effective_from}부터 시행`);
  if (item.effective_to) facts.push(`${item.effective_to}까지`);
  const about = make("p", { className: "meta" }, make("strong", {}, item.document || item.source_id), facts.filter(Boolean).join(" · "));
  if (item.state === "superseded") about.append(" ", make("span", { className: "banner" }, "옛 판입니다"));
  return about;
}

function passage(item, byteSpans) {
  return make("blockquote", { className: "passage" }, ...marked(item.text, spansOf(item.text, byteSpans)));
}

async function pages(found, item, stillWanted) {
  const view = typeof found.view === "string" ? JSON.parse(found.view) : found.view;
  if (item.page > 0) {
    const image = await pageImage(item.document_id, item.page);
    if (!stillWanted()) return [];
    if (image) return [pageViewer(item, image, found.pages || view?.pages || item.page)];
  }
  return view ? [make("h3", {}, "본문"), textView(view, item)] : [];
}

async function pageImage(documentId, page) {
  const response = await fetch(`/api/documents/${encodeURIComponent(documentId)}/pages/${page}.png`, { cache: "no-store" });
  return response.ok ? URL.createObjectURL(await response.blob()) : null;
}

function pageViewer(item, firstUrl, count) {
  const image = make("img", { alt: "" });
  const sheet = make("div", { className: "page" }, image);
  const label = make("span", { role: "status" });
  const before = make("button", { type: "button", className: "quiet" }, "이전 쪽");
  const after = make("button", { type: "button", className: "quiet" }, "다음 쪽");
  let shown = item.page;

  const show = (page, url) => {
    shown = page;
    URL.revokeObjectURL(image.src);
    image.src = url;
    image.alt = `${item.document} ${page}쪽의 그림`;
    label.textContent = `${page} / ${count}쪽`;
    before.disabled = page <= 1;
    after.disabled = page >= count;
    sheet.querySelectorAll(".box").forEach((box) => box.remove());
    for (const { page: of, box } of item.boxes ?? []) {
      if (of !== page) continue;
      const mark = make("div", { className: "box" });
      const [left, top, right, bottom] = box.map((thousandth) => thousandth / 10);
      Object.assign(mark.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
      sheet.append(mark);
    }
  };
  const turn = async (page) => {
    const url = await pageImage(item.document_id, page);
    if (url) show(page, url);
    else label.textContent = `${page}쪽은 그림으로 보여 드릴 수 없습니다.`;
  };
  before.addEventListener("click", () => turn(shown - 1));
  after.addEventListener("click", () => turn(shown + 1));
  show(item.page, firstUrl);
  return make("div", {}, make("div", { className: "pager" }, before, label, after), sheet);
}

function textView(view, item) {
  const box = make("div", { className: "text-view" });
  let page = 0;
  let firstCited = null;
  for (const block of view.blocks) {
    if (block.page && block.page !== page) {
      page = block.page;
      box.append(make("p", { className: "page-mark" }, `${page}쪽`));
    }
    const element = blockElement(block);
    if (isCited(block, item)) {
      element.classList.add("cited");
      firstCited ??= element;
    }
    box.append(element);
  }
  requestAnimationFrame(() => firstCited?.scrollIntoView({ block: "center" }));
  return box;
}

function isCited(block, item) {
  const text = block.text.trim();
  if (text.length < 8 || (block.page && item.page && (block.page < item.page || block.page > Math.max(item.page, item.page_end)))) return false;
  return block.cells ? block.text.split("\n").some((row) => row.length > 3 && item.text.includes(row)) : item.text.includes(text);
}

function blockElement(block) {
  if (block.kind === "heading") return make("h3", {}, block.text);
  if (!block.cells) return make("p", {}, block.text);
  const table = make("table");
  for (const cell of block.cells) {
    while (table.rows.length <= cell.row) table.insertRow();
    table.rows[cell.row].append(make(cell.header ? "th" : "td", { rowSpan: cell.rowspan ?? 1, colSpan: cell.colspan ?? 1 }, cell.text));
  }
  return table;
}
