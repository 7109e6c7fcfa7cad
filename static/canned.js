// Canned notes: those that fit the chosen policies and the item's language first, one key each.
"use strict";

{
const dialog = () => document.getElementById("_canned");
const base = (tag) => tag.toLowerCase().split("-")[0];

function boxes() {
  return [...document.querySelectorAll("#_decide [name=policy]:checked")];
}

// As it will stand in the note: {policy} is what she has chosen.
const written = (text) => text.replaceAll("{policy}", boxes().map((box) => box.dataset.keyLabel).join(", "));

function fit() {
  const chosen = boxes().map((box) => box.value);
  for (const button of dialog().querySelectorAll("[data-canned]")) {
    button.querySelector("span").textContent = chosen.length ? written(button.dataset.canned) : button.dataset.canned;
  }
  const language = document.querySelector("#_item .content")?.lang ?? "";
  const words = dialog().querySelector("#canned-search").value.trim().toLowerCase();
  const rows = [...dialog().querySelectorAll(".canned li")];
  const rank = (row) => {
    const { policy, language: tag } = row.firstElementChild.dataset;
    return (tag && base(tag) === base(language) ? -2 : tag ? 2 : 0) + (policy ? -1 : 0);
  };
  rows.sort((a, b) => rank(a) - rank(b));
  let place = 0;
  for (const row of rows) {
    const { policy, canned } = row.firstElementChild.dataset;
    const fits = (!policy || !chosen.length || chosen.includes(policy)) && canned.toLowerCase().includes(words);
    row.hidden = !fits;
    place += fits ? 1 : 0;
    row.querySelector("kbd").textContent = fits && place <= 9 ? place : "";
  }
  dialog().querySelector(".canned").append(...rows);
  dialog().querySelector("[data-none]").hidden = place > 0;
}

const shown = () => [...dialog().querySelectorAll(".canned li:not([hidden]) button")];

function insert(button) {
  const note = document.getElementById("note");
  const text = written(button.dataset.canned);
  const before = note.value.trimEnd();
  note.value = before ? `${before}\n${text}` : text;
  dialog().close();
  note.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-opens=_canned]")) {
    const search = dialog().querySelector("#canned-search");
    search.value = "";
    fit();
    search.focus();
    return;
  }
  const button = event.target.closest("[data-canned]");
  if (button) insert(button);
});
document.addEventListener("input", (event) => {
  if (event.target.id === "canned-search") fit();
});
document.addEventListener("keydown", (event) => {
  if (event.target.id !== "canned-search" || event.isComposing) return;
  const isDigit = /^[1-9]$/.test(event.key) && !event.target.value;
  if (!isDigit && event.key !== "Enter") return;
  const button = shown()[isDigit ? Number(event.key) - 1 : 0];
  event.preventDefault();
  event.stopImmediatePropagation();
  if (button) insert(button);
}, { capture: true });
}
