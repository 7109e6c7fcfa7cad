// The bell: asks now and then how much is unread, while the page is seen. The desk swaps its bar
// with every job, so what is known is painted again after each swap.
"use strict";

const BELL_MS = 60_000;
let unread = null;

function paintBell() {
  if (unread === null) return;
  for (const bell of document.querySelectorAll("[data-bell]")) {
    const badge = bell.querySelector("[data-bell-count]");
    badge.hidden = unread === 0;
    badge.textContent = unread > 99 ? "99+" : String(unread);
    bell.querySelector("[data-bell-words]").textContent =
      unread ? `${bell.dataset.some} ${unread}` : bell.dataset.none;
  }
}

async function askBell() {
  const bell = document.querySelector("[data-bell]");
  if (!bell || document.visibilityState !== "visible") return;
  try {
    const answer = await fetch(bell.dataset.bell, { headers: { Accept: "application/json" }, redirect: "manual" });
    if (answer.ok) unread = (await answer.json()).unread;
  } catch {
    return; // signed out, or no connection: the page itself will say so
  }
  paintBell();
}

{
  const badge = document.querySelector("[data-bell-count]");
  if (badge) unread = Number.parseInt(badge.textContent, 10) || 0;
}
document.addEventListener("htmx:afterSwap", paintBell);
setInterval(askBell, BELL_MS);
