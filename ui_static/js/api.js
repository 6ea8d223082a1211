// Calls to the server of this page, and nothing else. Errors carry the server's own Korean words.

let csrf = "";
export const setCsrf = (token) => { csrf = token; };

export class ApiError extends Error {
  constructor(status, error) {
    super(error?.message || `서버가 답하지 않았습니다. (${status})`);
    this.status = status;
    this.kind = error?.kind || "unavailable";
  }
}

async function request(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (csrf) headers["X-CSRF-Token"] = csrf;
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
  } catch {
    throw new ApiError(0, { kind: "unavailable", message: "서버에 연결할 수 없습니다. 잠시 뒤에 다시 시도하십시오." });
  }
  return response;
}

export async function call(method, path, body) {
  const response = await request(method, path, body);
  const reply = await response.json().catch(() => ({}));
  if (!response.ok) {
    if (response.status === 401) document.dispatchEvent(new CustomEvent("logged-out"));
    throw new ApiError(response.status, reply.error);
  }
  return reply;
}

// Server-sent events of one question. `signal` aborts: the server sees the closed connection and cancels.
export async function stream(path, body, onEvent, signal) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body),
    signal,
    cache: "no-store",
  });
  if (!response.ok) {
    if (response.status === 401) document.dispatchEvent(new CustomEvent("logged-out"));
    throw new ApiError(response.status, (await response.json().catch(() => ({}))).error);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (let part; !(part = await reader.read()).done; ) {
    waiting += part.value;
    for (let end; (end = waiting.indexOf("\n\n")) >= 0; waiting = waiting.slice(end + 2)) {
      const frame = waiting.slice(0, end);
      const field = (name) => frame.split("\n").find((line) => line.startsWith(name + ": "))?.slice(name.length + 2);
      const data = field("data");
      if (data !== undefined) onEvent(field("event"), JSON.parse(data));
    }
  }
}
