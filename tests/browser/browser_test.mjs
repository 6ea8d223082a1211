// The pages as a person meets them: by keyboard, with a Korean input method, with a screen reader's view
// (axe-core), and with nothing fetched from elsewhere.
import assert from "node:assert/strict";
import { readFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

const { env } = process;
const require = createRequire(join(env.JIPHYEON_BROWSER_MODULES, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const address = env.JIPHYEON_ADDRESS || "https://localhost:8443";
const question = env.JIPHYEON_QUESTION || "연가는 한 해에 며칠입니까?";
const newPassword = env.JIPHYEON_NEW_PASSWORD || "바꾼 비밀번호 하나";
const answerLimit = 180_000;  // ms; the model may be cold
let browser, context, page;
const elsewhere = [], complaints = [];

async function picture(name) {
  if (!env.JIPHYEON_SCREENSHOTS) return;
  mkdirSync(env.JIPHYEON_SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(env.JIPHYEON_SCREENSHOTS, `${name}.png`) });
}

// axe runs in a world of its own, which the page's policy does not bind.
async function expectNoBarriers(where) {
  const session = await context.newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  await session.send("Runtime.evaluate", { expression: axe, contextId: executionContextId });
  const { result } = await session.send("Runtime.evaluate", {
    contextId: executionContextId, awaitPromise: true, returnByValue: true,
    expression: `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] })
      .then((found) => found.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target.join(" ")).join(", ")))`,
  });
  await session.detach();
  assert.deepEqual(result.value, [], where);
}

// What moves the focus may come a moment after the key or click, as a change of the address does.
async function expectFocus(selector) {
  try {
    await page.waitForFunction((wanted) => document.activeElement?.matches(wanted), selector, { timeout: 10_000 });
  } catch {
    assert.fail(`the focus is not on ${selector} but on ${await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 200))}`);
  }
}

async function until(condition, what) {
  for (let tries = 0; !condition(); ++tries) {
    assert.ok(tries < 300, what);
    await page.waitForTimeout(100);
  }
}

// One answer without the model, for what concerns the page alone. It comes once `ready` does.
async function answerWith(events, run, ready) {
  const body = events.map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`).join("");
  const asked = [];
  await page.route("**/api/ask", async (route) => {
    asked.push(route.request().postDataJSON().question);
    await ready;
    return route.fulfill({ status: 200, contentType: "text/event-stream", body });
  });
  try {
    await run(asked);
  } finally {
    await page.unroute("**/api/ask");
  }
}

const nothingFound = [["done", {
  outcome: "not_found", message: "찾지 못했습니다.", answer: "", sentences: [], evidence: [], label: "public", embedded: 1,
  record: 0, receipt: { leaf: 1, size: 2, root: "" } }]];

before(async () => {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  context = await browser.newContext({ ignoreHTTPSErrors: true, locale: "ko-KR", viewport: { width: 1360, height: 850 } });
  page = await context.newPage();
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== new URL(address).origin && url.protocol !== "blob:") elsewhere.push(request.url());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => { if (/Content Security Policy|Refused/.test(message.text())) complaints.push(message.text()); });
});
after(async () => { await browser?.close(); });

test("the login says what is wrong and where", async () => {
  await page.goto(address);
  await page.waitForSelector("#login-account");
  await expectFocus("#login-account");
  await expectNoBarriers("login");
  await picture("login");
  await page.keyboard.type(env.JIPHYEON_ACCOUNT);
  await page.keyboard.press("Tab");
  await page.keyboard.type("틀린 비밀번호 하나");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#login-error:not([hidden])");
  assert.equal(await page.getAttribute("#login-error", "role"), "alert");
  await expectNoBarriers("login refused");
});

test("a person logs in by keyboard, and changes a first password", async () => {
  await page.fill("#login-password", env.JIPHYEON_PASSWORD);
  await page.press("#login-password", "Enter");
  await page.waitForSelector("#view-ask:not([hidden]), #view-password:not([hidden])");
  if (await page.isVisible("#view-password")) {
    await expectNoBarriers("first password");
    await page.fill("#password-old", env.JIPHYEON_PASSWORD);
    await page.fill("#password-new", newPassword);
    await page.fill("#password-again", newPassword);
    await page.press("#password-again", "Enter");
  }
  await page.waitForSelector("#view-ask:not([hidden])");
  await expectFocus("#question");
  assert.match(await page.textContent(".notice"), /인공지능/);
  await expectNoBarriers("before the first question");
  await picture("ask");
});

test("a question is answered with citations that open their evidence", async () => {
  await page.fill("#question", question);
  await page.press("#question", "Enter");
  await page.waitForSelector(".turn .receipt", { timeout: answerLimit });
  const sentences = await page.$$eval(".turn .sentence", (found) => found.length);
  const cites = await page.$$(".turn .cite");
  assert.ok(sentences > 0, await page.textContent(".turn"));
  assert.ok(cites.length >= sentences, "each sentence bears a citation");
  await expectNoBarriers("answer");
  await picture("answer");

  await cites[0].focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("#panel:not([hidden])");
  await expectFocus("#panel-title");
  await page.waitForSelector("#panel-body .page img, #panel-body .passage");
  await expectNoBarriers("evidence");
  await picture("evidence");
  await page.click("#tab-text");
  assert.ok((await page.textContent("#panel-body .passage")).trim().length > 0);
  assert.ok(await page.$("#panel-body mark"), "the cited part is marked");
  await picture("evidence-text");
  await page.click("#tab-whole");
  await page.waitForSelector("#panel-body .whole");
  await expectNoBarriers("whole document");
  await page.keyboard.press("Escape");
  assert.ok(await page.isHidden("#panel"));
  await expectFocus("[class='cite']");
});

test("Enter during composition sends once, and the whole of it", async () => {
  await answerWith(nothingFound, async (asked) => {
    const session = await context.newCDPSession(page);
    await page.fill("#question", "출산휴");
    await page.focus("#question");
    await page.press("#question", "End");
    await session.send("Input.imeSetComposition", { text: "가", selectionStart: 1, selectionEnd: 1 });
    const enter = { key: "Process", code: "Enter", windowsVirtualKeyCode: 229 };
    await session.send("Input.dispatchKeyEvent", { type: "rawKeyDown", ...enter });
    await page.waitForTimeout(200);
    assert.deepEqual(asked, [], "not while the syllable is composed");
    await session.send("Input.insertText", { text: "가" });  // the input method commits
    await until(() => asked.length > 0, "sent when the composition ends");
    // Some input methods report the same press again.
    await session.send("Input.dispatchKeyEvent", { type: "rawKeyDown", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 });
    await session.send("Input.dispatchKeyEvent", { type: "keyUp", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 });
    await page.waitForTimeout(200);
    assert.deepEqual(asked, ["출산휴가"]);
    assert.equal(await page.inputValue("#question"), "");
    await page.waitForSelector("#ask-stop", { state: "hidden" });

    await page.fill("#question", "다음 질문");
    await page.press("#question", "Shift+Enter");
    assert.equal(await page.inputValue("#question"), "다음 질문\n");
    await page.press("#question", "Enter");
    await until(() => asked.length > 1, "the next question is sent");
    assert.deepEqual(asked, ["출산휴가", "다음 질문"]);
    await page.waitForSelector("#ask-stop", { state: "hidden" });
  });
});

test("what the model and the documents say is only ever text", async () => {
  const evil = '<img src=x onerror="document.title=1"><a href="javascript:1">[링크](https://example.com)</a>';
  const item = { n: 1, source_id: "x", document: evil, document_id: "x", version: 1, state: "current", label: "public", page: 0,
    page_end: 0, section: evil, header: evil, text: evil, boxes: [], cited: true };
  const sentence = { text: evil, citations: [1], support: "partial", doubt: evil, spans: [{ n: 1, start: 0, end: 4 }] };
  await answerWith([["evidence", { evidence: [item] }], ["sentence", { sentence }],
    ["done", { ...nothingFound[0][1], outcome: "partly_supported", message: evil, sentences: [sentence], evidence: [item] }]], async () => {
    await page.fill("#question", "주입");
    await page.press("#question", "Enter");
    await page.waitForSelector(".turn:last-child .receipt");
    await page.click(".turn:last-child .cite");
    await page.waitForSelector("#panel-body .passage");
    assert.equal(await page.$$eval("#answers img, #answers a, #panel img, #panel a", (found) => found.length), 0);
    assert.ok((await page.textContent(".turn:last-child")).includes("onerror"));
    await page.keyboard.press("Escape");
  });
});

test("an answer that ends leaves the reader where she went meanwhile", async () => {
  let end;
  const ended = new Promise((resolve) => { end = resolve; });
  await answerWith(nothingFound, async () => {
    await page.fill("#question", "기다리는 질문");
    await page.press("#question", "Enter");
    await page.waitForSelector("#ask-stop:not([hidden])");
    await page.click(".turn .cite >> nth=0");
    await expectFocus("#panel-title");
    end();
    await page.waitForSelector("#ask-stop", { state: "hidden" });
    await page.waitForTimeout(200);
    await expectFocus("#panel-title");
    await page.keyboard.press("Escape");
  }, ended);
});

test("search and history are doors of their own", async () => {
  await page.click("a[href='#search']");
  await expectFocus("#search-text");
  await page.fill("#search-text", question);
  await page.press("#search-text", "Enter");
  await page.waitForSelector(".hit");
  await expectNoBarriers("search");
  await picture("search");
  await page.click("a[href='#history']");
  await page.waitForSelector(".past-row");
  assert.ok((await page.textContent("#past")).includes(question));
  await expectNoBarriers("history");
  await picture("history");
});

test("a page is shown as a picture with the cited lines marked", { skip: !env.JIPHYEON_PAGE_SEARCH }, async () => {
  await page.click("a[href='#search']");
  await page.fill("#search-text", env.JIPHYEON_PAGE_SEARCH);
  await page.press("#search-text", "Enter");
  await page.waitForFunction((words) => document.getElementById("search-status").textContent.includes("곳을") && words, env.JIPHYEON_PAGE_SEARCH);
  await page.click(".hit-title >> nth=0");
  await page.waitForSelector("#panel-body .page img", { timeout: 60_000 });
  assert.ok(await page.$eval("#panel-body .page img", (image) => image.naturalWidth) > 300);
  assert.ok(await page.$$eval("#panel-body .page .box", (boxes) => boxes.length) > 0, "the lines are marked");
  await expectNoBarriers("page picture");
  await picture("page");
  await page.keyboard.press("Escape");
});

test("on a narrow screen everything stays in reach", async () => {
  await page.setViewportSize({ width: 390, height: 800 });
  await page.click("a[href='#ask']");
  await expectFocus("#question");
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} pixels too wide`);
  await picture("narrow");
  await page.setViewportSize({ width: 1360, height: 850 });
});

test("logging out leaves nothing of the answers on the screen", async () => {
  await page.click("#logout");
  await page.waitForSelector("#view-login:not([hidden])");
  assert.equal((await page.textContent("#answers")).trim(), "");
  await page.reload();
  await page.waitForSelector("#view-login:not([hidden])");
});

test("nothing came from elsewhere, and the page broke no rule of its own", () => {
  assert.deepEqual(elsewhere, []);
  assert.deepEqual(complaints, []);
});
