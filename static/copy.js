// “Copy the original”: the text exactly as it came, fetched from its own address, so that nothing
// of what the page marks, defangs or leaves out gets onto the clipboard.
"use strict";

(() => {
  const { original, done, failed } = document.currentScript.dataset;
  const show = (root) => {
    for (const button of root.querySelectorAll("button.copy[hidden]")) button.hidden = false;
  };
  const tell = (button, words) => {
    button.dataset.label ??= button.textContent;
    button.textContent = words;
    const box = document.getElementById("announce");
    if (box) box.textContent = words;
    setTimeout(() => { button.textContent = button.dataset.label; }, 2000);
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button.copy");
    if (!button) return;
    const { item, of: field } = button.dataset;
    const address = `${original.replace("/0/", `/${item}/`)}?field=${encodeURIComponent(field)}`;
    const text = fetch(address, { headers: { Accept: "text/plain" } }).then((answer) => {
      if (!answer.ok) throw new Error(answer.statusText);
      return answer.text();
    });
    try {
      // The promise goes in, so that the browser still knows that somebody asked for it.
      const blob = text.then((content) => new Blob([content], { type: "text/plain" }));
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
      tell(button, done);
    } catch {
      tell(button, failed);
    }
  });

  document.addEventListener("DOMContentLoaded", () => show(document));
  document.addEventListener("htmx:load", (event) => show(event.target));
  if (document.readyState !== "loading") show(document);
})();
