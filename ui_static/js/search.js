// The other door: evidence without a language model.
import { call } from "./api.js";
import { byId, make } from "./dom.js";
import { openEvidence, placeText } from "./evidence.js";

const status = byId("search-status");
const hits = byId("hits");

export const openSearch = () => byId("search-text").focus();

byId("search-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = byId("search-text").value.trim();
  if (!text) return;
  status.textContent = "찾고 있습니다.";
  hits.replaceChildren();
  const body = { text, k: 20 };
  if (byId("search-as-of").value) body.as_of = byId("search-as-of").value;
  try {
    const reply = await call("POST", "/api/search", body);
    status.textContent = reply.hits.length > 0 ? `${reply.hits.length}곳을 찾았습니다.` : "찾은 것이 없습니다. 다른 말이나 조문 번호로 찾아 보십시오.";
    for (const hit of reply.hits) hits.append(hitElement(hit));
  } catch (error) {
    status.textContent = error.message;
  }
});

function hitElement(hit) {
  const open = make("button", { type: "button", className: "open", "aria-expanded": "false", "aria-controls": "evidence" }, hit.document);
  open.addEventListener("click", () => openEvidence(hit, [], open));
  const old = hit.state === "superseded" ? make("span", { className: "banner" }, "옛 판") : null;
  return make("li", {}, make("h2", {}, open), make("span", { className: "hint" }, placeText(hit)), old, make("p", { className: "snippet" }, hit.text));
}
