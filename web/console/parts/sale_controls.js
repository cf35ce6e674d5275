// The controls of a running sale. Each says what buyers will see, and does once what is pressed twice.
import { html, useId, useRef, useState } from "../lib.js";
import { api } from "../service.js";
import { path } from "../router.js";
import { count, toLocalInput } from "../format.js";
import { locale, t } from "../i18n.js";
import { readField } from "../fields.js";
import { useAction } from "./hooks.js";
import { Button, Outcome, Section } from "./ui.js";
import { RecordForm } from "./form.js";
import { GOODS_FIELDS } from "../goods_fields.js";

const fieldOf = (name) => GOODS_FIELDS.find((field) => field.name === name);

/** A control: what it is for, what buyers will see, and itself. */
const Control = ({ title, sees, children }) =>
  html`<div class="control">
    <div>
      <h3>${title}</h3>
      <p class="muted small"><span class="sees">${t("sale.buyersSee")}</span> ${sees}</p>
    </div>
    <div class="stack">${children}</div>
  </div>`;

export function SaleControls({ goods, onChanged }) {
  const here = path("goods", goods.id);
  return html`<${Section} title=${t("sale.controls")} class="controls">
    <${Running} goods=${goods} here=${here} onChanged=${onChanged} />
    <${Stock} goods=${goods} here=${here} onChanged=${onChanged} sign=${1} />
    <${Stock} goods=${goods} here=${here} onChanged=${onChanged} sign=${-1} />
    <${Live} goods=${goods} here=${here} onChanged=${onChanged} name="ends_at" />
    <${Live} goods=${goods} here=${here} onChanged=${onChanged} name="per_user_limit" />
    <${Live} goods=${goods} here=${here} onChanged=${onChanged} name="order_limit" />
  <//>`;
}

function Running({ goods, here, onChanged }) {
  // The version is no part of what is sent: it makes each press of a new state a request of its own.
  const act = (what) => useAction((_, { key, onWait }) => api.send("POST", `${here}/${what}`, { key, onWait }), onChanged);
  const [start, pause, resume] = [act("start"), act("pause"), act("resume")];
  const press = (action) => () => {
    for (const one of [start, pause, resume]) if (one !== action) one.renew();
    action.run({ version: goods.version });
  };
  const ended = goods.status === "ended";
  const sees = t(goods.status === "paused" ? "sale.resumeSees" : goods.status === "upcoming" ? "sale.startSees" : "sale.pauseSees");
  return html`<${Control} title=${t("sale.run")} sees=${sees}>
    <div class="row">
      ${goods.status === "upcoming" &&
      html`<${Button} kind="primary" busy=${start.busy} onPress=${press(start)}>${t("sale.start")}<//>`}
      <${Button} busy=${pause.busy} disabled=${goods.status === "paused" || ended} onPress=${press(pause)}>${t("sale.pause")}<//>
      <${Button} busy=${resume.busy} kind=${goods.status === "paused" ? "primary" : ""} disabled=${goods.status !== "paused"} onPress=${press(resume)}>${t("sale.resume")}<//>
    </div>
    <${Outcome} action=${start} done=${t("sale.started")} />
    <${Outcome} action=${pause} done=${t("sale.pausedNow")} />
    <${Outcome} action=${resume} done=${t("sale.resumed")} />
  <//>`;
}

function Stock({ goods, here, onChanged, sign }) {
  const id = useId();
  const input = useRef(null);
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState(null);
  const [moved, setMoved] = useState(0);
  const words = sign > 0 ? "sale.add" : "sale.withdraw";
  const action = useAction(
    ({ delta }, options) => api.send("PATCH", here, { body: { stock_delta: delta }, ...options }),
    (changed, { delta }) => {
      setMoved(Math.abs(delta));
      setTyped("");
      onChanged(changed);
    },
    `${words} ${here}`,
  );
  const submit = (event) => {
    event.preventDefault();
    if (action.busy) return;
    const { value, problem: wrong } = readField({ type: "count", required: true, min: 1 }, typed);
    setProblem(wrong ?? null);
    if (wrong) input.current.focus();
    else action.run({ delta: sign * value });
  };
  return html`<${Control} title=${t(`${words}Title`)} sees=${t(`${words}Sees`)}>
    <form class="row end" onSubmit=${submit} noValidate>
      <div class="field grow">
        <label for=${id}>${t(`${words}Units`)}</label>
        <input
          id=${id}
          ref=${input}
          type="number"
          inputmode="numeric"
          min="1"
          step="1"
          value=${typed}
          aria-invalid=${problem ? "true" : undefined}
          aria-describedby=${problem ? `${id}-problem` : undefined}
          onInput=${(event) => {
            setTyped(event.target.value);
            setProblem(null);
            action.renew();
          }}
        />
        ${problem && html`<p class="error" id=${`${id}-problem`}>${t(`field.${problem}`)}</p>`}
      </div>
      <${Button} submit busy=${action.busy}>${t(words)}<//>
    </form>
    <${Outcome} action=${action} done=${t(`${words}Done`, { units: count(moved, locale()) })} />
  <//>`;
}

const MORE_TIME = [10, 60];

/** The end, or a limit, changed while the sale runs. */
function Live({ goods, here, onChanged, name }) {
  const read = () => api.get(here);
  const later = (typed, minutes) => {
    const from = Math.max(Date.now(), Date.parse(typed || goods.ends_at || 0) || 0);
    return toLocalInput(new Date(from + minutes * 60_000).toISOString());
  };
  const wrap = ({ field, fields, typed, type }) => html`
    ${fields.map(field)}
    ${name === "ends_at" &&
    html`<div class="row">
      ${MORE_TIME.map(
        (minutes) => html`<${Button} key=${minutes} class="small" onPress=${() => type(name, later(typed[name], minutes))}>${t("sale.later", { minutes })}<//>`,
      )}
    </div>`}
  `;
  return html`<${Control} title=${t(`sale.live.${name}`)} sees=${t(`sale.live.${name}Sees`)}>
    <${RecordForm}
      fields=${[{ ...fieldOf(name), help: undefined }]}
      stored=${goods}
      merging
      inline
      wrap=${wrap}
      submitText=${t(`sale.live.${name}Set`)}
      doneText=${t(`sale.live.${name}Done`)}
      save=${(body, options) => api.send("PATCH", here, { body, ...options })}
      fetchStored=${read}
      onSaved=${onChanged}
    />
  <//>`;
}
