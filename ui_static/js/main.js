// Which view is shown, and who is logged in.
import { openAsk } from "./ask.js";
import { call, setCsrf } from "./api.js";
import { byId } from "./dom.js";
import { closeEvidence } from "./evidence.js";
import { openHistory } from "./history.js";
import { openSearch } from "./search.js";

const views = { ask: openAsk, search: openSearch, history: openHistory, password: openPassword };
let session = null;

function show(name) {
  for (const view of document.querySelectorAll(".view")) view.hidden = view.id !== `view-${name}`;
  for (const door of document.querySelectorAll("#doors a")) {
    if (door.hash === `#${name}`) door.setAttribute("aria-current", "page");
    else door.removeAttribute("aria-current");
  }
  byId("doors").hidden = byId("who").hidden = session === null;
  if (!byId("evidence").hidden) closeEvidence();
}

function route() {
  if (session === null) {
    show("login");
    byId("login-account").focus();
    return;
  }
  const wanted = location.hash.slice(1);
  const name = session.must_change_password ? "password" : wanted in views ? wanted : "ask";
  show(name);
  views[name]();
}

async function loadSession() {
  try {
    session = await call("GET", "/api/session");
    setCsrf(session.csrf);
    byId("account").textContent = session.account;
  } catch {
    session = null;
  }
  route();
}

function openPassword() {
  byId("password-account").value = session.account;
  byId("password-lead").textContent = session.must_change_password ? "처음 들어오셨습니다. 일회용 비밀번호를 나만 아는 것으로 바꾸십시오." : "";
  byId("password-old").focus();
}

byId("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("login-error").textContent = "";
  try {
    const reply = await call("POST", "/api/login", { account: byId("login-account").value.trim(), password: byId("login-password").value });
    setCsrf(reply.csrf);
    byId("login-form").reset();
    await loadSession();
  } catch (error) {
    byId("login-error").textContent = error.message;
    byId("login-password").select();
  }
});

byId("password-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const error = byId("password-error");
  error.textContent = "";
  if (byId("password-new").value !== byId("password-again").value) {
    error.textContent = "새 비밀번호 두 번이 서로 다릅니다.";
    return;
  }
  try {
    await call("POST", "/api/password", { old: byId("password-old").value, new: byId("password-new").value });
    byId("password-form").reset();
    location.hash = "#ask";
    await loadSession();
  } catch (problem) {
    error.textContent = problem.message;
  }
});

byId("logout").addEventListener("click", async () => {
  await call("POST", "/api/logout").catch(() => {});
  setCsrf("");
  session = null;
  location.hash = "";
  location.reload();
});

document.addEventListener("logged-out", () => {
  if (session === null) return;
  session = null;
  setCsrf("");
  route();
});
window.addEventListener("hashchange", route);
loadSession();
