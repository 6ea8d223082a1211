// Enter sends, Shift+Enter breaks the line. While a syllable is being composed, Enter first belongs to the input
// method: it is remembered and sends once, when the composition has ended and the text is whole. Browsers differ in
// whether the composition's end comes before or after the key; both orders are met here.

export function sendOnEnter(field, send) {
  let enterWaits = false;
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.keyCode !== 229) return;
    if (event.key !== "Enter" && event.code !== "Enter" && event.code !== "NumpadEnter") return;
    if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.isComposing) {
      enterWaits = true;
      return;
    }
    event.preventDefault();
    send();
  });
  field.addEventListener("compositionend", () => {
    if (!enterWaits) return;
    enterWaits = false;
    setTimeout(() => {
      if (field.value.endsWith("\n")) field.value = field.value.slice(0, -1);
      send();
    });
  });
}
