// Countdowns: [data-countdown="seconds"] ticks to zero. data-plain: "8 s" instead of "0:08";
// data-zero: the words to end with; data-zero-removes: what to take away at the end.
"use strict";

const deadlines = new WeakMap();

function show(element, seconds) {
  if ("plain" in element.dataset) return `${seconds} s`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function tick() {
  for (const element of document.querySelectorAll("[data-countdown]")) {
    if (!deadlines.has(element)) {
      deadlines.set(element, Date.now() + Number(element.dataset.countdown) * 1000);
    }
    const seconds = Math.max(Math.ceil((deadlines.get(element) - Date.now()) / 1000), 0);
    element.classList.toggle("soon", seconds < 60 && !("plain" in element.dataset));
    if (seconds === 0 && element.dataset.zeroRemoves) {
      element.closest(element.dataset.zeroRemoves)?.remove();
      continue;
    }
    const words = seconds === 0 && element.dataset.zero ? element.dataset.zero : show(element, seconds);
    if (element.textContent !== words) element.textContent = words;
  }
}

tick();
setInterval(tick, 250);
document.addEventListener("htmx:afterSwap", tick);
