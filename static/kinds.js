// The kind editor: Alt and an arrow move the row one is in, and the focus goes along with it.
"use strict";

document.addEventListener("keydown", (event) => {
  if (!event.altKey || event.ctrlKey || event.metaKey) return;
  const way = { ArrowUp: "up", ArrowDown: "down" }[event.key];
  const button = way && event.target.closest?.(".rows > .row")?.querySelector(`[data-move="${way}"]`);
  if (!button) return;
  event.preventDefault();
  if (!button.disabled) button.click();
});

document.addEventListener("htmx:afterSettle", () => {
  const editor = document.getElementById("_kind_editor");
  const wanted = editor?.dataset.focus;
  if (!wanted) return;
  editor.dataset.focus = "";
  document.getElementById(wanted)?.focus();
});

// The preview follows by itself; its button is for browsers that do not run this.
for (const line of document.querySelectorAll(".no-js")) line.hidden = true;
document.addEventListener("htmx:afterSwap", () => {
  for (const line of document.querySelectorAll(".no-js")) line.hidden = true;
});
