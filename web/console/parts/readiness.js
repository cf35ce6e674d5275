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

export function Readiness({ goods }) {
  const state = useLoad((signal) => api.get(path("goods", goods.id, "readiness"), { signal }), [goods.id, language()]);
  const seen = useRef(goods.version);
  useEffect(() => {
    if (seen.current !== goods.version) state.reload(); // what was found stays until it is found anew
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
