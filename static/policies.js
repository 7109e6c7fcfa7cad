// "/" searches the queue's policies as one types: names and summaries, every word anywhere. Enter
// chooses the one that is marked, arrows mark another, Escape ends the search.

const SEARCH = "#policy-search";
const policies = () => [...document.querySelectorAll("#policies .option:has([name=policy])")];
const found = () => policies().filter((option) => !option.hidden);
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
const textOf = (option) =>
  plain(`${option.querySelector("label").textContent} ${option.querySelector("summary")?.textContent ?? ""}`);
const say = (text) => { document.getElementById("announce").textContent = text; };

function mark(option) {
  for (const other of policies()) other.classList.toggle("marked", other === option);
  option?.scrollIntoView({ block: "nearest" });
}

function filter(search) {
  const words = plain(search.value).split(/\s+/).filter(Boolean);
  for (const option of policies()) {
    const text = textOf(option);
    option.hidden = !words.every((word) => text.includes(word));
  }
  const [first] = found();
  mark(search.value.trim() ? first : null);
  if (search.value.trim() && !first) say(search.dataset.none);
}

function end(search) {
  search.value = "";
  filter(search);
  document.getElementById("_item")?.focus({ preventScroll: true });
}

document.addEventListener("input", (event) => {
  if (event.target.matches(SEARCH)) filter(event.target);
});
document.addEventListener("keydown", (event) => {
  const search = event.target;
  if (!search.matches?.(SEARCH) || event.isComposing) return;
  const options = found();
  const at = options.findIndex((option) => option.classList.contains("marked"));
  if (event.key === "Escape") end(search);
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const step = event.key === "ArrowDown" ? 1 : -1;
    mark(options[(at + step + options.length) % options.length]);
  } else if (event.key === "Enter" && !event.ctrlKey) {
    const option = options[at];
    const box = option?.querySelector("[name=policy]");
    if (box) {
      box.click();
      say(`${search.dataset[box.checked ? "toggled" : "untoggled"]} ${box.dataset.keyLabel}`);
      end(search);
      option.scrollIntoView({ block: "nearest" });
    }
  } else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });
