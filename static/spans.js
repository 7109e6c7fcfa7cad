// Marks: places in the item's text that speak for a policy. Kept as hidden fields of the answer, in
// characters of the original text: what stands on the page has marks of its own for what hides.
"use strict";

{
const form = () => document.getElementById("_decide");
const list = () => document.getElementById("spans");
const announce = (words) => { document.getElementById("announce").textContent = words; };
const points = (text) => [...text].length;

// Characters of the original under a node: a mark (data-n) stands for so many, and is never cut.
function size(node) {
  if (node.nodeType === Node.TEXT_NODE) return points(node.data);
  if (node.nodeType !== Node.ELEMENT_NODE || node.matches(".rest")) return 0;
  if (node.dataset.n !== undefined) return Number(node.dataset.n);
  return [...node.childNodes].reduce((sum, child) => sum + size(child), 0);
}

// Where a point of the page lies in the original. A mark is in or out as a whole: half selected, in.
function offsetOf(field, node, at, isEnd) {
  let count = Number(field.dataset.from ?? 0);
  const walk = (one) => {
    if (one.nodeType === Node.ELEMENT_NODE && one.dataset.n !== undefined) {
      if (!one.contains(node)) { count += Number(one.dataset.n); return false; }
      const length = node.nodeType === Node.TEXT_NODE ? node.length : node.childNodes.length;
      if (isEnd ? at > 0 : at === length) count += Number(one.dataset.n);
      return true;
    }
    if (one === node) {
      if (one.nodeType === Node.TEXT_NODE) count += points(one.data.slice(0, at));
      else for (const child of [...one.childNodes].slice(0, at)) count += size(child);
      return true;
    }
    if (one.nodeType === Node.TEXT_NODE) { count += points(one.data); return false; }
    if (one.nodeType !== Node.ELEMENT_NODE || one.matches(".rest")) return false;
    return [...one.childNodes].some(walk);
  };
  walk(field);
  return count;
}

// The other way: a range of the page for characters from start to end, as far as they are shown.
function rangeOf(name, start, end) {
  const range = new Range();
  let isOpen = false;
  for (const field of document.querySelectorAll("#_item [data-field]")) {
    if (field.dataset.field !== name) continue;
    let count = Number(field.dataset.from ?? 0);
    const walk = (one) => {
      const isText = one.nodeType === Node.TEXT_NODE;
      const isMark = one.nodeType === Node.ELEMENT_NODE && one.dataset.n !== undefined;
      if (!isText && !isMark) {
        if (one.nodeType === Node.ELEMENT_NODE && !one.matches(".rest")) for (const child of one.childNodes) walk(child);
        return;
      }
      const until = count + size(one);
      const inside = (at) => [...one.data].slice(0, at - count).join("").length;
      if (!isOpen && start >= count && start < until) {
        if (isText) range.setStart(one, inside(start));
        else range.setStartBefore(one);
        isOpen = true;
      }
      if (isOpen && end > count) {
        if (isText) range.setEnd(one, inside(Math.min(end, until)));
        else range.setEndAfter(one);
      }
      count = until;
    };
    for (const child of field.childNodes) walk(child);
  }
  return isOpen ? range : null;
}

// strongest.js paints by it, too.
globalThis.rangeOfPlace = rangeOf;

const fieldAt = (node) => {
  const element = node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement;
  return element?.closest("#_item [data-field]");
};

function selected() {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const first = fieldAt(range.startContainer);
  if (!first) return null;
  const start = offsetOf(first, range.startContainer, range.startOffset, false);
  const last = fieldAt(range.endContainer);
  const name = first.dataset.field;
  const end = last?.dataset.field === name
    ? offsetOf(last, range.endContainer, range.endOffset, true)
    : Number(first.dataset.from ?? 0) + [...first.childNodes].reduce((sum, child) => sum + size(child), 0);
  return end > start ? { field: name, start, end, text: String(selection) } : null;
}

// The policy that a mark is for: the one chosen last.
let chosen = "";
function policy() {
  const boxes = [...form().querySelectorAll("[name=policy]:checked")];
  return boxes.find((box) => box.value === chosen) ?? boxes.at(-1);
}

function add({ field, start, end, text }) {
  const box = policy();
  if (!box) {
    announce(list().dataset.noPolicy);
    const policies = document.getElementById("policies");
    policies.classList.add("is-missing");
    return false;
  }
  const value = JSON.stringify({ field, start, end, policy: box.value });
  if ([...list().querySelectorAll("input")].some((input) => input.value === value)) return true;
  const row = document.getElementById("span-row").content.cloneNode(true);
  row.querySelector("input").value = value;
  row.querySelector("q").textContent = text.length > 80 ? `${text.slice(0, 79)}…` : text;
  row.querySelector(".soft").textContent = box.dataset.keyLabel;
  list().append(row);
  getSelection().removeAllRanges();
  announce(list().dataset.marked);
  paint();
  return true;
}

// A mark whose policy is not chosen any more stays in sight and is not sent.
function couple() {
  if (!list()) return;
  const policies = new Set([...form().querySelectorAll("[name=policy]:checked")].map((box) => box.value));
  for (const input of list().querySelectorAll("input")) {
    input.disabled = !policies.has(JSON.parse(input.value).policy);
    input.parentElement.classList.toggle("is-off", input.disabled);
  }
  paint();
}

function paint() {
  if (!CSS.highlights) return;
  const ranges = [...(list()?.querySelectorAll("input:enabled") ?? [])]
    .map((input) => JSON.parse(input.value))
    .map(({ field, start, end }) => rangeOf(field, start, end))
    .filter(Boolean);
  CSS.highlights.set("evidence", new Highlight(...ranges));
}

// By keyboard alone: sentence by sentence.
let aim = null; // {field, sentences: [[start, end]], from, to}

function aimAt(field) {
  const text = [...document.querySelectorAll("#_item [data-field]")]
    .filter((one) => one.dataset.field === field && !one.dataset.from)[0];
  // One character for each of the original, so that places in it are places there.
  const original = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return node.data;
    if (node.nodeType !== Node.ELEMENT_NODE || node.matches(".rest")) return "";
    return node.dataset.n !== undefined ? "\ufffc".repeat(Number(node.dataset.n)) : [...node.childNodes].map(original).join("");
  };
  const sentences = [];
  let at = 0;
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: "sentence" }).segment(original(text))) {
    const length = points(segment);
    if (segment.trim()) sentences.push([at, at + points(segment.trimEnd())]);
    at += length;
  }
  return sentences;
}

