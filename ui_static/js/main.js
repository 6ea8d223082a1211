// Which view is shown, and who is logged in.
import { ApiError, get, post, setCsrf, whenLoginLost } from "./api.js";
import { clearAnswers, startAsking, stopAsking } from "./ask.js";
import { $, announce, show, showError } from "./dom.js";
import { closeEvidence, startEvidence } from "./evidence.js";
import { clearHistory, showHistory } from "./history.js";
import { clearSearch, startSearch } from "./search.js";
import { labelText } from "./words.js";

const VIEWS = {
  login: { title: "로그인", focus: "login-account" },
  ask: { title: "질문하기", focus: "question" },
  search: { title: "문서 찾기", focus: "search-text" },
  history: { title: "지난 질문", enter: showHistory },
  password: { title: "비밀번호 변경", focus: "password-old" },
};
let session = null;

function showView(name) {
  const view = VIEWS[name];
  for (const other of Object.keys(VIEWS)) show($(`view-${other}`), other === name);
  show($("top"), Boolean(session));
  for (const link of document.querySelectorAll(".doors a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  closeEvidence();
  document.title = `${view.title} - 집현`;
  announce(view.title);
  (view.focus ? $(view.focus) : $("main")).focus();
  view.enter?.();
}

function route() {
  if (!session) { showView("login"); return; }
  if (session.must_change_password) { showView("password"); return; }
  const name = location.hash.slice(1);
  showView(name !== "login" && VIEWS[name] ? name : "ask");
}

function forgetEverything() {
  session = null;
  setCsrf("");
  clearAnswers();
  clearSearch();
  clearHistory();
  closeEvidence();
}

async function loadSession() {
  session = await get("/api/session");
  setCsrf(session.csrf);
  $("who-name").textContent = session.account;
  $("password-account").value = session.account;
  const departments = session.departments.length ? `:${session.departments.join("+")}` : "";
  $("grade").textContent = `${labelText(session.clearance + departments)}까지`;
  if (session.must_change_password)
    $("password-lead").textContent = "처음 받은 비밀번호를 먼저 바꾸어 주십시오. 10자 이상이면 됩니다.";
}

async function login(event) {
  event.preventDefault();
  const account = $("login-account").value.trim(), password = $("login-password").value;
  showError($("login-error"), "");
  if (!account || !password) { showError($("login-error"), "계정과 비밀번호를 모두 적어 주십시오."); return; }
  try {
    await post("/api/login", { account, password });
    $("login-password").value = "";
    await loadSession();
    route();
  } catch (error) {
    showError($("login-error"), error.message);
    $("login-password").select();
  }
}

async function logout() {
  try {
    await post("/api/logout");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;  // the login was gone already
  }
  forgetEverything();
  location.hash = "";
  route();
}

async function changePassword(event) {
  event.preventDefault();
  const old = $("password-old").value, wanted = $("password-new").value;
  showError($("password-error"), "");
  if (wanted.length < 10) { showError($("password-error"), "새 비밀번호는 10자 이상이어야 합니다."); return; }
  if (wanted !== $("password-again").value) { showError($("password-error"), "새 비밀번호 두 개가 서로 다릅니다."); return; }
  try {
    await post("/api/password", { old, new: wanted });
    $("password-form").reset();
    await loadSession();
    location.hash = "#ask";
    route();
    announce("비밀번호를 바꾸었습니다.");
  } catch (error) {
    showError($("password-error"), error.message);
  }
}

function onKey(event) {
  if (event.key !== "Escape" || event.isComposing) return;
  if (closeEvidence() || stopAsking()) event.preventDefault();
}

async function start() {
  startAsking();
  startSearch();
  startEvidence();
  $("login-form").addEventListener("submit", login);
  $("password-form").addEventListener("submit", changePassword);
  $("logout").addEventListener("click", logout);
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", route);
  whenLoginLost(() => {
    if (!session) return;
    forgetEverything();
    showView("login");
    showError($("login-error"), "로그인이 끝났습니다. 다시 로그인해 주십시오.");
  });
  try {
    await loadSession();
  } catch (error) {
    if (error.status !== 401) showError($("login-error"), error.message);
  }
  route();
}

start();
