// Signing in with an administrator's token, which is tried before it is kept.
import { html, useEffect, useRef, useState } from "../lib.js";
import { api } from "../service.js";
import { cleaned, describe, isSendable } from "../session.js";
import { hasText, t } from "../i18n.js";
import { Button, Mark, Notice, sayError } from "../parts/ui.js";

/** Why a token was not taken, in words; the service says no more than that it is not valid. */
function sayRefusal(error, token) {
  const { expiresAt } = describe(token);
  if (error.code === "unauthenticated" && expiresAt !== null && expiresAt <= Date.now()) return t("signin.expired");
  return hasText(`signin.${error.code}`) ? t(`signin.${error.code}`) : sayError(error);
}

export function SignIn({ why, onToken, languages }) {
  const [typed, setTyped] = useState("");
  const [refusal, setRefusal] = useState(null);
  const [busy, setBusy] = useState(false);
  const running = useRef(false);
  const field = useRef(null);
  useEffect(() => {
    document.title = `${t("signin.title")} · ${t("app.name")}`;
  });
  useEffect(() => field.current.focus(), []);

  const submit = async (event) => {
    event.preventDefault();
    if (running.current) return;
    const token = cleaned(typed);
    const wrong = !token ? () => t("signin.missing") : !isSendable(token) ? () => t("signin.unauthenticated") : null;
    setRefusal(() => wrong);
    if (wrong) return field.current.focus();
    running.current = true;
    setBusy(true);
    try {
      await api.get("/coupons?limit=1", { token }); // whatever only administrators may read
      onToken(token);
    } catch (error) {
      setRefusal(() => () => sayRefusal(error, token));
      setBusy(false);
      field.current?.focus();
    } finally {
      running.current = false;
    }
  };

  return html`<main id="content" class="sign-in">
    <div class="card stack">
      <div class="sign-in-head"><${Mark} />${languages}</div>
      <div>
        <h1>${t("app.name")}</h1>
        <p class="muted">${t("signin.lead")}</p>
      </div>
      ${why === "ended" && !refusal && html`<${Notice} kind="warn">${t("signin.ended")}<//>`}
      <form class="stack" onSubmit=${submit} noValidate>
        <div class="field">
          <label for="token">${t("signin.token")}</label>
          <input
            id="token"
            class="secret mono"
            type="text"
            autocomplete="off"
            autocapitalize="off"
            spellcheck="false"
            aria-describedby="token-help"
            aria-invalid=${refusal ? "true" : undefined}
            ref=${field}
            value=${typed}
            onInput=${(event) => {
              setTyped(event.target.value);
              setRefusal(null);
            }}
          />
          <p class="hint" id="token-help">${t("signin.help")}</p>
        </div>
        ${refusal && html`<${Notice} kind="bad">${refusal()}<//>`}
        <${Button} submit kind="primary" busy=${busy}>${busy ? t("working") : t("signin.button")}<//>
      </form>
      <details class="small">
        <summary>${t("signin.how")}</summary>
        <p>${t("signin.command")}</p>
        <p><code>flask token --user operator --admin --hours 12</code></p>
      </details>
    </div>
  </main>`;
}
