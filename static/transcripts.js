// Transcripts with times: a line's time leads to its place in the film or sound above it, and the
// line that is said is marked. A covered film stays covered: it begins there when it is shown.
"use strict";

{
const MOVING = ".medium[data-medium=video], .medium[data-medium=audio]";

function figureOf(cues) {
  for (let before = cues.closest(".transcript").previousElementSibling; before; before = before.previousElementSibling) {
    const figure = before.matches(MOVING) ? before : before.querySelector(MOVING);
    if (figure) return figure;
  }
  return null;
}

const isCovered = ({ dataset }) => dataset.medium === "video" && /\bblur\b/.test(dataset.filters ?? "") && !("shown" in dataset);

function mark(cues, now) {
  const said = [...cues.querySelectorAll("[data-seek]")].findLast((one) => Number(one.dataset.seek) <= now);
  for (const one of cues.querySelectorAll("[aria-current]")) if (one !== said) one.removeAttribute("aria-current");
  said?.setAttribute("aria-current", "true");
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-seek]");
  const figure = button && figureOf(button);
  const medium = figure?.querySelector("video, audio");
  if (!medium) return;
  medium.currentTime = Number(button.dataset.seek);
  mark(button.closest(".cues"), medium.currentTime);
  if (!isCovered(figure)) medium.play().catch(() => {});
});

// Events of media do not bubble.
document.addEventListener("timeupdate", (event) => {
  const figure = event.target.closest?.(MOVING);
  if (!figure) return;
  for (const cues of document.querySelectorAll(".cues")) {
    if (figureOf(cues) === figure) mark(cues, event.target.currentTime);
  }
}, { capture: true });

// One of the times is in the order of tabs; arrows move along them.
document.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.matches?.("[data-seek]")) return;
  const all = [...event.target.closest(".cues").querySelectorAll("[data-seek]")];
  const next = all[all.indexOf(event.target) + step];
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
}
