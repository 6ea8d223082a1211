// Spans come in UTF-8 bytes, as everywhere on the server; here they become text nodes and <mark>s.
import { el } from "./dom.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

// spans: [{start, end}] in bytes, in any order, possibly overlapping.
export function withMarks(text, spans) {
  const bytes = encoder.encode(text);
  const sorted = spans.filter((s) => s.start < s.end && s.end <= bytes.length).sort((a, b) => a.start - b.start);
  const nodes = [];
  let at = 0;
  for (const span of sorted) {
    const start = Math.max(span.start, at);
    if (start >= span.end) continue;
    if (start > at) nodes.push(decoder.decode(bytes.subarray(at, start)));
    nodes.push(el("mark", {}, decoder.decode(bytes.subarray(start, span.end))));
    at = span.end;
  }
  if (at < bytes.length) nodes.push(decoder.decode(bytes.subarray(at)));
  return nodes;
}
