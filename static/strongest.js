// What moved the score: asked for once a job, then shown and hidden by the same key. The places are
// painted over the text by spans.js's way from characters of the original to the page.
"use strict";

{
const box = () => document.getElementById("_strongest");
const opener = () => document.querySelector("[data-strongest]");
const places = () => [...(box()?.querySelectorAll("[data-told] [data-start]") ?? [])];
const range = ({ dataset }) => rangeOfPlace(dataset.in, Number(dataset.start), Number(dataset.end));

function paint() {
  opener()?.setAttribute("aria-expanded", String(Boolean(box().firstElementChild) && !box().hidden));
  if (!CSS.highlights) return;
  const shown = box()?.hidden ? [] : places();
  const isStrong = (place) => place.dataset.strong !== undefined;
  for (const [name, of] of [["moved", (place) => !isStrong(place)], ["moved-strongly", isStrong]]) {
    CSS.highlights.set(name, new Highlight(...shown.filter(of).map(range).filter(Boolean)));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-strongest]");
  if (button) {
    if (box().querySelector("[data-told]")) box().hidden = !box().hidden;
    else if (!box().querySelector("[data-waits]")) htmx.trigger(button, "ask");
    paint();
    return;
  }
  const place = event.target.closest("#_strongest [data-start]");
  if (place) range(place)?.startContainer.parentElement?.scrollIntoView({ block: "center" });
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (["_job", "_strongest"].includes(event.detail.target.id)) paint();
});
}
