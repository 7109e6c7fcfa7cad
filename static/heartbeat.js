// Renews the claim every third of its lease while somebody is at work on it. A page left alone
// lets its claim run out, so that the item reaches somebody else.
"use strict";

let renewedAt = Date.now();
let activeAt = Date.now();
let shownJob = document.getElementById("_job")?.dataset.job;

for (const sign of ["keydown", "pointerdown", "pointermove", "wheel", "scroll", "touchstart"]) {
  document.addEventListener(sign, () => { activeAt = Date.now(); }, { passive: true, capture: true });
}

document.addEventListener("htmx:afterSwap", () => {
  const job = document.getElementById("_job")?.dataset.job;
  if (job !== shownJob) renewedAt = Date.now();
  shownJob = job;
});

setInterval(() => {
  const clock = document.getElementById("_claim_clock");
  const every = Number(clock?.dataset.heartbeat) * 1000;
  if (!every || Date.now() - renewedAt < every) return;
  if (activeAt < renewedAt) return;
  renewedAt = Date.now();
  htmx.trigger(clock, "renew");
}, 1000);