function showAim() {
  const range = rangeOf(aim.field, aim.sentences[aim.from][0], aim.sentences[aim.to][1]);
  if (CSS.highlights && range) CSS.highlights.set("aim", new Highlight(range));
  range?.startContainer.parentElement?.scrollIntoView({ block: "nearest" });
  announce(range ? String(range) : "");
}

function leaveAim() {
  aim = null;
  CSS.highlights?.delete("aim");
}

function startAim() {
  const fields = [...document.querySelectorAll("#_item [data-field]")];
  const field = (fields.find((one) => one.matches(".text")) ?? fields[0])?.dataset.field;
  const sentences = field && aimAt(field);
  if (!sentences?.length) return;
  aim = { field, sentences, from: 0, to: 0 };
  document.getElementById("_item").focus({ preventScroll: true });
  showAim();
  announce(list().dataset.choosing);
}

document.addEventListener("keydown", (event) => {
  if (!aim || event.ctrlKey || event.altKey || event.metaKey) return;
  const last = aim.sentences.length - 1;
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (step && event.shiftKey) aim.to = Math.min(Math.max(aim.to + step, aim.from), last);
  else if (step) aim.from = aim.to = Math.min(Math.max((step > 0 ? aim.to : aim.from) + step, 0), last);
  else if (event.key === "Enter") {
    const [start, end] = [aim.sentences[aim.from][0], aim.sentences[aim.to][1]];
    const text = String(rangeOf(aim.field, start, end) ?? "");
    add({ field: aim.field, start, end, text });
    leaveAim();
  } else if (event.key === "Shift") return;
  else {
    leaveAim();
    if (event.key !== "Escape") return;
  }
  event.preventDefault();
  event.stopImmediatePropagation();
  if (aim) showAim();
}, { capture: true });

// A press on the button must not take the selection away before it is read.
document.addEventListener("mousedown", (event) => {
  if (event.target.closest("[data-marks]")) event.preventDefault();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-marks]")) {
    const place = selected();
    if (place) add(place);
    else if (policy()) startAim();
    else add({ field: "", start: 0, end: 0, text: "" });
    return;
  }
  const remove = event.target.closest("[data-unmarks]");
  if (!remove) return;
  const next = remove.closest("li").nextElementSibling ?? remove.closest("li").previousElementSibling;
  remove.closest("li").remove();
  (next?.querySelector("[data-unmarks]") ?? document.querySelector("[data-marks]")).focus();
  paint();
});
document.addEventListener("change", (event) => {
  if (!form() || event.target.form !== form()) return;
  if (event.target.name === "policy" && event.target.checked) chosen = event.target.value;
  // After what couples policies with "clean" has run.
  queueMicrotask(couple);
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "_job") { leaveAim(); chosen = ""; }
  couple();
});
}
