// One subscription: its settings, its secret, and the log of what was sent.
import { html, useState } from "../lib.js";
import { api } from "../service.js";
import { address, navigate, path } from "../router.js";
import { t } from "../i18n.js";
import { useAction, useLoad, usePages } from "../parts/hooks.js";
import { Badge, Button, Failure, Head, Loaded, More, Notice, Outcome, Section, Table, Time } from "../parts/ui.js";
import { Dialog } from "../parts/dialog.js";
import { RecordForm } from "../parts/form.js";
import { Secret } from "../parts/secret.js";
import { back, HERE, inCard, WEBHOOK_FIELDS } from "./webhooks.js";

export function Webhook({ id }) {
  const here = path("webhooks", id);
  const read = (signal) => api.get(here, { signal });
  const state = useLoad(read, [id]);
  return html`
    <${Head} title=${t("webhook.title", { id })} back=${back()} />
    <${Loaded} state=${state}>
      ${(webhook) => html`
        <${RecordForm}
          fields=${WEBHOOK_FIELDS}
          stored=${webhook}
          wrap=${inCard}
          doneText=${t("saved")}
          save=${(body, options) => api.send("PATCH", here, { body, ...options })}
          fetchStored=${() => read()}
          onSaved=${state.set}
        />
        <${Rotation} webhook=${webhook} onChanged=${state.set} />
        <${Deliveries} here=${here} />
        <${Removal} webhook=${webhook} />
      `}
    <//>
  `;
}

function Rotation({ webhook, onChanged }) {
  const [secret, setSecret] = useState(null);
  const [confirming, setConfirming] = useState(false);
  const [hours, setHours] = useState("24");
  const action = useAction(
    (body, options) => api.send("POST", path("webhooks", webhook.id, "secret"), { body, version: webhook.version, ...options }),
    ({ secret: made, ...rest }) => {
      setConfirming(false);
      setSecret(made);
      onChanged(rest);
    },
  );
  if (secret) return html`<${Secret} secret=${secret} lead=${t("secret.rotatedLead")} onDone=${() => setSecret(null)} />`;
  const submit = (event) => {
    event.preventDefault();
    action.run({ keep_hours: Number(hours) });
  };
  return html`<${Section} title=${t("secret.title")} lead=${t("secret.hidden")}>
    ${webhook.old_secret_ends_at && html`<p>${t("secret.oldEnds")} <${Time} at=${webhook.old_secret_ends_at} /></p>`}
    <div class="row"><${Button} onPress=${() => (action.renew(), setConfirming(true))}>${t("secret.rotate")}<//></div>
    ${confirming &&
    html`<${Dialog} title=${t("secret.rotate")} onClose=${() => setConfirming(false)}>
      <form class="stack" onSubmit=${submit}>
        <p>${t("secret.rotateLead")}</p>
        <div class="field">
          <label for="keep">${t("secret.keep")}</label>
          <select id="keep" value=${hours} onChange=${(event) => (setHours(event.target.value), action.renew())}>
            ${["0", "1", "24", "72", "168"].map((value) => html`<option key=${value} value=${value} selected=${value === hours}>${t(`secret.keep.${value}`)}</option>`)}
          </select>
        </div>
        <${Outcome} action=${action} />
        <div class="buttons"><${Button} submit kind="primary" busy=${action.busy}>${t("secret.rotateNow")}<//></div>
      </form>
    <//>`}
  <//>`;
}

const TONES = { pending: "info", delivered: "good", failed: "bad" };

function Deliveries({ here }) {
  const [status, setStatus] = useState("");
  const pages = usePages(
    (cursor, signal) => api.get(address(`${here}/deliveries`, { status, cursor, limit: 20 }), { signal }),
    [here, status],
  );
  const retry = useAction(
    // What the delivery was like is no part of what is sent: it makes each retry of a new state a request of its own.
    ({ id }, { key, onWait }) => api.send("POST", `${here}/deliveries/${id}/retry`, { key, onWait }),
    (delivery) => pages.set({ ...pages.data, items: pages.data.items.map((one) => (one.id === delivery.id ? delivery : one)) }),
  );
  const answer = (one) => {
    if (one.last_error) return html`${t(`delivery.error.${one.last_error}`)} ${one.last_status ? html`<span class="mono">${one.last_status}</span>` : ""}`;
    return one.last_status ? html`<span class="mono">${one.last_status}</span>` : "–";
  };
  return html`<${Section} title=${t("delivery.title")} lead=${t("delivery.lead")} actions=${html`<${Button} class="small" busy=${pages.loading} onPress=${pages.reload}>${t("delivery.refresh")}<//>`}>
    <div class="filters">
      <div class="field">
        <label for="delivery-status">${t("sales.status")}</label>
        <select id="delivery-status" value=${status} onChange=${(event) => setStatus(event.target.value)}>
          <option value="">${t("all")}</option>
          ${Object.keys(TONES).map((name) => html`<option key=${name} value=${name}>${t(`delivery.${name}`)}</option>`)}
        </select>
      </div>
    </div>
    ${retry.error && html`<${Failure} error=${retry.error} />`}
    <${Loaded} state=${pages}>
      ${(page) => html`
        <${Table}
          caption=${t("delivery.title")}
          empty=${t("delivery.nothing")}
          columns=${[
            ["event", t("delivery.event")],
            ["status", t("sales.status")],
            ["answer", t("delivery.answer")],
            ["attempts", t("delivery.attempts"), "number"],
            ["at", t("delivery.lastAttempt")],
            ["retry", t("delivery.act")],
          ]}
          rows=${page.items.map((one) => ({
            key: one.id,
            attributes: { "data-delivery-id": one.id, "data-status": one.status },
            event: html`${t(`event.${one.type}`)} <span class="mono muted small">${one.event_id}</span>`,
            status: html`<${Badge} tone=${TONES[one.status]}>${t(`delivery.${one.status}`)}<//>`,
            answer: answer(one),
            attempts: one.attempts,
            at: html`<span class="small nowrap"><${Time} at=${one.last_attempt_at} /></span>`,
            retry: html`<${Button} class="small" busy=${retry.busy} aria-label=${t("delivery.retryThis", { event: one.event_id })} onPress=${() => retry.run({ id: one.id, attempts: one.attempts, status: one.status, next: one.next_attempt_at })}>${t("delivery.retry")}<//>`,
          }))}
        />
        <${More} pages=${pages} />
      `}
    <//>
  <//>`;
}

function Removal({ webhook }) {
  const [confirming, setConfirming] = useState(false);
  const action = useAction((_, { onWait }) => api.send("DELETE", path("webhooks", webhook.id), { version: webhook.version, onWait }), () => navigate(HERE));
  return html`<${Section} title=${t("webhook.removal")} lead=${t("webhook.removalLead")}>
    <div class="row"><${Button} kind="danger" onPress=${() => setConfirming(true)}>${t("webhook.remove")}<//></div>
    ${confirming &&
    html`<${Dialog} title=${t("webhook.remove")} onClose=${() => setConfirming(false)}>
      <${Notice} kind="warn"><span class="mono breakable">${webhook.url}</span><//>
      <p>${t("webhook.removalLead")}</p>
      <${Outcome} action=${action} />
      <div class="buttons"><${Button} kind="danger" busy=${action.busy} onPress=${() => action.run()}>${t("webhook.removeNow")}<//></div>
    <//>`}
  <//>`;
}
