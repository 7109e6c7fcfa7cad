// The next job, on screen the moment she answers this one: fetched in advance, put in place before
// the server has heard, and taken back with all she typed if it refuses. docs/architecture.md has the rules.

const words = document.getElementById("desk-words").dataset;
const HEADERS = { "HX-Request": "true", "HX-Current-URL": location.href };
const IDLE_MS = 60_000;
const TIMEOUT_MS = 20_000;
// Given up before the server does, so that what is shown is still hers when it hears.
const MARGIN_MS = 4_000;
// On one job for longer than this, the next one is for somebody quicker.
const LONGEST_MS = 180_000;
const NOTHING_MS = 10_000;
const MOST_KEPT_ALIVE = 60_000;

let ahead = null; // { node, until }: what comes next
let sending = null; // { node, next, focused, scrolled }: what she answered, until it is recorded
let pressed = null; // { form, button }: an answer to what is shown, given before that
let isFetching = false;
let isAsking = false; // htmx is bringing a job
let isOwnSwap = false;
let nothingUntil = 0;
let shownAt = performance.now();
let touchedAt = performance.now();
const known = new WeakSet(); // what htmx has been told of

const desk = () => document.getElementById("_job");
const formOf = (node) => node?.querySelector("#_decide");

for (const sign of ["keydown", "pointerdown", "pointermove", "wheel", "touchstart"]) {
  document.addEventListener(sign, () => { touchedAt = performance.now(); }, { passive: true, capture: true });
}

function parse(html) {
  const box = document.createElement("template");
  box.innerHTML = html;
  return box.content.firstElementChild;
}

// Fetching

async function fetchAhead() {
  const node = desk();
  const form = formOf(node);
  const now = performance.now();
  if (!form || ahead || sending || isFetching || isAsking || document.hidden) return;
  if (now < nothingUntil || now - shownAt > LONGEST_MS || now - touchedAt > IDLE_MS) return;
  const { csrfmiddlewaretoken, done, waiting, lane } = form.elements;
  const body = new URLSearchParams({ shown: node.dataset.job });
  for (const field of [csrfmiddlewaretoken, done, waiting, lane]) {
    if (field) body.set(field.name, field.value);
  }
  isFetching = true;
  try {
    const response = await fetch(words.ahead, { method: "POST", body, headers: HEADERS });
    const next = response.status === 200 ? parse(await response.text()) : null;
    if (!next) nothingUntil = performance.now() + NOTHING_MS;
    // An answer went out meanwhile: what it brings decides what comes next.
    else if (!sending && !isAsking && next.dataset.job !== desk()?.dataset.job) keep(next, now);
  } catch {
    nothingUntil = performance.now() + NOTHING_MS;
  } finally {
    isFetching = false;
  }
}

function keep(node, askedAt) {
  document.adoptNode(node); // its images load from now on
  setAhead({ node, until: askedAt + Number(node.dataset.kept) * 1000 - MARGIN_MS });
}

// The page says which job comes next: whoever looks into it (a test, a helper) need not guess.
function setAhead(next) {
  ahead = next;
  if (next) desk().dataset.ahead = next.node.dataset.job;
  else delete desk()?.dataset.ahead;
}

const fetchSoon = () => (window.requestIdleCallback ?? setTimeout)(fetchAhead, { timeout: 60 });

setInterval(() => {
  if (ahead && performance.now() > ahead.until) setAhead(null);
  fetchAhead();
}, 1000);

// Showing

function swap(node) {
  desk().replaceWith(node);
  shownAt = performance.now();
  isOwnSwap = true;
  if (!known.has(node)) {
    known.add(node);
    htmx.process(node);
    htmx.trigger(node, "htmx:load", { elt: node });
  }
  for (const event of ["htmx:afterSwap", "htmx:afterSettle"]) {
    htmx.trigger(node, event, { elt: node, target: node });
  }
  isOwnSwap = false;
}

const isSure = (form, button) => {
  if (button?.hasAttribute("data-stops")) return false;
  if (button?.hasAttribute("formaction") || button?.name === "verdict") return true;
  // What the server is bound to refuse is not worth a look at the next job.
  const note = form.elements.note;
  if (note?.ariaRequired === "true" && !note.value.trim()) return false;
  return form.querySelector("[name=policy]:checked, [name=violating]:checked, [name=clean]:checked") !== null;
};

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id !== "_decide" || event.defaultPrevented) return;
  if (sending) {
    event.preventDefault();
    event.stopImmediatePropagation();
    pressed = { form, button: event.submitter };
    form.setAttribute("aria-busy", "true");
  } else if (ahead && performance.now() < ahead.until && isSure(form, event.submitter)) {
    event.preventDefault();
    event.stopImmediatePropagation();
    send(form, event.submitter);
  }
}, { capture: true });

