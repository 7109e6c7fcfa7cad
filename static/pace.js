// The sitting: time on this job, and her own pace beside what is usual for her. Hers alone: it is
// reckoned here and sent nowhere.

const words = document.getElementById("desk-words").dataset;
const FEW = 3;
const LAST = 10;
const spent = [];
let job = document.getElementById("_job")?.dataset.job;
let since = performance.now();

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

function paint() {
  const elapsed = document.querySelector("[data-elapsed]");
  if (elapsed) elapsed.textContent = clock(Math.floor((performance.now() - since) / 1000));
  const pace = document.querySelector("[data-pace]");
  if (!pace) return;
  const usual = Math.round(Number(words.usualSeconds) || 0);
  const now = spent.length >= FEW ? Math.round(median(spent.slice(-LAST))) : 0;
  let text = "";
  if (now && usual) text = words.paceBoth.replace("{now}", now).replace("{usual}", usual);
  else if (now) text = words.paceNow.replace("{now}", now);
  else if (usual) text = words.paceUsual.replace("{usual}", usual);
  if (pace.textContent !== text) pace.textContent = text;
}

document.addEventListener("htmx:afterSwap", () => {
  const next = document.getElementById("_job")?.dataset.job;
  if (next !== job) {
    if (job) spent.push((performance.now() - since) / 1000);
    job = next;
    since = performance.now();
  }
  paint();
});
paint();
setInterval(paint, 1000);
