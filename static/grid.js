// The page of many jobs: arrows move, a key marks the item in focus, Space enlarges it. What nobody
// looked at is never in "the rest": an item counts once it stood on screen, uncovered.
"use strict";

(() => {
const SEEN_MS = 400;
const IDLE_MS = 60_000;
const form = () => document.querySelector(".grid-form");
const tiles = () => [...document.querySelectorAll(".tile[data-open]:not(.lost)")];
const answerOf = (tile) => tile.querySelector("select");
const dialog = document.getElementById("enlarged");
const seen = new Set();
const onScreen = new Map();
let current = null;

const fill = (words, n) => words.replace("{n}", String(n));
const isCovered = (tile) => Boolean(bodyOf(tile)?.querySelector('.medium[data-filters~="blur"]:not([data-shown])'));
const bodyOf = (tile) => (tile === enlarged ? dialog.querySelector(".tile-body") : tile.querySelector(".tile-body"));
const rest = () => tiles().filter((tile) => seen.has(tile.dataset.job) && !answerOf(tile).value);

// One tile is in the order of tabs; the arrows move it.
function focusOn(tile, { move = true } = {}) {
  if (tile !== current) endGrading();
  for (const other of tiles()) {
    const isHere = other === tile;
    other.tabIndex = isHere ? 0 : -1;
    for (const control of other.querySelectorAll("select, .tile-head button")) control.tabIndex = isHere ? 0 : -1;
  }
  current = tile;
  if (move && tile) {
    tile.focus();
    tile.scrollIntoView({ block: "nearest" });
  }
}

function neighbour(tile, key) {
  const all = tiles();
  const at = all.indexOf(tile);
  if (key === "Home") return all[0];
  if (key === "End") return all.at(-1);
  if (key === "ArrowLeft") return all[at - 1];
  if (key === "ArrowRight") return all[at + 1];
  const box = tile.getBoundingClientRect();
  const down = key === "ArrowDown";
  const beyond = all.filter((one) => {
    const top = one.getBoundingClientRect().top;
    return down ? top > box.top + 4 : top < box.top - 4;
  });
  const near = (one) => {
    const other = one.getBoundingClientRect();
    return Math.abs(other.top - box.top) * 10 + Math.abs(other.left - box.left);
  };
  return beyond.sort((one, other) => near(one) - near(other))[0];
}

function mark(tile, value) {
  const select = answerOf(tile);
  select.value = select.value === value ? "" : value;
  endGrading();
  count();
}

// A policy that asks how severe it is: its levels stand in the place of the answers, under the
// digits, until one is chosen or she goes elsewhere. Not graded, it marks nothing.
let grades = null; // the policy that waits for its level
const groups = () => [...document.querySelectorAll(".grid-foot [data-marks], .grid-foot [data-levels-of]")];
const levelsOf = (value) => groups().find((group) => group.dataset.levelsOf === value);

// "How severe: Nudity", "1 Mild", "2 Serious"
const question = () =>
  [...levelsOf(grades).querySelectorAll(".asks, [data-mark]")].map((one) => one.innerText.replace(/\s+/g, " ").trim());

function grade(value) {
  const held = groups().some((group) => group.contains(document.activeElement));
  grades = value;
  for (const group of groups()) group.hidden = group !== levelsOf(value);
  if (held) levelsOf(value).querySelector("[data-mark]").focus();
  document.getElementById("announce").textContent = question().join(", ");
  count();
}

function endGrading() {
  if (grades === null) return;
  const held = levelsOf(grades)?.contains(document.activeElement);
  grades = null;
  for (const group of groups()) group.hidden = "levelsOf" in group.dataset;
  if (held) (enlarged ? dialog : current)?.focus();
}

function count() {
  if (!form()) return;
  const words = form().dataset;
  const open = tiles();
  const marked = open.filter((tile) => answerOf(tile).value);
  for (const tile of open) {
    const value = answerOf(tile).value;
    if (value) tile.dataset.answer = value;
    else delete tile.dataset.answer;
    const title = bodyOf(tile)?.innerText.replace(/\s+/g, " ").trim().slice(0, 80) ?? "";
    const said = value ? answerOf(tile).selectedOptions[0].textContent : words.wordsUnmarked;
    tile.setAttribute("aria-label", `${tile.querySelector(".place").textContent}: ${title}. ${said}`);
  }
  const left = rest();
  const unseen = open.length - marked.length - left.length;
  const restButton = form().querySelector("[data-rest]");
  if (!restButton) return;
  restButton.disabled = left.length === 0;
  form().querySelector("[data-rest-words]").textContent = fill(words.wordsRest, left.length);
  const decide = form().querySelector("[data-decide]");
  decide.classList.toggle("lacks", marked.length === 0);
  decide.querySelector("[data-marked-words]").textContent = fill(marked.length ? words.wordsMarked : words.wordsNone, marked.length);
  form().querySelector("[data-unseen]").textContent = unseen ? fill(words.wordsUnseen, unseen) : "";
  form().elements.rest_count.value = left.length;
  const said = dialog.querySelector("[data-enlarged-mark]");
  if (!enlarged) return;
  said.textContent = grades === null ? answerOf(enlarged).selectedOptions[0].textContent : question().join(" · ");
}

// Seen: half of it on screen for a moment, between the bars, and nothing of it covered.
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) onScreen.set(target, Date.now());
    else onScreen.delete(target);
  }
}, { threshold: 0.5, rootMargin: "-48px 0px -128px" });
const openMs = new Map();
let lookedAt = Date.now();
function look() {
  const past = Math.min(Date.now() - lookedAt, 1000);
  lookedAt = Date.now();
  if (document.visibilityState !== "visible") return;
  // How long each stood open to her: what several share, counts in parts.
  const open = enlarged ? [enlarged] : [...onScreen.keys()].filter((tile) => tile.isConnected);
  const bare = lookedAt - touchedAt < IDLE_MS ? open.filter((tile) => !isCovered(tile)) : [];
  for (const { dataset: { job } } of bare) openMs.set(job, (openMs.get(job) ?? 0) + past / bare.length);
  for (const [tile, since] of onScreen) {
    const job = tile.dataset.job;
    if (!tile.isConnected) onScreen.delete(tile);
    else if (!seen.has(job) && Date.now() - since >= SEEN_MS && !isCovered(tile)) {
      seen.add(job);
      count();
    }
  }
}
setInterval(look, 200);