// Whoever changes the answer after pressing takes the press back.
for (const sign of ["change", "input"]) document.addEventListener(sign, (event) => {
  if (pressed && event.target.form === pressed.form) forgetPress();
});

function forgetPress() {
  pressed?.form.removeAttribute("aria-busy");
  pressed = null;
}

async function send(form, button) {
  const data = new FormData(form, button);
  const node = desk();
  const next = ahead;
  setAhead(null);
  data.set("shown", next.node.dataset.job);
  const body = new URLSearchParams(data);
  const url = button?.getAttribute("formaction") ?? form.getAttribute("action");
  sending = {
    node,
    next,
    focused: node.contains(document.activeElement) ? document.activeElement : null,
    scrolled: [...node.querySelectorAll(".item, .evidence, .scroll"), document.documentElement]
      .map((part) => [part, part.scrollTop]),
  };
  next.node.dataset.sending = "";
  swap(next.node);
  let response;
  let text;
  try {
    response = await fetch(url, {
      method: "POST",
      body,
      headers: HEADERS,
      keepalive: body.toString().length < MOST_KEPT_ALIVE,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await response.text();
  } catch {
    takeBack(said(words.offline));
    return;
  }
  if (response.status >= 500) takeBack(said(words.failed));
  else if (response.status >= 400) takeBack(parse(text));
  else if (response.headers.has("HX-Redirect")) location.assign(response.headers.get("HX-Redirect"));
  else accept(parse(text));
}

// The server's word

function accept(root) {
  const job = sending.node.dataset.job;
  sending = null;
  delete desk().dataset.sending;
  document.dispatchEvent(new CustomEvent("desk:recorded", { detail: { job } }));
  if (root.id === "_arrived") arrive(root);
  else {
    forgetPress();
    swap(root);
  }
  // At once: what she sees is painted, and at three jobs a second an idle moment comes too late.
  fetchAhead();
}

function arrive(root) {
  const node = desk();
  const form = formOf(node);
  for (const name of ["token", "done", "waiting"]) form.elements[name].value = root.dataset[name];
  for (const part of [...root.children]) {
    if (part.id === "_notice" && !part.childElementCount) continue;
    node.querySelector(`#${part.id}`)?.replaceWith(part);
    htmx.process(part);
  }
  const press = pressed;
  forgetPress();
  if (press?.form === form) form.requestSubmit(press.button);
}

function takeBack(notice) {
  const { node, next, focused, scrolled } = sending;
  sending = null;
  forgetPress();
  delete next.node.dataset.sending;
  swap(node);
  setAhead(next);
  for (const [part, top] of scrolled) part.scrollTop = top;
  focused?.focus({ preventScroll: true });
  document.getElementById("_notice").replaceWith(notice);
  htmx.process(notice);
  document.getElementById("announce").textContent = words.back;
}

function said(sentence) {
  const notice = document.createElement("div");
  const box = document.createElement("div");
  const line = document.createElement("p");
  notice.id = "_notice";
  notice.setAttribute("role", "alert");
  box.className = "notice bad";
  line.textContent = sentence;
  box.append(line);
  notice.append(box);
  return notice;
}

// Beside htmx: an answer without a job in advance, an undo, a renewed clock

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.target.id === "_job") isAsking = true;
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.target.id !== "_job") return;
  isAsking = false;
  fetchSoon();
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (isOwnSwap || event.detail.target.id !== "_job") return;
  setAhead(null);
  shownAt = performance.now();
  nothingUntil = 0;
});

addEventListener("pagehide", () => {
  const url = ahead?.node.dataset.letGo;
  if (!url) return;
  const { csrfmiddlewaretoken, token } = formOf(ahead.node).elements;
  setAhead(null);
  navigator.sendBeacon(url, new URLSearchParams({ csrfmiddlewaretoken: csrfmiddlewaretoken.value, token: token.value }));
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) fetchSoon();
});
fetchSoon();
