// What people type in forms, as the API takes it. Pure: the API checks all of it again, and has the last word.
import { decimal, fromLocalInput, minorUnits, toLocalInput } from "./format.js";

const MAX_COUNT = 1e9;
const MAX_AMOUNT = 1e12;

const ok = (value) => ({ value });
const bad = (problem) => ({ value: undefined, problem });

const READERS = {
  text(field, text) {
    if (!text) return field.required ? bad("missing") : ok(field.empty === undefined ? "" : field.empty);
    if (text.length > (field.max ?? 200)) return bad("too_long");
    // eslint-disable-next-line no-control-regex
    if (/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/.test(text) || (!field.lines && /[\t\r\n]/.test(text))) {
      return bad("control_character");
    }
    if (!text.trim()) return bad("blank");
    return field.pattern && !field.pattern.test(text) ? bad("invalid_format") : ok(text);
  },
  count(field, text) {
    const typed = text.trim();
    if (!typed) return field.required ? bad("missing") : ok(null);
    if (!/^-?\d{1,15}$/.test(typed)) return bad("wrong_type");
    const value = Number(typed);
    return value < (field.min ?? 0) || value > (field.most ?? MAX_COUNT) ? bad("out_of_range") : ok(value);
  },
  money(field, text, currency) {
    if (!text.trim()) return field.required ? bad("missing") : ok(field.empty === undefined ? null : field.empty);
    const value = minorUnits(text, currency);
    if (value === null) return bad("invalid_amount");
    return value < (field.min ?? 0) || value > MAX_AMOUNT ? bad("out_of_range") : ok(value);
  },
  time(field, text) {
    if (!text) return field.required ? bad("missing") : ok(null);
    const value = fromLocalInput(text);
    return value === null ? bad("invalid_time") : ok(value);
  },
  currency(field, text) {
    const typed = text.trim().toUpperCase();
    if (!typed) return field.required ? bad("missing") : ok(null);
    return /^[A-Z]{3}$/.test(typed) ? ok(typed) : bad("unknown_currency");
  },
  list(field, text) {
    const entries = text.split(/[\s,，、;；]+/).filter(Boolean);
    if (!entries.length) return ok(null);
    if (entries.some((entry) => !(field.pattern ?? /./).test(entry))) return bad("invalid_format");
    if (new Set(entries).size !== entries.length) return bad("repeated");
    return ok(field.numbers ? entries.map(Number) : entries);
  },
  choice: (field, text) => (text || !field.required ? ok(text || null) : bad("missing")),
  choices: (field, chosen) => ok(chosen.length ? chosen : null),
  flag: (field, checked) => ok(Boolean(checked)),
};

/** The value of what was typed into a field, or the code of what is wrong with it. */
export const readField = (field, typed, currency) => READERS[field.type](field, typed, currency);

/** A stored value as its field shows it for typing. */
export function showField(field, value, currency) {
  if (field.type === "flag") return Boolean(value);
  if (field.type === "choices") return value ?? [];
  if (value === null || value === undefined) return "";
  if (field.type === "money") return decimal(value, currency);
  if (field.type === "time") return toLocalInput(value);
  return field.type === "list" ? value.join(", ") : String(value);
}

/**
 * All fields of a form read at once: `values` by name where they are right, `problems` by name where they are not.
 * `stored` are values that the API gave: a field that still shows one keeps it exactly (times have milliseconds that no
 * field shows). `check(values)` gives problems of fields taken together.
 */
export function readForm(fields, typed, { stored = {}, check = () => ({}) } = {}) {
  const currency = currencyOf(fields, typed, stored);
  const values = {};
  const problems = {};
  for (const field of fields) {
    if (field.name in stored && typed[field.name] === showField(field, stored[field.name], currency)) {
      values[field.name] = stored[field.name];
      continue;
    }
    const { value, problem } = readField(field, typed[field.name], currency);
    if (problem) problems[field.name] = problem;
    else values[field.name] = value;
  }
  return { values, problems: { ...check(values), ...problems }, currency };
}

/** The currency that the amounts of a form are in. */
export function currencyOf(fields, typed, stored = {}) {
  const field = fields.find((one) => one.type === "currency");
  return (field ? readField(field, typed[field.name]).value : null) ?? stored.currency ?? null;
}

/** What a form shows at first. */
export const startForm = (fields, values, currency = values.currency) =>
  Object.fromEntries(fields.map((field) => [field.name, showField(field, values[field.name] ?? field.initial, currency)]));

/** A window that ends before it begins. */
export const checkWindow = ({ starts_at: start, ends_at: end }) =>
  start && end && Date.parse(end) < Date.parse(start) ? { ends_at: "window_reversed" } : {};