// Enlarged: the tile's own content, moved into the dialog and back.
let enlarged = null;
function enlarge(tile) {
  if (dialog.open) putAway();
  enlarged = tile;
  dialog.querySelector(".enlarged-body").replaceChildren(tile.querySelector(".tile-body"));
  focusOn(tile, { move: false });
  dialog.showModal();
  if (!isCovered(tile)) seen.add(tile.dataset.job);
  count();
}
function putAway() {
  if (!enlarged) return;
  const tile = enlarged;
  tile.querySelector(".tile-window").append(dialog.querySelector(".tile-body"));
  if (!isCovered(tile)) seen.add(tile.dataset.job);
  enlarged = null;
  if (dialog.open) dialog.close();
  focusOn(tile);
  count();
}
dialog.addEventListener("close", putAway);

document.addEventListener("click", (event) => {
  const target = event.target;
  const tile = target.closest(".tile[data-open]");
  const button = target.closest("[data-mark]");
  if (button && current) mark(current, button.dataset.mark);
  else if (target.closest("[data-grades]") && current) grade(target.closest("[data-grades]").dataset.grades);
  else if (target.closest("[data-ungrades]")) { endGrading(); count(); }
  else if (target.closest("[data-close]")) putAway();
  else if (tile && target.closest("[data-enlarge], .tile-window") && !target.closest("button:not([data-enlarge]), summary, a")) enlarge(tile);
  else if (tile) focusOn(tile, { move: !target.closest("select, button, summary, a") });
});
document.addEventListener("change", (event) => { if (event.target.closest(".tile")) count(); });
document.addEventListener("focusin", (event) => {
  const tile = event.target.closest?.(".tile[data-open]");
  if (tile && tile !== current) focusOn(tile, { move: false });
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  const inDialog = dialog.open && enlarged;
  const tile = inDialog ? enlarged : event.target.closest?.(".tile[data-open]");
  const isControl = event.target.matches?.("select, input, textarea, button, summary, a");
  if (event.key === "Escape" && grades !== null) {
    event.preventDefault();
    endGrading();
    count();
    return;
  }
  if (!inDialog && isControl) return;
  if (inDialog && !event.target.closest(".medium")) {
    const shown = groups().find((group) => !group.hidden);
    const button = [...(shown?.querySelectorAll("[data-key]") ?? [])].find((one) => one.dataset.key === event.key.toLowerCase());
    if (button) { event.preventDefault(); button.click(); return; }
  }
  if (!tile) {
    if (event.key.startsWith("Arrow") && tiles().length && event.target === document.body) {
      event.preventDefault();
      focusOn(current?.isConnected ? current : tiles()[0]);
    }
    return;
  }
  if (event.key.startsWith("Arrow") || ["Home", "End"].includes(event.key)) {
    const next = neighbour(tile, event.key);
    if (!next) return;
    event.preventDefault();
    if (inDialog) enlarge(next);
    else focusOn(next);
  } else if (event.key === " " && !inDialog) {
    event.preventDefault();
    event.stopImmediatePropagation();
    enlarge(tile);
  } else if (["Backspace", "Delete"].includes(event.key)) {
    event.preventDefault();
    answerOf(tile).value = "";
    count();
  }
}, { capture: true });

