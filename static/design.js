// Shows hover, focus and pressed-down by the very rules of the pages: each rule for such a state is
// read from the style sheets and laid down once more for a class. No copy that could grow stale.
"use strict";

const STATES = [[/:hover\b/g, ".is-hover"], [/:focus-visible\b/g, ".is-focus"], [/:active\b/g, ".is-active"]];

function asClasses(rules) {
  const found = [];
  for (const rule of rules) {
    if (rule.selectorText) {
      for (const [state, name] of STATES) {
        if (!rule.selectorText.match(state)) continue;
        const selector = rule.selectorText.replace(state, name).replace(/^\.is-/, "*.is-");
        found.push(`${selector} { ${rule.style.cssText} }`);
      }
    } else if (rule.cssRules && (!rule.media || matchMedia(rule.media.mediaText).matches)) {
      found.push(...asClasses(rule.cssRules));
    }
  }
  return found;
}

const sheet = new CSSStyleSheet();
for (const rule of [...document.styleSheets].flatMap((one) => asClasses(one.cssRules))) {
  sheet.insertRule(rule, sheet.cssRules.length);
}
document.adoptedStyleSheets = [sheet];
