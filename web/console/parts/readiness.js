// "Ready?": what the service found when it looked whether a sale can begin.
import { html, useEffect, useRef } from "../lib.js";
import { api } from "../service.js";
import { path } from "../router.js";
import { language, t } from "../i18n.js";
import { useLoad } from "./hooks.js";
import { Badge, Button, Loaded, Section, Time } from "./ui.js";

const TONES = { ok: "good", warning: "warn", problem: "bad" };
const SIGNS = { ok: "✓", warning: "!", problem: "✕" };

/** Text with what stands between backticks as code. */
const withCode = (text) => text.split("`").map((part, index) => (index % 2 ? html`<code>${part}</code>` : part));

const TIMEOUT_MS = 30_000; // before a sale an audit of 10 s at most is made for it

/** Whether the sale is still ahead: looking again is worth its cost to the database only then. */
const isAhead = (goods) => goods.starts_at !== null && Date.parse(goods.starts_at) > Date.parse(goods.updated_at);

export function Readiness({ goods }) {
  const read = (signal) => api.get(path("goods", goods.id, "readiness"), { signal, timeout: TIMEOUT_MS });
  const state = useLoad(read, [goods.id, language()]);
  const seen = useRef(goods.version);
  useEffect(() => {
    // What was found stays until it is found anew; during a sale, that is for the operator to ask.
    if (seen.current !== goods.version && isAhead(goods)) state.reload();
    seen.current = goods.version;
  }, [goods.version]);
  const again = html`<${Button} class="small" busy=${state.loading} onPress=${state.reload}>${t("ready.again")}<//>`;
  return html`<${Section} title=${t("ready.title")} lead=${t("ready.lead")} actions=${again}>
    <${Loaded} state=${state}>
      ${(list) => html`
        <p class="row"><${Badge} tone=${TONES[list.state]}>${t(`ready.all.${list.state}`)}<//> <span class="muted small">${t("ready.at")} <${Time} at=${list.at} /></span></p>
        <ul class="checks">
          ${list.entries.map(
            (entry) => html`<li key=${entry.id} data-check=${entry.id} data-state=${entry.state}>
              <span class="sign" data-tone=${TONES[entry.state]} role="img" aria-label=${t(`ready.${entry.state}`)}>${SIGNS[entry.state]}</span>
              <div>
                <h3>${entry.title}</h3>
                <p>${withCode(entry.found)}</p>
                ${entry.mend && html`<p class="mend">${withCode(entry.mend)}</p>`}
              </div>
            </li>`,
          )}
        </ul>
      `}
    <//>
  <//>`;
}
