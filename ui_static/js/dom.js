// Elements from plain values. Text is always a text node: what documents and the model say is never markup.

export const byId = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Byte offsets (UTF-8, as the server counts) into positions of a JavaScript string.
export function spansOf(text, byteSpans) {
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder();
  return byteSpans
    .map(({ start, end }) => ({
      start: decoder.decode(bytes.subarray(0, start)).length,
      end: decoder.decode(bytes.subarray(0, end)).length,
    }))
    .sort((a, b) => a.start - b.start);
}

// The text with the spans inside <mark>.
export function marked(text, spans) {
  const parts = [];
  let at = 0;
  for (const { start, end } of spans) {
    if (start < at || end <= start) continue;
    parts.push(text.slice(at, start), make("mark", {}, text.slice(start, end)));
    at = end;
  }
  parts.push(text.slice(at));
  return parts;
}
