// A form from a declaration of its fields: hints as one types, the API's `errors[]` at their fields, and, where somebody
// else changed the same thing, the difference to resolve.
import { html, useEffect, useId, useRef, useState } from "../lib.js";
import { readForm, startForm } from "../fields.js";
import { changedFields, differences } from "../conflict.js";
import { minorDigits, zone } from "../format.js";
import { t } from "../i18n.js";
import { Button, Notice, Outcome } from "./ui.js";
import { useAction } from "./hooks.js";
import { Conflict } from "./resolve.js";

/** One field with its label, hint and problem. */
export function Field({ field, typed, onType, problem, currency, shownAs }) {
  const id = useId();
  const text = shownAs ?? t(field.label);
  const help = field.type === "time" ? t("time.zoneHelp", { zone: zone() }) : field.help && t(field.help);
  const described = [help && `${id}-help`, problem && `${id}-problem`].filter(Boolean).join(" ") || undefined;
  const common = {
    id,
    name: field.name,
    "aria-describedby": described,
    "aria-invalid": problem ? "true" : undefined,
    "aria-required": field.required ? "true" : undefined,
  };
  const notes = html`
    ${help && html`<p class="hint" id=${`${id}-help`}>${help}</p>`}
    ${problem && html`<p class="error" id=${`${id}-problem`}>${problem}</p>`}
  `;
  if (field.type === "flag") {
    return html`<div class=${`field flag ${field.wide ? "wide" : ""}`}>
      <label for=${id}><input type="checkbox" ...${common} checked=${typed} onChange=${(event) => onType(event.target.checked)} /> ${text}</label>
      ${notes}
    </div>`;
  }
  if (field.type === "choices") return html`<${Choices} ...${{ field, typed, onType, text, notes, id, described }} />`;
  return html`<div class=${`field ${field.wide ? "wide" : ""}`}>
    <label for=${id}>${text} ${!field.required && field.type !== "choice" && html`<span class="optional">${t("optional")}</span>`}</label>
    <${Input} ...${{ field, typed, onType, common, currency }} />
    ${notes}
  </div>`;
}

function Input({ field, typed, onType, common, currency }) {
  const onInput = (event) => onType(event.target.value);
  if (field.lines) return html`<textarea rows="4" ...${common} value=${typed} onInput=${onInput}></textarea>`;
  if (field.type === "choice") {
    return html`<select ...${common} value=${typed} onChange=${onInput}>
      ${field.options.map(([value, label]) => html`<option key=${value} value=${value} selected=${value === typed}>${t(label)}</option>`)}
    </select>`;
  }
  if (field.type === "time") return html`<input type="datetime-local" step="1" ...${common} value=${typed} onInput=${onInput} />`;
  if (field.type === "count") {
    return html`<input type="number" inputmode="numeric" step="1" min=${field.min ?? 0} placeholder=${field.empties && t(field.empties)} ...${common} value=${typed} onInput=${onInput} />`;
  }
  const mode = field.type === "money" && minorDigits(currency) ? "decimal" : field.type === "money" ? "numeric" : undefined;
  const input = html`<input
    type="text"
    autocomplete="off"
    spellcheck=${field.spell ? "true" : "false"}
    inputmode=${mode}
    autocapitalize=${field.type === "currency" ? "characters" : "off"}
    ...${common}
    value=${typed}
    onInput=${onInput}
  />`;
  return field.type === "money"
    ? html`<div class="with-unit">${input}<span class="unit" aria-hidden="true">${currency ?? ""}</span></div>`
    : input;
}

function Choices({ field, typed, onType, text, notes, described }) {
  const toggle = (value, on) =>
    onType(field.options.map(([one]) => one).filter((one) => (one === value ? on : typed.includes(one))));
  return html`<fieldset class="field wide" aria-describedby=${described}>
    <legend>${text}</legend>
    <div class="choices">
      ${field.options.map(
        ([value, label]) => html`<label key=${value}>
          <input type="checkbox" name=${field.name} checked=${typed.includes(value)} onChange=${(event) => toggle(value, event.target.checked)} />
          ${t(label)}
        </label>`,
      )}
    </div>
    ${notes}
  </fieldset>`;
}

/**
 * Create or edit something.
 *
 * `stored` is what is edited, with its `version`; null to create. `save(body, options)` sends what is to be sent, of an
 * edit the changed fields only; `fetchStored()` reads it anew for a conflict; `onSaved(resource)` goes on. A form that
 * stays on the page follows `stored` while nobody types in it, and says `doneText`. With `merging`, changes by others to
 * other fields are no conflict. `inline` is for a field or two beside their button.
 */
