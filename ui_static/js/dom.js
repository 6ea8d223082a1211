// Elements are made, never parsed: what a document or the model says can only become text.
export const $ = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// For screen readers alone.
export function announce(text) { $("announcer").textContent = text; }

export function show(element, visible) { element.hidden = !visible; }

export function showError(element, message) {
  element.textContent = message;
  show(element, Boolean(message));
}
