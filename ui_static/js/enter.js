// Enter sends, Shift+Enter breaks the line. While a syllable is being composed, Enter belongs to the input
// method: it is remembered, and the question is sent once, complete, when the composition ends. Some input
// methods then report the same key press a second time as an ordinary Enter; that one is dropped.
export function sendOnEnter(field, send) {
  let down = false;      // the Enter key is held
  let pending = false;   // Enter was pressed during a composition
  let consumed = false;  // this press has already sent

  const sendOnce = () => {
    pending = false;
    if (consumed) return;
    consumed = down;
    send();
  };
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.keyCode !== 13 && event.code !== "Enter" && event.code !== "NumpadEnter") {
      pending = false;
      return;
    }
    if (event.shiftKey) return;
    if (event.repeat) { event.preventDefault(); return; }
    down = true;
    if (event.isComposing || event.keyCode === 229) {
      pending = true;
      return;
    }
    event.preventDefault();
    sendOnce();
  });
  // The last syllable is in the field only after this event.
  field.addEventListener("compositionend", () => { if (pending) setTimeout(() => { if (pending) sendOnce(); }); });
  field.addEventListener("beforeinput", (event) => {
    const breaks = event.inputType === "insertLineBreak" || event.inputType === "insertParagraph";
    if (breaks && down && consumed) event.preventDefault();
  });
  field.addEventListener("keyup", (event) => {
    if (event.key === "Enter" || event.code === "Enter" || event.code === "NumpadEnter") down = consumed = false;
  });
  field.addEventListener("blur", () => { down = pending = consumed = false; });
}
