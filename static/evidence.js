// Folds of the evidence: what she closed stays closed, from item to item, in this browser.
"use strict";

const foldKey = (fold) => `fold:${fold.dataset.fold}`;

function putFolds(root) {
  for (const fold of root.querySelectorAll("details[data-fold]")) {
    const kept = localStorage.getItem(foldKey(fold));
    if (kept) fold.open = kept === "open";
  }
}

// Not "toggle": that fires for what putFolds does, too.
document.addEventListener("click", (event) => {
  const fold = event.target.closest("details[data-fold] > summary")?.parentElement;
  if (fold) localStorage.setItem(foldKey(fold), fold.open ? "closed" : "open");
});
document.addEventListener("htmx:afterSwap", (event) => putFolds(event.detail.target.parentElement ?? document));
document.addEventListener("htmx:load", (event) => putFolds(event.detail.elt));
putFolds(document);
