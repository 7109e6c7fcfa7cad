// Rules in order: Alt with an arrow moves the rule one stands on, as its buttons do.
"use strict";

document.addEventListener("keydown", (event) => {
  if (!event.altKey || event.ctrlKey || event.metaKey) return;
  const way = { ArrowUp: "up", ArrowDown: "down" }[event.key];
  const button = way && event.target.closest?.("[data-rule]")?.querySelector(`[data-move="${way}"]`);
  if (!button) return;
  event.preventDefault();
  if (!button.disabled) button.click();
});
