// Money, numbers and times as people read and type them. Pure: the language is an argument, the zone the browser's.

// Minor units of ISO 4217 where they are not two. Not taken from Intl: its data gives other digits for some currencies,
// and a price would be wrong by a factor of a hundred.
const DIGITS = {
  BIF: 0, CLP: 0, DJF: 0, GNF: 0, ISK: 0, JPY: 0, KMF: 0, KRW: 0, PYG: 0, RWF: 0, UGX: 0, UYI: 0, VND: 0, VUV: 0,
  XAF: 0, XOF: 0, XPF: 0, BHD: 3, IQD: 3, JOD: 3, KWD: 3, LYD: 3, OMR: 3, TND: 3, CLF: 4, UYW: 4,
};

/** How many digits a currency has behind the point. */
export const minorDigits = (currency) => DIGITS[currency] ?? 2;

/** Minor units as a decimal: `decimal(1999, "CNY")` is "19.99". No float is involved. */
export function decimal(minor, currency) {
  const digits = minorDigits(currency);
  const text = String(Math.abs(minor)).padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits);
  return (minor < 0 ? "-" : "") + (digits ? `${whole}.${text.slice(-digits)}` : whole);
}

/** A decimal that somebody typed as minor units; null where it is none, or has digits that the currency has not. */
export function minorUnits(text, currency) {
  const digits = minorDigits(currency);
  const typed = /^(\d{1,15})(?:\.(\d*))?$/.exec(text.trim());
  if (!typed || (typed[2] ?? "").length > digits) return null;
  const units = Number(typed[1] + (typed[2] ?? "").padEnd(digits, "0"));
  return Number.isSafeInteger(units) ? units : null;
}

/** An amount with its currency. */
export function money(minor, currency, language) {
  if (minor === null || minor === undefined) return "–";
  const digits = minorDigits(currency);
  const form = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(language, form).format(decimal(minor, currency));
}

/** A count, with separators. */
export const count = (value, language) =>
  value === null || value === undefined ? "–" : new Intl.NumberFormat(language).format(value);

/** A measured number, with at most `digits` behind the point. */
export const figure = (value, language, digits = 1) =>
  value === null || value === undefined
    ? "–"
    : new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);

/** A share of one as a percentage. */
export const percent = (share, language, digits = 1) =>
  share === null || share === undefined
    ? "–"
    : new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: digits }).format(share);

/** A moment in the browser's zone. */
export function moment(iso, language, seconds = true) {
  if (!iso) return "–";
  const form = { dateStyle: "medium", timeStyle: seconds ? "medium" : "short" };
  return new Intl.DateTimeFormat(language, form).format(new Date(iso));
}

/** The time of the day in the browser's zone. */
export const clock = (date, language) => new Intl.DateTimeFormat(language, { timeStyle: "medium" }).format(date);

/** The browser's zone and its offset at `date`: "Asia/Shanghai (UTC+08:00)". */
export function zone(date = new Date()) {
  const minutes = -date.getTimezoneOffset();
  const two = (value) => String(value).padStart(2, "0");
  const offset = `UTC${minutes < 0 ? "−" : "+"}${two(Math.trunc(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
  const name = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  return name ? `${name} (${offset})` : offset;
}

/** A moment as an `<input type="datetime-local">` has it, in the browser's zone. */
export function toLocalInput(iso) {
  if (!iso) return "";
  const date = new Date(iso);
  const two = (value) => String(value).padStart(2, "0");
  const day = `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** What such an input has as RFC 3339 in UTC; null where it is no time. */
export function fromLocalInput(text) {
  const date = new Date(text);
  return /^\d{4,}-\d\d-\d\dT\d\d:\d\d/.test(text) && !Number.isNaN(date.getTime()) ? date.toISOString() : null;
}

/** Seconds as people say them, in two units: "2 h 5 min". */
export function duration(seconds, units) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [
    [Math.floor(whole / 86400), units.d],
    [Math.floor((whole % 86400) / 3600), units.h],
    [Math.floor((whole % 3600) / 60), units.min],
    [whole % 60, units.s],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  const shown = first < 0 ? parts.slice(3) : parts.slice(first, first + 2).filter(([value]) => value > 0);
  return shown.map(([value, unit]) => `${value} ${unit}`).join(" ");
}

/** A time that something took, in milliseconds. */
export function milliseconds(value, language) {
  if (value === null || value === undefined) return "–";
  return value >= 1000 ? `${figure(value / 1000, language, 2)} s` : `${figure(value, language, value < 10 ? 1 : 0)} ms`;
}
