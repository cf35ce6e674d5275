// What the payment provider reported, and what an operator did about it.
import { html, useState } from "../lib.js";
import { api } from "../service.js";
import { path } from "../router.js";
import { money } from "../format.js";
import { locale, t } from "../i18n.js";
import { useAction } from "./hooks.js";
import { Badge, Button, Facts, Outcome, Time } from "./ui.js";

/** What was reported of a payment, what came of it, and, where that is open, what to do about it. */
export function Payment({ payment, onResolved }) {
  const open = needsHand(payment);
  return html`<article class="payment stack" data-payment-id=${payment.id} data-outcome=${payment.outcome}>
    <p class="row">
      <strong class="number">${money(payment.amount, payment.currency, locale())}</strong>
      <${Badge} tone=${open ? "bad" : ""}>${t(`payment.${payment.outcome}`)}<//>
      <span class="muted small"><${Time} at=${payment.received_at} /></span>
    </p>
    <${Facts}
      of=${[
        [t("payment.order"), html`<a class="mono" href=${path("admin", "orders", payment.order_no)}>${payment.order_no}</a>`],
        [t("payment.id"), html`<span class="mono">${payment.payment_id}</span>`],
        [t("payment.type"), payment.type],
        payment.resolution && [t("payment.resolution"), t(`payment.as.${payment.resolution}`)],
        payment.note && [t("payment.note"), html`<span class="lines">${payment.note}</span>`],
        payment.resolved_at && [t("payment.resolvedBy"), html`${payment.resolved_by ?? t("payment.byProvider")}, <${Time} at=${payment.resolved_at} />`],
      ]}
    />
    ${open && html`<${Resolve} payment=${payment} onResolved=${onResolved} />`}
  </article>`;
}

const OPEN = ["mismatch", "unknown_order", "already_paid", "refund_due"];
const needsHand = (payment) => OPEN.includes(payment.outcome) && payment.resolution === null;

const CHOICES = ["refunded", "accepted", "ignored"];

function Resolve({ payment, onResolved }) {
  const [resolution, setResolution] = useState("refunded");
  const [note, setNote] = useState("");
  const action = useAction(
    (body, options) => api.send("POST", path("payments", payment.id, "resolve"), { body, ...options }),
    onResolved,
  );
  const submit = (event) => {
    event.preventDefault();
    action.run(note.trim() ? { resolution, note } : { resolution });
  };
  const typing = (set) => (event) => {
    set(event.target.value);
    action.renew();
  };
  return html`<form class="row end resolve" onSubmit=${submit}>
    <div class="field">
      <label for=${`how-${payment.id}`}>${t("payment.how")}</label>
      <select id=${`how-${payment.id}`} value=${resolution} onChange=${typing(setResolution)}>
        ${CHOICES.map((name) => html`<option key=${name} value=${name}>${t(`payment.as.${name}`)}</option>`)}
      </select>
    </div>
    <div class="field grow">
      <label for=${`note-${payment.id}`}>${t("payment.note")}</label>
      <input id=${`note-${payment.id}`} type="text" maxlength="1000" value=${note} onInput=${typing(setNote)} />
    </div>
    <${Button} submit busy=${action.busy}>${t("payment.resolve")}<//>
    <${Outcome} action=${action} />
  </form>`;
}