// What goes along: the ones looked at, and for how long she was at work.
let activeMs = 0;
let touchedAt = Date.now();
let countedAt = Date.now();
for (const sign of ["keydown", "pointerdown", "pointermove", "wheel", "scroll"]) {
  document.addEventListener(sign, () => { touchedAt = Date.now(); }, { passive: true, capture: true });
}
setInterval(() => {
  const now = Date.now();
  if (document.visibilityState === "visible" && now - touchedAt < IDLE_MS) activeMs += Math.min(now - countedAt, 2000);
  countedAt = now;
  renewIfDue(now);
}, 1000);
function tell(name, value) {
  const field = document.createElement("input");
  Object.assign(field, { type: "hidden", name, value });
  field.dataset.told = "";
  form().append(field);
}
document.addEventListener("submit", (event) => {
  if (event.target !== form()) return;
  for (const old of form().querySelectorAll("[data-told]")) old.remove();
  for (const job of seen) tell("seen", job);
  for (const tile of tiles()) tell(`revealed-${tile.dataset.job}`, ((openMs.get(tile.dataset.job) ?? 0) / 1000).toFixed(1));
  form().elements.active_seconds.value = (activeMs / 1000).toFixed(1);
  form().elements.rest_count.value = rest().length;
}, { capture: true });

// The heartbeat of the whole page, every third of the lease, while somebody is at work on it.
let renewedAt = Date.now();
function renewIfDue(now) {
  const clock = document.getElementById("_grid_clock");
  const every = Number(clock?.dataset.heartbeat) * 1000;
  if (!every || now - renewedAt < every || touchedAt < renewedAt) return;
  renewedAt = now;
  htmx.trigger(clock, "renew");
}

function arrive() {
  watcher.disconnect();
  onScreen.clear();
  for (const tile of tiles()) watcher.observe(tile);
  const again = current && tiles().find((tile) => tile.dataset.job === current.dataset.job);
  focusOn(again ?? tiles()[0] ?? null, { move: Boolean(tiles().length) });
  count();
}
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "_grid_clock") {
    const lost = document.getElementById("_grid_clock")?.dataset.lost?.split(" ") ?? [];
    for (const job of lost) {
      const tile = document.querySelector(`.tile[data-job="${CSS.escape(job)}"]`);
      if (!tile || tile.classList.contains("lost")) continue;
      tile.classList.add("lost");
      const line = document.createElement("p");
      line.className = "error";
      line.textContent = form().dataset.wordsLost;
      tile.append(line);
    }
    count();
    return;
  }
  activeMs = 0;
  renewedAt = countedAt = Date.now();
  arrive();
});
arrive();
})();
