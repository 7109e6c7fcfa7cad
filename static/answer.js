// The answer: says what is missing before anything is sent, and asks where E and S need a word more.
// All state is in the form's own fields, so a swapped fragment brings or takes it whole.
"use strict";

{
const form = () => document.getElementById("_decide");
const submit = () => form()?.querySelector(".foot .primary");

// What is missing: [the field to look at, words], or null.

function missing() {
  const fields = form().elements;
  const say = submit().dataset;
  const chosen = form().querySelector("[name=policy]:checked, [name=violating]:checked, [name=clean]:checked");
  if (!chosen) return [form().querySelector("#policies"), say.missingAnswer];
  const ungraded = [...form().querySelectorAll(".option:has([name=policy]:checked) .levels")]
    .find((levels) => !levels.querySelector(":checked"));
  if (ungraded) return [ungraded, say.missingSeverity];
  const empty = [...form().querySelectorAll(".option:has([name=action]:checked) .asked input")]
    .find((input) => !input.checkValidity());
  if (empty) return [empty, say.missingParameter];
  if (fields.note.getAttribute("aria-required") && !fields.note.value.trim()) return [fields.note, say.missingNote];
  return null;
}

function show() {
  if (!form() || !submit()) return;
  const lacks = missing();
  const words = submit().querySelector(".say");
  const text = lacks ? lacks[1] : submit().dataset.say;
  if (words.textContent !== text) words.textContent = text;
  submit().classList.toggle("lacks", Boolean(lacks));
  for (const marked of form().querySelectorAll(".is-missing")) {
    if (!lacks || marked !== lacks[0]) {
      marked.classList.remove("is-missing");
      marked.removeAttribute("aria-invalid");
    }
  }
}

// Before anybody else hears of the submit: an answer that the server would refuse is not sent.
window.addEventListener("submit", (event) => {
  if (event.target !== form()) return;
  const by = event.submitter;
  if (by && by !== submit()) return;
  const lacks = missing();
  if (!lacks) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const [field, words] = lacks;
  field.classList.add("is-missing");
  if (field.matches("input, select, textarea")) field.setAttribute("aria-invalid", "true");
  field.scrollIntoView({ block: "nearest" });
  if (field.matches("textarea, input, select")) field.focus();
  else field.querySelector("input[type=radio]")?.focus();
  document.getElementById("announce").textContent = words;
}, { capture: true });

// Dialogs: a button that opens one does so instead of what it would do without JavaScript.

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  const dialog = opener && document.getElementById(opener.dataset.opens);
  if (dialog) {
    event.preventDefault();
    if (!dialog.open) dialog.showModal();
    (dialog.querySelector("textarea") ?? dialog.querySelector("[data-default]"))?.focus();
    return;
  }
  const closer = event.target.closest("[data-closes]");
  if (closer) {
    closer.closest("dialog").close();
    return;
  }
  const acts = event.target.closest("dialog.ask button:not([type=button])");
  if (!acts) return;
  const field = acts.dataset.needs && form().elements[acts.dataset.needs];
  if (field && !field.value.trim()) {
    event.preventDefault();
    refuse(field, true);
    field.focus();
    return;
  }
  // The dialog's text is the same for every job; where its job is skipped, the page's button knows.
  if (acts.matches("[data-skips]")) {
    const skip = form().querySelector("[data-opens=_skip]");
    acts.setAttribute("formaction", skip.getAttribute("formaction"));
  }
  acts.closest("dialog").close();
}, { capture: true });

function refuse(field, isWrong) {
  const error = document.getElementById(field.getAttribute("aria-describedby"));
  if (error) error.hidden = !isWrong;
  if (isWrong) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

// Back to the item, not to the button that opened it: Enter would press that one again.
document.addEventListener("close", (event) => {
  if (event.target.matches("dialog.ask")) document.getElementById("_item")?.focus({ preventScroll: true });
}, { capture: true });

document.addEventListener("keydown", (event) => {
  const dialog = document.querySelector("dialog.ask[open]");
  if (!dialog || event.key !== "Enter" || event.isComposing) return;
  const writes = event.target.matches("textarea");
  if (event.target.matches("button") || (writes && !event.ctrlKey && !event.metaKey)) return;
  event.preventDefault();
  dialog.querySelector("[data-default]")?.click();
}, { capture: true });

for (const sign of ["change", "input"]) document.addEventListener(sign, (event) => {
  if (event.target.form !== form()) return;
  if (event.target.closest("dialog.ask")) refuse(event.target, false);
  show();
});
// Severity: choosing a policy that asks for it takes the digits, until one is pressed.

document.addEventListener("change", (event) => {
  if (event.target.name !== "policy" || event.target.form !== form()) return;
  const levels = event.target.closest(".option").querySelector(".levels");
  if (!levels) return;
  if (event.target.checked) levels.querySelector("input").focus();
  else for (const level of levels.querySelectorAll(":checked")) level.checked = false;
});

document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.(".levels input") || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "Escape") {
    document.getElementById("_item").focus({ preventScroll: true });
    return;
  }
  const level = event.target.closest(".levels").querySelector(`input[value="${CSS.escape(event.key)}"]`);
  if (!/^[1-4]$/.test(event.key) || !level) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  level.click();
  document.getElementById("_item").focus({ preventScroll: true });
}, { capture: true });

document.addEventListener("htmx:afterSwap", show);
// The desk restores a kept note and couples boxes after this file: look again when all have run.
document.addEventListener("DOMContentLoaded", show);
document.addEventListener("click", () => queueMicrotask(show));
}
