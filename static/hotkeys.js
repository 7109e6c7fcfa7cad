// Keys: an element with data-key="x" is pressed by that key, wherever it stands on the page.
// Keys do nothing while one types, nor within 150 ms of a new job: a late press must not decide it.
"use strict";

const QUIET_MS = 150;
let quietUntil = performance.now() + QUIET_MS;
const { own = {}, off = false } = JSON.parse(document.documentElement.dataset.ownKeys ?? "{}");
const SPARE = "123456789rtlwdfijkoxz";
let busy = null;

const isTyping = (element) =>
  element.isContentEditable ||
  element.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit])");

// Her own keys, on the desk: put over the usual ones as often as something new is on the page. What
// has lost its key to one of hers gets a spare one, so that no key means two things.
const keyName = (element) =>
  ["policy", "action"].includes(element.name) ? `${element.name}:${element.value}` : element.dataset.usualKey;

function putOwnKeys() {
  if (off) document.documentElement.dataset.keys = "off";
  if (!Object.keys(own).length || !document.getElementById("_job")) return;
  const elements = [...document.querySelectorAll("#_job [data-key]")].filter((one) => !one.closest("dialog"));
  for (const element of elements) element.dataset.usualKey ??= element.dataset.key;
  const taken = new Set(elements.map((element) => own[keyName(element)]).filter(Boolean));
  const isHers = (element) => Boolean(own[keyName(element)]);
  for (const element of elements.filter((one) => !isHers(one))) {
    let key = element.dataset.usualKey;
    if (key.length === 1 && taken.has(key)) key = [...SPARE].find((spare) => !taken.has(spare)) ?? "";
    if (key) taken.add(key);
    show(element, key);
  }
  for (const element of elements.filter(isHers)) show(element, own[keyName(element)]);

  function show(element, key) {
    if (element.dataset.key === key) return;
    element.dataset.key = key;
    const cap = element.querySelector("kbd") ?? element.closest("label, .policy-search")?.querySelector("kbd");
    if (cap) cap.textContent = key.length === 1 ? key.toUpperCase() : key;
  }
}

const presses = (element) => element.matches("a[href], button, summary, select");

// What the mouse pressed keeps the focus, and is done: Enter then means what its cap says.
let clicked = null;
document.addEventListener("click", (event) => {
  if (event.detail > 0) clicked = document.activeElement; // 0: pressed by a key
});
document.addEventListener("focusin", (event) => {
  if (event.target !== clicked) clicked = null;
});

function targetOf(key) {
  const wanted = key.length === 1 ? key.toLowerCase() : key;
  if (!wanted) return undefined;
  const open = document.querySelector("dialog[open]");
  return [...(open ?? document).querySelectorAll("[data-key]")].find(
    (element) => element.dataset.key === wanted && element.getClientRects().length && !element.matches(":disabled"),
  );
}

// The letter is the layout's (event.key). Where that is no Latin one, the key's place says which.
function latin(event) {
  const isForeign = event.key.length === 1 && event.key > "\u02af";
  return isForeign ? (/^(?:Key|Digit)(.)$/.exec(event.code)?.[1] ?? "") : "";
}

function flash(element) {
  element.classList.add("pressed");
  setTimeout(() => element.classList.remove("pressed"), 120);
}

function press(element) {
  flash(element);
  if (element.matches("textarea, input[type=text], input[type=search]")) element.focus();
  else element.click();
}

// What a key does, in words: its own, its label's, or what it stands on, without the cap.
function wordsOf(element) {
  if (element.dataset.keyLabel) return element.dataset.keyLabel;
  const said = (element.labels?.[0] ?? element).cloneNode(true);
  said.querySelectorAll("kbd, .visually-hidden").forEach((part) => part.remove());
  return said.textContent;
}

function overlay() {
  const dialog = document.querySelector("dialog#keys");
  const list = dialog.querySelector("dl");
  dialog.querySelector("[data-keys-off]").hidden = !off;
  list.replaceChildren();
  const rows = [...document.querySelectorAll("[data-key]")]
    .filter((element) => element.getClientRects().length && element.dataset.key)
    .map((element) => [element.dataset.key, wordsOf(element)]);
  if (document.querySelector("textarea[data-key]")) {
    rows.push(["Esc", list.dataset.leave], ["Ctrl Enter", list.dataset.within]);
  }
  for (const [key, label] of [...rows, ["?", list.dataset.these]]) {
    const name = document.createElement("dt");
    const cap = document.createElement("kbd");
    const text = document.createElement("dd");
    cap.textContent = key.length === 1 ? key.toUpperCase() : key;
    name.append(cap);
    text.textContent = label.replace(/\s+/g, " ").trim();
    list.append(name, text);
  }
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.repeat || event.isComposing || event.altKey || event.metaKey) return;
  const focused = event.target instanceof Element ? event.target : document.body;
  if (isTyping(focused)) {
    if (event.key === "Escape") focused.blur();
    if (event.key === "Enter" && event.ctrlKey && focused.form && !busy) {
      event.preventDefault();
      focused.form.requestSubmit();
    }
    return;
  }
  if (event.ctrlKey || (off && event.key.length === 1)) return;
  if (event.key === "?" && !document.querySelector("dialog[open]")) {
    overlay();
    return;
  }
  if (event.key === "Enter" && presses(focused) && focused !== clicked) return;
  const target = targetOf(event.key) ?? targetOf(latin(event));
  if (!target) return;
  event.preventDefault();
  if (busy || performance.now() < quietUntil) return;
  press(target);
});

for (const event of ["htmx:afterSwap", "htmx:load"]) document.addEventListener(event, putOwnKeys);
putOwnKeys();

// The key overlay opens from a button too.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-show-keys]")) overlay();
});

// The heartbeat's small swap is none of the keys' business; a new job or a refusal is.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (["_job", "_grid"].includes(event.detail.target.id)) busy = event.detail.requestConfig.elt;
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.requestConfig.elt === busy) busy = null;
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (["_job", "_notice", "_grid"].includes(event.detail.target.id)) quietUntil = performance.now() + QUIET_MS;
});
