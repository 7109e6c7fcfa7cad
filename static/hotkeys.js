// Keys: an element with data-key="x" is pressed by that key, wherever it stands on the page.
// Keys do nothing while one types, nor within 150 ms of a new job: a late press must not decide it.
"use strict";

const QUIET_MS = 150;
let quietUntil = performance.now() + QUIET_MS;
let busy = null;

const isTyping = (element) =>
  element.isContentEditable ||
  element.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit])");

const presses = (element) => element.matches("a[href], button, summary, select");

function targetOf(key) {
  const wanted = key.length === 1 ? key.toLowerCase() : key;
  const open = document.querySelector("dialog[open]");
  return [...(open ?? document).querySelectorAll("[data-key]")].find(
    (element) => element.dataset.key === wanted && element.getClientRects().length && !element.matches(":disabled"),
  );
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

function overlay() {
  const dialog = document.querySelector("dialog#keys");
  const list = dialog.querySelector("dl");
  list.replaceChildren();
  const rows = [...document.querySelectorAll("[data-key]")]
    .filter((element) => element.getClientRects().length)
    .map((element) => [element.dataset.key, element.dataset.keyLabel ?? element.textContent]);
  if (document.querySelector("textarea[data-key]")) {
    rows.push(["Esc", "Leave the note"], ["Ctrl Enter", "Decide from within the note"]);
  }
  for (const [key, label] of [...rows, ["?", "Show these keys"]]) {
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
  if (event.ctrlKey) return;
  if (event.key === "?" && !document.querySelector("dialog[open]")) {
    overlay();
    return;
  }
  if (event.key === "Enter" && presses(focused)) return;
  const target = targetOf(event.key);
  if (!target) return;
  event.preventDefault();
  if (busy || performance.now() < quietUntil) return;
  press(target);
});

// The key overlay opens from a button too.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-show-keys]")) overlay();
});

// The heartbeat's small swap is none of the keys' business; a new job or a refusal is.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.target.id === "_job") busy = event.detail.requestConfig.elt;
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.requestConfig.elt === busy) busy = null;
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (["_job", "_notice"].includes(event.detail.target.id)) quietUntil = performance.now() + QUIET_MS;
});
