import { post } from "./api.js";
import { $, el } from "./dom.js";
import { openEvidence } from "./evidence.js";
import { labelText, placeText } from "./words.js";

function hitRow(hit) {
  return el("li", { class: "card hit" },
    el("button", { type: "button", class: "hit-title", "aria-pressed": "false",
      onclick: (event) => openEvidence(hit, [], event.currentTarget) }, hit.document),
    el("p", { class: "hit-place" }, placeText(hit), " ", el("span", { class: "badge" }, labelText(hit.label))),
    el("p", { class: "hit-text" }, hit.text));
}

async function search(event) {
  event.preventDefault();
  const text = $("search-text").value.trim();
  if (!text) return;
  const asOf = $("search-as-of").value;
  $("search-status").textContent = "찾고 있습니다.";
  $("hits").replaceChildren();
  try {
    const { hits } = await post("/api/search", { text, k: 20, ...(asOf ? { as_of: asOf } : {}) });
    $("search-status").textContent = hits.length ? `${hits.length}곳을 찾았습니다.`
      : "찾은 것이 없습니다. 다른 낱말이나 조문 번호로 찾아 보십시오.";
    $("hits").replaceChildren(...hits.map(hitRow));
  } catch (error) {
    $("search-status").textContent = error.message;
  }
}

export function clearSearch() {
  $("search-text").value = "";
  $("search-status").textContent = "";
  $("hits").replaceChildren();
}

export function startSearch() { $("search-form").addEventListener("submit", search); }