export function RecordForm({
  fields, stored = null, initial = {}, check, save, fetchStored, onSaved, cancelHref, wrap, submitText, doneText, merging, inline,
}) {
  const [base, setBase] = useState(stored);
  const [typed, setTyped] = useState(() => startForm(fields, stored ?? initial));
  const [touched, setTouched] = useState({});
  const [refused, setRefused] = useState({});
  const [note, setNote] = useState(null);
  const [theirs, setTheirs] = useState(null);
  const form = useRef(null);
  const { values, problems, currency } = readForm(fields, typed, { stored: base ?? {}, check });

  const action = useAction(
    ({ body, version }, options) => save(body, { ...options, version }),
    (resource) => {
      if (stored) follow(resource);
      onSaved(resource);
    },
    `form ${location.pathname}`,
  );
  const follow = (resource) => {
    setBase(resource);
    setTyped(startForm(fields, resource));
    setTouched({});
  };
  useEffect(() => {
    if (stored && !action.busy && !theirs && !Object.keys(touched).length) follow(stored);
  }, [stored?.version]);
  useEffect(() => {
    const error = action.error;
    if (!error) return;
    setRefused(Object.fromEntries(error.errors.map((one) => [one.field.split(".")[0], one.detail])));
    if (error.code === "version_mismatch" && fetchStored) fetchStored().then(meet, () => {});
  }, [action.error]);
  useEffect(() => {
    if (Object.keys(refused).length) form.current?.querySelector("[aria-invalid]")?.focus();
  }, [refused]);

  const type = (name, value) => {
    setTyped((before) => ({ ...before, [name]: value }));
    setTouched((before) => ({ ...before, [name]: true }));
    setRefused(({ [name]: _, ...others }) => others);
    setNote(null);
    action.renew();
  };
  const submit = (event) => {
    event.preventDefault();
    setTouched(Object.fromEntries(fields.map((field) => [field.name, true])));
    if (Object.keys(problems).length) {
      setNote("problem.fields");
      const first = fields.find((field) => problems[field.name]);
      form.current.elements.namedItem(first.name)?.focus?.();
      return;
    }
    const body = base ? changedFields(base, values) : values;
    if (base && !Object.keys(body).length) return setNote("unchanged");
    setNote(null);
    action.run({ body, version: base?.version });
  };
  const settle = (body, now) => {
    setBase(now);
    setTyped(startForm(fields, { ...now, ...body }));
    setTheirs(null);
    action.renew();
    if (Object.keys(body).length) return action.run({ body, version: now.version });
    follow(now);
    onSaved(now);
  };
  const meet = (now) => {
    const mine = changedFields(base, values);
    const rows = differences(base, mine, now, fields.map((one) => one.name));
    if (merging && !rows.some((row) => row.conflict)) settle(mine, now);
    else setTheirs(now);
  };

  if (theirs) {
    const mine = changedFields(base, values);
    return html`<${Conflict} ...${{ fields, base, mine, theirs, currency, onResolve: (body) => settle(body, theirs), onGiveUp: () => settle({}, theirs) }} />`;
  }
  const field = (one) => {
    const code = touched[one.name] ? problems[one.name] : null;
    return html`<${Field}
      key=${one.name}
      field=${one}
      typed=${typed[one.name]}
      onType=${(value) => type(one.name, value)}
      problem=${refused[one.name] ?? (code && t(`field.${code}`))}
      currency=${currency}
    />`;
  };
  const unplaced = Object.entries(refused).filter(([name]) => !fields.some((one) => one.name === name));
  return html`<form class=${inline ? "record inline" : "record"} ref=${form} onSubmit=${submit} noValidate>
    ${wrap ? wrap({ field, fields, typed, type, base }) : html`<div class="fields">${fields.map(field)}</div>`}
    ${note && html`<${Notice} kind=${note === "problem.fields" ? "bad" : "info"}>${t(note)}<//>`}
    ${unplaced.map(([name, detail]) => html`<${Notice} kind="bad" key=${name}>${name}: ${detail}<//>`)}
    ${action.error?.code === "validation_failed" ? null : html`<${Outcome} action=${action} done=${doneText} />`}
    <div class="buttons">
      <${Button} submit kind=${inline ? "" : "primary"} busy=${action.busy}>${action.busy ? t("working") : submitText ?? t(base ? "save" : "create")}<//>
      ${cancelHref && html`<a class="button quiet" href=${cancelHref}>${t("cancel")}</a>`}
    </div>
  </form>`;
}

