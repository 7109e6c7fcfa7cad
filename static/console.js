// Small things every page has: copy buttons and tables that sort by clicking their heads.
// Its words come in her language from the data-… of <body>.
"use strict";

const consoleWords = document.body.dataset;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
  const label = button.textContent;
  button.textContent = consoleWords.copied;
  setTimeout(() => { button.textContent = label; }, 1500);
});

// A cell's data-value, where it has one, is what sorts; else its text, as a number if it is one.
function sortKey(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  const [group, point] = document.documentElement.lang === "de" ? [".", ","] : [",", "."];
  const plain = text.replaceAll(group, "").replace(point, ".").replace("−", "-");
  const number = Number(plain.replace(/\s?%$/, ""));
  return text !== "" && !Number.isNaN(number) ? number : text.toLowerCase();
}

function sortBy(table, column, ascending) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [sortKey(row, column), row]);
  rows.sort(([a], [b]) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return (a < b ? -1 : a > b ? 1 : 0) * (ascending ? 1 : -1);
  });
  body.append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table[data-sort]")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const ascending = head.ariaSort
        ? head.ariaSort !== "ascending"
        : !head.classList.contains("num");
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.ariaSort = ascending ? "ascending" : "descending";
      sortBy(table, column, ascending);
    });
  });
}

// What htmx cannot swap in: no connection, or a server error. Said where refusals are said.
function say(words) {
  const notice = document.getElementById("_notice");
  const box = document.createElement("div");
  const line = document.createElement("p");
  box.className = "notice bad";
  line.textContent = words;
  box.append(line);
  notice.replaceChildren(box);
}
// A form that was sent may have been heard; a part of the page that asks for itself loses nothing.
const wasSent = ({ elt, verb }) => verb !== "get" && (elt.matches("form") || Boolean(elt.form));
for (const trouble of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(trouble, (event) => {
  say(wasSent(event.detail.requestConfig) ? consoleWords.offline : consoleWords.offlinePart);
});
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  const words = wasSent(event.detail.requestConfig) ? consoleWords.failed : consoleWords.failedPart;
  if (status >= 500) say(words.replace("{status}", status));
});
