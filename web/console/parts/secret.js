// A webhook's secret, which no answer but this one has.
import { html, useEffect, useRef } from "../lib.js";
import { t } from "../i18n.js";
import { Button, Copyable, Section } from "./ui.js";

/** Shown once: by leaving it is gone. Goes on to `next`, an address, or by `onDone`. */
export function Secret({ secret, lead, next, onDone }) {
  const place = useRef(null);
  useEffect(() => place.current.focus(), []);
  return html`<div ref=${place} tabindex="-1" class="secret-shown">
    <${Section} title=${t("secret.title")} lead=${lead ?? t("secret.lead")}>
      <${Copyable} text=${secret} label=${t("secret.title")} />
      <div class="buttons">
        ${next ? html`<a class="button primary" href=${next}>${t("secret.kept")}</a>` : html`<${Button} kind="primary" onPress=${onDone}>${t("secret.kept")}<//>`}
      </div>
    <//>
  </div>`;
}
