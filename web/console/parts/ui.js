// Small pieces that every view is made of.
import { html, useEffect, useId, useRef, useState } from "../lib.js";
import { hasText, locale, t } from "../i18n.js";
import { moment } from "../format.js";

/** What a failure says to people. */
export function sayError(error) {
  if (error.detail) return error.detail;
  return t(hasText(`problem.${error.code}`) ? `problem.${error.code}` : "problem.internal_error");
}

/** The sign of the console. */
export const Mark = () => html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
  <rect width="32" height="32" rx="7" /><path d="M18 4 7 18h7.5L13 28l12-14.500h-7.500z" />
</svg>`;

/** The head of a view: its heading, which is focused when the view opens, and what can be done there. */
export function Head({ title, lead, back, children }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${title} · ${t("app.name")}`;
  }, [title]);
  useEffect(() => heading.current.focus({ preventScroll: true }), []);
  return html`<header class="head">
    ${back && html`<p class="back"><a href=${back.href}>← ${back.text}</a></p>`}
    <div class="head-row">
      <h1 tabindex="-1" ref=${heading}>${title}</h1>
      <div class="head-actions">${children}</div>
    </div>
    ${lead && html`<p class="lead muted">${lead}</p>`}
  </header>`;
}

/** A part of a view with a heading of its own. */
export function Section({ title, lead, actions, class: extra = "", children }) {
  const id = useId("s");
  return html`<section class=${`card ${extra}`} aria-labelledby=${id}>
    <div class="section-head">
      <h2 id=${id}>${title}</h2>
      ${actions}
    </div>
    ${lead && html`<p class="muted small">${lead}</p>`} ${children}
  </section>`;
}

/** A message. `kind`: `info`, `good`, `warn` or `bad`; the bad are read out at once. */
export const Notice = ({ kind = "info", children }) =>
  html`<div class="notice" data-tone=${kind === "plain" ? undefined : kind} role=${kind === "bad" ? "alert" : "status"}>${children}</div>`;

/** A failure, with the number that the log knows it by. */
export const Failure = ({ error, retry }) =>
  error &&
  html`<${Notice} kind="bad">
    <p>${sayError(error)}</p>
    ${error.requestId && html`<p class="small">${t("problem.request", { id: error.requestId })}</p>`}
    ${retry && html`<${Button} quiet onPress=${retry}>${t("problem.retry")}<//>`}
  <//>`;

/** What a change is doing, or came to. */
export function Outcome({ action, done }) {
  if (action.wait) return html`<${Notice}>${t("problem.waiting", { seconds: action.wait })}<//>`;
  if (action.error) {
    return html`<${Failure} error=${action.error} />
      ${action.error.isUnsettled && html`<${Notice} kind="warn">${t("problem.unsettled")}<//>`}`;
  }
  return action.done && done ? html`<${Notice} kind="good">${done}<//>` : null;
}

/**
 * A button. The second click of a double click is not a second press; one that is busy keeps the focus and says so.
 */
export function Button({ onPress, busy, kind = "", quiet, submit, disabled, children, ...rest }) {
  const press = (event) => {
    if (busy || event.detail > 1) event.preventDefault();
    else onPress?.(event);
  };
  const look = [kind, quiet && "quiet"].filter(Boolean).join(" ");
  return html`<button
    type=${submit ? "submit" : "button"}
    class=${look || undefined}
    aria-disabled=${busy ? "true" : undefined}
    disabled=${disabled}
    onClick=${press}
    ...${rest}
  >
    ${children}
  </button>`;
}

/** A state as a coloured word; the colour adds nothing that the word does not say. */
export const Badge = ({ tone = "", children }) => html`<span class="badge" data-tone=${tone || undefined}>${children}</span>`;

/** A moment that machines can read too. */
export const Time = ({ at, seconds = true }) =>
  at ? html`<time dateTime=${at}>${moment(at, locale(), seconds)}</time>` : "–";

/** Terms and what they are; entries without a term are left out. */
export const Facts = ({ of }) =>
  html`<dl class="facts">
    ${of.filter(Boolean).map(([term, value]) => html`<div key=${term}><dt>${term}</dt><dd>${value}</dd></div>`)}
  </dl>`;

/** A table. Where it is wider than its page, it can be scrolled by keyboard; on a phone each row is a block of its own.
 *  `columns`: `[key, heading, class]`. Browsers drop the meaning of a table that is laid out as blocks, so its roles are given. */
export function Table({ caption, columns, rows, empty }) {
  if (!rows.length) return html`<p class="empty">${empty}</p>`;
  return html`<div class="table-scroll" tabindex="0" role="group" aria-label=${caption}>
    <table role="table" class=${columns.length > 4 ? "rows broad" : "rows"}>
      <caption class="visually-hidden">${caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          ${columns.map(
            ([key, heading, look]) => html`<th role="columnheader" scope="col" key=${key} class=${look}>${heading}</th>`,
          )}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${rows.map(
          (row) => html`<tr role="row" key=${row.key} ...${row.attributes}>
            ${columns.map(
              ([key, heading, look]) =>
                html`<td role="cell" key=${key} class=${look} data-heading=${heading}><div class="cell">${row[key]}</div></td>`,
            )}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** The way to the next page of a list. */
export const More = ({ pages }) => html`
  ${pages.adding.error && html`<${Failure} error=${pages.adding.error} />`}
  ${pages.data?.next_cursor &&
  html`<p class="more"><${Button} quiet busy=${pages.adding.busy} onPress=${pages.more}>${t("more")}<//></p>`}
`;

/** What was loaded, or that it is loading, or why it is not there. */
export function Loaded({ state, children }) {
  if (state.data !== null) {
    return html`${state.error && html`<${Failure} error=${state.error} retry=${state.reload} />`}${children(state.data)}`;
  }
  if (state.error) return html`<${Failure} error=${state.error} retry=${state.reload} />`;
  return html`<p class="loading" role="status">${t("app.loading")}</p>`;
}

/** Text with a button that copies it. */
export function Copyable({ text, label }) {
  const [copied, setCopied] = useState(false);
  const shown = useRef(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      // no permission, or no TLS: selected, the visitor's own keys copy it
      getSelection().selectAllChildren(shown.current);
    }
  };
  return html`<div class="copyable">
    <code ref=${shown} aria-label=${label}>${text}</code>
    <${Button} quiet onPress=${copy}>${copied ? t("copied") : t("copy")}<//>
  </div>`;
}
