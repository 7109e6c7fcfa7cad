// Choosing rows: all of the page, a range with shift, and how many are chosen.
"use strict";

for (const form of document.querySelectorAll("form[data-select]")) {
  const boxes = [...form.querySelectorAll("tbody input[type=checkbox]:not(:disabled)")];
  const kept = Number(form.dataset.kept ?? 0);
  const page = form.querySelector("[data-page]");
  const all = form.querySelector("[data-all]");
  const count = form.querySelector("[data-count]");
  const buttons = form.querySelectorAll(".chosen button, button[data-needs-choice]");
  let last = null;
  if (!boxes.length || !count) continue;
  if (page) page.hidden = false;

  const show = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    const isAll = Boolean(all?.checked);
    if (page) {
      page.checked = chosen === boxes.length;
      page.indeterminate = chosen > 0 && chosen < boxes.length;
    }
    const number = isAll ? Number(all.dataset.number) : chosen + kept;
    const words = number ? form.dataset.wordsChosen : form.dataset.wordsNone;
    count.textContent = words.replace("{n}", number.toLocaleString(document.documentElement.lang));
    for (const button of buttons) button.disabled = !number;
  };

  boxes.forEach((box, place) => {
    box.addEventListener("click", (event) => {
      if (event.shiftKey && last !== null) {
        const [from, to] = [Math.min(last, place), Math.max(last, place)];
        for (const other of boxes.slice(from, to + 1)) other.checked = box.checked;
      }
      last = place;
    });
  });
  page?.addEventListener("change", () => {
    for (const box of boxes) box.checked = page.checked;
  });
  // A row that is taken out of "all" means the rest of this page.
  form.addEventListener("change", (event) => {
    if (event.target !== page && event.target !== all && !boxes.includes(event.target)) return;
    if (all && event.target !== all && all.checked) all.checked = false;
    if (event.target === all && all.checked) for (const box of boxes) box.checked = true;
    show();
  });
  window.addEventListener("pageshow", show);
  show();
}
