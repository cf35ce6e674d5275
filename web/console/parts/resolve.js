// A version_mismatch as a difference to resolve: what was, what mine is, what theirs is, field by field.
import { html, useState } from "../lib.js";
import { differences, firstChoices, isResolved, resolved } from "../conflict.js";
import { money, moment } from "../format.js";
import { locale, t } from "../i18n.js";
import { Button, Notice, Section } from "./ui.js";

/** A stored value of a field as people read it. */
export function sayValue(field, value, currency) {
  if (value === null || value === undefined || value === "") return t("none");
  if (field?.type === "money") return currency ? money(value, currency, locale()) : String(value);
  if (field?.type === "time") return moment(value, locale());
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  return Array.isArray(value) ? value.join(", ") : String(value);
}

/** Asks which of two sets of changes to keep. `onResolve(body)` gets what to send over what is stored now. */
export function Conflict({ fields, base, mine, theirs, currency, onResolve, onGiveUp }) {
  const rows = differences(base, mine, theirs, fields.map((field) => field.name));
  const [choices, setChoices] = useState(() => firstChoices(rows));
  const [submitted, setSubmitted] = useState(false);
  const fieldOf = (name) => fields.find((field) => field.name === name);
  const submit = (event) => {
    event.preventDefault();
    setSubmitted(true);
    if (isResolved(rows, choices)) onResolve(resolved(rows, choices, theirs));
  };
  const side = (row, which) => {
    const name = t(fieldOf(row.name).label);
    const label = t(which === "mine" ? "conflict.useMine" : "conflict.useTheirs", { field: name });
    const value = sayValue(fieldOf(row.name), row[which], currency);
    const changed = which === "mine" ? row.byMe : row.byThem;
    return html`<td class=${changed ? "changed" : ""}>
      <label class="side">
        <input
          type="radio"
          name=${row.name}
          aria-label=${`${label}: ${value}`}
          checked=${choices[row.name] === which}
          onChange=${() => setChoices({ ...choices, [row.name]: which })}
        />
        <span>${value}</span>
      </label>
    </td>`;
  };
  return html`<${Section} title=${t("conflict.title")} lead=${t("conflict.lead")} class="conflict">
    <form onSubmit=${submit}>
      <div class="table-scroll" tabindex="0" role="group" aria-label=${t("conflict.title")}>
        <table>
          <thead>
            <tr>${["field", "before", "mine", "theirs"].map((key) => html`<th scope="col" key=${key}>${t(`conflict.${key}`)}</th>`)}</tr>
          </thead>
          <tbody>
            ${rows.map(
              (row) => html`<tr key=${row.name} class=${row.conflict ? "clash" : ""} data-field=${row.name}>
                <th scope="row">${t(fieldOf(row.name).label)}</th>
                <td>${sayValue(fieldOf(row.name), row.base, currency)}</td>
                ${side(row, "mine")}${side(row, "theirs")}
              </tr>`,
            )}
          </tbody>
        </table>
      </div>
      ${submitted && !isResolved(rows, choices) && html`<${Notice} kind="bad">${t("conflict.choose")}<//>`}
      <div class="buttons">
        <${Button} submit kind="primary">${t("conflict.save")}<//>
        <${Button} quiet onPress=${onGiveUp}>${t("conflict.giveUp")}<//>
      </div>
    </form>
  <//>`;
}
