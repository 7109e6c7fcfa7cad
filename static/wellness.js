// Media arrive covered. They are shown on a press, or while one is held (data-reveal on <html>), one
// by one or all at once; how long content stood open is counted and goes along with the answer.
"use strict";

(() => {
const root = document.documentElement;
const words = document.getElementById("_cover_words")?.dataset ?? {};
const holds = () => root.dataset.reveal === "hold";
const AWAY_MS = 60_000;
root.dataset.comfort = "on";

// A sound cannot be blurred: it is open as long as it is there.
const isCoverable = (figure) => figure.dataset.medium !== "audio" && /\bblur\b/.test(figure.dataset.filters ?? "");
const isOpen = (figure) => !isCoverable(figure) || "shown" in figure.dataset;
const veils = () => [...document.querySelectorAll("details.veil")];
const all = () => [...document.querySelectorAll(".medium")].filter(isCoverable);

function show(figure, on) {
  countOpen();
  figure.toggleAttribute("data-shown", on);
  sayState();
}

function say(text) {
  const box = document.getElementById("announce");
  if (box && text) box.textContent = text;
}

function sayState() {
  const button = document.querySelector("[data-reveal-all]");
  if (!button) return;
  const figures = all();
  const shown = figures.length + veils().length > 0 && figures.every(isOpen) && veils().every((veil) => veil.open);
  button.setAttribute("aria-pressed", String(shown));
  button.querySelector("[data-when-covered]").hidden = shown && !holds();
  button.querySelector("[data-when-shown]").hidden = !shown || holds();
}

function button(text, className = "button small") {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.textContent = text;
  return made;
}

function cap(word) {
  return word[0].toUpperCase() + word.slice(1);
}

// A medium gets its cover once: what shows it, and for video what plays it as it is covered.
function dress(figure) {
  if (figure.dataset.dressed) return;
  figure.dataset.dressed = "1";
  const medium = figure.querySelector(".medium-content");
  if (!medium) return;
  if ("autoplay" in medium) {
    medium.autoplay = false;
    if (/\bmute\b/.test(figure.dataset.filters ?? "")) medium.muted = true;
  }
  if (!isCoverable(figure)) return;
  const kind = cap(figure.dataset.medium || "image");
  const cover = document.createElement("div");
  cover.className = "medium-cover";
  const shows = button(words[(holds() ? "hold" : "show") + kind] ?? "");
  shows.dataset.shows = "";
  cover.append(shows);
  if (figure.dataset.medium === "video") {
    const plays = button(words.play);
    plays.addEventListener("click", () => (medium.paused ? medium.play() : medium.pause()));
    medium.addEventListener("play", () => { plays.textContent = words.pause; });
    medium.addEventListener("pause", () => { plays.textContent = words.play; });
    cover.append(plays);
  }
  const again = button(words.cover, "button small medium-again");
  again.addEventListener("click", () => { show(figure, false); say(words.covered); shows.focus(); });
  figure.append(cover, again);
}

function dressAll() {
  for (const figure of document.querySelectorAll(".medium")) dress(figure);
  sayState();
}

document.addEventListener("click", (event) => {
  const shows = event.target.closest("[data-shows]");
  if (shows && !holds()) {
    const figure = shows.closest(".medium");
    show(figure, true);
    say(words.shown);
    figure.querySelector(".medium-again").focus({ preventScroll: true });
  }
  if (event.target.closest("[data-reveal-all]") && !holds()) {
    const figures = all();
    const on = !figures.every(isOpen) || !veils().every((veil) => veil.open);
    for (const veil of veils()) veil.open = on;
    for (const figure of figures) show(figure, on);
    sayState();
    say(on ? words.shown : words.covered);
  }
  const colours = event.target.closest("[data-colour-all]");
  if (colours) {
    const on = colours.getAttribute("aria-pressed") !== "true";
    colours.setAttribute("aria-pressed", String(on));
    for (const figure of document.querySelectorAll(".medium")) figure.toggleAttribute("data-coloured", on);
  }
});

// Held: as long as the pointer or the key is down, and not a moment longer.
let held = [];
let isVeilHeld = false;
function hold(figures, withVeils = false) {
  held = figures;
  isVeilHeld = withVeils;
  if (withVeils) for (const veil of veils()) veil.open = true;
  for (const figure of figures) show(figure, true);
}
function letGo() {
  for (const figure of held) show(figure, false);
  if (isVeilHeld) for (const veil of veils()) veil.open = false;
  held = [];
  isVeilHeld = false;
}
const heldBy = (element) => {
  const figure = element.closest("[data-shows]")?.closest(".medium");
  if (figure) return [figure];
  return element.closest("[data-reveal-all]") ? all() : [];
};
const isForAll = (element) => Boolean(element.closest("[data-reveal-all]"));
const isTyped = (element) => element.matches?.("textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])");
document.addEventListener("pointerdown", (event) => { if (holds()) hold(heldBy(event.target), isForAll(event.target)); });
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, letGo);
window.addEventListener("blur", letGo);
document.addEventListener("keydown", (event) => {
  if (!holds() || event.repeat || held.length || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === " " || event.key === "Enter") {
    const figures = heldBy(event.target);
    if (figures.length || isForAll(event.target)) event.preventDefault();
    hold(figures, isForAll(event.target));
  } else {
    const key = document.querySelector("[data-reveal-all]")?.dataset.key;
    if (key && event.key.toLowerCase() === key && !isTyped(event.target)) hold(all(), true);
  }
});
document.addEventListener("keyup", letGo);

// How long the item stood open to her: seen, at work, and something of it uncovered.
let openMs = 0;
let countedAt = Date.now();
let touchedAt = Date.now();
let counted;

const job = () => document.getElementById("_job")?.dataset.job;

function isItemOpen() {
  const item = document.getElementById("_item");
  if (!item) return false;
  const media = [...item.querySelectorAll(".medium")];
  if (media.length) return media.some(isOpen);
  const veil = item.querySelector("details.veil");
  return !veil || veil.open;
}

function countOpen() {
  const now = Date.now();
  if (job() !== counted) {
    counted = job();
    openMs = Number(sessionStorage.getItem(`open:${counted}`)) || 0;
    countedAt = now;
  }
  const isAtWork = document.visibilityState === "visible" && now - touchedAt < AWAY_MS;
  if (counted && isAtWork && isItemOpen()) {
    openMs += Math.min(now - countedAt, 2000);
    sessionStorage.setItem(`open:${counted}`, String(openMs));
  }
  countedAt = now;
}
for (const sign of ["keydown", "pointerdown", "pointermove", "wheel", "scroll"]) {
  document.addEventListener(sign, () => { touchedAt = Date.now(); }, { passive: true, capture: true });
}
document.addEventListener("visibilitychange", countOpen);
document.addEventListener("toggle", countOpen, { capture: true });
setInterval(countOpen, 1000);

const seconds = () => { countOpen(); return (openMs / 1000).toFixed(1); };
document.addEventListener("formdata", (event) => {
  if (event.formData.has("token") && job()) event.formData.set("revealed_seconds", seconds());
});
document.addEventListener("htmx:configRequest", (event) => {
  const { parameters } = event.detail;
  if (parameters.token && job()) parameters.revealed_seconds = seconds();
});

// Where there is no claim to report it with, it is told as she leaves without an answer.
let isAnswered = false;
document.addEventListener("submit", (event) => { isAnswered ||= event.target.matches("[data-looked]"); });
window.addEventListener("pagehide", () => {
  const form = document.querySelector("form[data-looked]");
  if (!form || isAnswered) return;
  const { csrfmiddlewaretoken } = form.elements;
  navigator.sendBeacon(form.dataset.looked, new URLSearchParams({ csrfmiddlewaretoken: csrfmiddlewaretoken.value, revealed_seconds: seconds() }));
});

// A break is suggested after so many minutes at work since the last one; five minutes away are one.
const WORKED = "worked";
const GAP_MS = 300_000;
function countWork() {
  const suggestion = document.getElementById("_break");
  if (!suggestion) return;
  const now = Date.now();
  const known = JSON.parse(localStorage.getItem(WORKED) ?? "{}");
  const gap = now - (known.at ?? now);
  let ms = gap > GAP_MS ? 0 : known.ms ?? 0;
  if (document.visibilityState === "visible" && now - touchedAt < AWAY_MS) {
    ms += Math.min(gap, 60_000);
    localStorage.setItem(WORKED, JSON.stringify({ ms, at: now, later: known.later }));
  }
  const after = Number(suggestion.dataset.after) * 60_000;
  if (after && ms >= after && now > (known.later ?? 0)) suggestion.hidden = false;
}
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-later]")) return;
  const known = JSON.parse(localStorage.getItem(WORKED) ?? "{}");
  localStorage.setItem(WORKED, JSON.stringify({ ...known, later: Date.now() + 600_000 }));
  event.target.closest("#_break").hidden = true;
});
document.addEventListener("submit", (event) => {
  if (event.target.id === "_break") localStorage.removeItem(WORKED);
});
setInterval(countWork, 5000);
countWork();

// The sample on the page of one's own filters follows the form.
const own = document.querySelector("form.own-filters");
own?.addEventListener("change", () => {
  const value = (name) => own.elements[name].value;
  const sample = own.querySelector(".medium");
  root.dataset.blur = value("strength") || own.dataset.strength;
  sample.dataset.filters = ["blur", "greyscale"]
    .filter((name) => (value(`filter_${name}`) || "on") === "on").join(" ");
  sample.removeAttribute("data-shown");
});

dressAll();
new MutationObserver((changes) => {
  const isNew = (node) => node.nodeType === 1 && (node.matches(".medium, #_item") || node.querySelector(".medium, #_item"));
  if (changes.some((change) => [...change.addedNodes].some(isNew))) {
    countOpen();
    dressAll();
  }
}).observe(document.body, { childList: true, subtree: true });
})();
