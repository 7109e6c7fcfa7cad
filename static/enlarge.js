// A picture in full size, in a dialog above the page. Only what is uncovered can be enlarged
// (blocks.css hides the button otherwise), and it keeps the grey that it has in its place.
"use strict";

(() => {
  const { close } = document.currentScript.dataset;
  const show = (root) => {
    for (const button of root.querySelectorAll(".medium-enlarge[hidden]")) button.hidden = false;
  };

  function enlarge(button) {
    const figure = button.closest(".medium");
    const small = figure.querySelector(".medium-content");
    const dialog = document.createElement("dialog");
    dialog.className = "enlarged";
    dialog.setAttribute("aria-label", small.alt ?? "");
    const large = document.createElement("figure");
    large.className = "medium";
    for (const name of ["medium", "filters", "shown", "coloured"]) {
      if (name in figure.dataset) large.dataset[name] = figure.dataset[name];
    }
    const picture = Object.assign(new Image(), { src: button.dataset.enlarge, alt: small.alt ?? "" });
    picture.className = "medium-content";
    large.append(picture);
    const closes = Object.assign(document.createElement("button"), {
      type: "button", className: "button small", textContent: close, autofocus: true,
    });
    dialog.append(large, closes);
    dialog.addEventListener("click", (event) => { if (event.target !== picture) dialog.close(); });
    dialog.addEventListener("keydown", (event) => event.stopPropagation()); // no key of the desk
    dialog.addEventListener("close", () => { dialog.remove(); button.focus(); });
    document.body.append(dialog);
    dialog.showModal();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".medium-enlarge");
    if (button) enlarge(button);
  });
  document.addEventListener("DOMContentLoaded", () => show(document));
  document.addEventListener("htmx:load", (event) => show(event.target));
  if (document.readyState !== "loading") show(document);
})();
