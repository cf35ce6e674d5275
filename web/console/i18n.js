// The language of the console: the visitor's choice, else that which the page came in.
import { TEXTS } from "./texts/index.js";

export const LANGUAGES = { en: "English", zh: "中文" };
const KEPT = "console.language";

let current = "en";
const listeners = new Set();

/** `en` or `zh`. */
export const language = () => current;

/** The language with the visitor's country, for numbers and times: `en-GB` has other dates than `en-US`. */
export const locale = () => navigator.languages.find((tag) => tag.split("-")[0] === current) ?? current;

/** The text for `key`, with `{name}` replaced by the parameter of that name. */
export function t(key, params = {}) {
  const text = TEXTS[key]?.[current === "zh" ? 1 : 0] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in params ? String(params[name]) : whole));
}

/** Whether there is a text for `key`. */
export const hasText = (key) => key in TEXTS;

/** Speak `name` from now on, and remember it. */
export function setLanguage(name) {
  current = name in LANGUAGES ? name : "en";
  document.documentElement.lang = current;
  try {
    localStorage.setItem(KEPT, current);
  } catch {
    // storage is switched off: the choice lasts until the page is left
  }
  for (const listener of listeners) listener();
}

/** Begin with the choice of last time, else the language of the page. Returns it. */
export function startLanguage() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // as above
  }
  current = kept in LANGUAGES ? kept : document.documentElement.lang in LANGUAGES ? document.documentElement.lang : "en";
  document.documentElement.lang = current;
  return current;
}

/** Call `listener` whenever the language changes. Returns what ends it. */
export function onLanguage(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
