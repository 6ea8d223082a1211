// Calls to the server. An error is thrown as ApiError with the server's kind and words; a lost login is told
// to whoever listens, once, here.
export class ApiError extends Error {
  constructor(status, error) {
    super(error?.message || "서버에 연결할 수 없습니다. 잠시 뒤에 다시 해 주십시오.");
    this.status = status;
    this.kind = error?.kind || "unreachable";
  }
}

let csrf = "";
let onLoginLost = () => {};

export function setCsrf(token) { csrf = token; }
export function whenLoginLost(listener) { onLoginLost = listener; }

async function request(method, path, body, signal) {
  const options = { method, signal, credentials: "same-origin", headers: {}, redirect: "error" };
  if (method === "POST") {
    options.headers["Content-Type"] = "application/json";
    options.headers["X-CSRF-Token"] = csrf;
    options.body = JSON.stringify(body ?? {});
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, null);
  }
  if (response.ok) return response;
  let error = null;
  try { error = (await response.json()).error; } catch { /* an answer that is not ours: the status must do */ }
  if (response.status === 401 && path !== "/api/login") onLoginLost();
  throw new ApiError(response.status, error);
}

export async function get(path) { return (await request("GET", path)).json(); }
export async function post(path, body) { return (await request("POST", path, body)).json(); }

// Asks, and calls `on(name, data)` for each event of the stream. Resolves when the stream ends.
export async function askStream(body, on, signal) {
  const response = await request("POST", "/api/ask", body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    for (let end; (end = rest.indexOf("\n\n")) >= 0; rest = rest.slice(end + 2)) {
      let name = "message", data = "";
      for (const line of rest.slice(0, end).split("\n")) {
        if (line.startsWith("event: ")) name = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data) on(name, JSON.parse(data));
    }
  }
}
