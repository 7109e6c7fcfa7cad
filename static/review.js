// The desk: keeps the note, counts active time, couples policies with actions, tells of a new job.

const IDLE_MS = 60_000;
const words = document.getElementById("desk-words").dataset;
const desk = () => document.getElementById("_job");
const form = () => document.getElementById("_decide");
const noteKey = (job) => `note:${job}`;

// Active time: visible, and something was touched in the last minute. Each job has its own, which
// begins when it is shown and goes on if it comes back.
const activeMs = new WeakMap();
let touchedAt = Date.now();
let countedAt = Date.now();

function count() {
  const now = Date.now();
  const isActive = document.visibilityState === "visible" && now - touchedAt < IDLE_MS;
  if (isActive) activeMs.set(desk(), (activeMs.get(desk()) ?? 0) + Math.min(now - countedAt, 2000));
  countedAt = now;
}
setInterval(count, 1000);
for (const sign of ["keydown", "pointerdown", "pointermove", "wheel", "scroll"]) {
  document.addEventListener(sign, () => { touchedAt = Date.now(); }, { passive: true, capture: true });
}
document.addEventListener("submit", (event) => {
  if (event.target !== form()) return;
  count();
  form().elements.active_seconds.value = ((activeMs.get(desk()) ?? 0) / 1000).toFixed(1);
}, { capture: true });

// Policies and actions: "clean" excludes both; the first policy chosen brings the usual action.
document.addEventListener("change", (event) => {
  const box = event.target;
  const fields = form()?.elements;
  if (!fields || box.form !== form()) return;
  const policies = [...form().querySelectorAll("[name=policy], [name=violating]")];
  const actions = [...form().querySelectorAll("[name=action]")];
  if (box.name === "clean" && box.checked) {
    for (const other of [...policies, ...actions]) other.checked = false;
    fields.actions_touched.value = "";
  }
  if (policies.includes(box) && box.checked) fields.clean.checked = false;
  if (policies.includes(box) && !fields.actions_touched.value && actions.length) {
    actions[0].checked = policies.some((policy) => policy.checked);
  }
  if (box.name === "action") fields.actions_touched.value = "1";
  const set = document.getElementById("actions");
  if (set) set.disabled = fields.clean.checked;
});

// The note outlives a lost claim, a sign-out and a reload; a recorded answer lets it go.
document.addEventListener("input", (event) => {
  if (event.target.name === "note" && desk()) {
    sessionStorage.setItem(noteKey(desk().dataset.job), event.target.value);
  }
});
document.addEventListener("desk:recorded", (event) => {
  sessionStorage.removeItem(noteKey(event.detail.job));
});
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  if (xhr.status === 200 && requestConfig.elt === form()) {
    const next = /data-job="(\d*)"/.exec(xhr.responseText)?.[1];
    if (next !== desk().dataset.job) sessionStorage.removeItem(noteKey(desk().dataset.job));
  }
});

function arrive() {
  const note = form()?.elements.note;
  if (note && !note.value) note.value = sessionStorage.getItem(noteKey(desk().dataset.job)) ?? "";
  countedAt = touchedAt = Date.now();
  document.getElementById("_item")?.focus({ preventScroll: true });
  // On a phone it is the page that scrolls: each item begins at its top.
  if (scrollY > 0) scrollTo({ top: 0, behavior: "instant" });
}

let shown = desk()?.dataset.job;
document.addEventListener("htmx:afterSwap", () => {
  const job = desk()?.dataset.job;
  if (job === shown) return;
  shown = job;
  arrive();
  const why = document.querySelector("#_item .why")?.textContent ?? words.empty;
  document.getElementById("announce").textContent = `${words.arrived} ${why.replace(/\s+/g, " ").trim()}`;
});
arrive();
