// A question asked over the page. The browser keeps the focus inside, and Escape closes it.
import { html, useEffect, useId, useRef } from "../lib.js";
import { t } from "../i18n.js";
import { Button } from "./ui.js";

/** `onClose()` is called however it is closed. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef(null);
  const id = useId("d");
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return html`<dialog ref=${dialog} aria-labelledby=${id} onClose=${onClose}>
    <div class="section-head">
      <h2 id=${id}>${title}</h2>
      <${Button} quiet onPress=${() => dialog.current.close()} aria-label=${t("close")}>✕<//>
    </div>
    ${children}
  </dialog>`;
}
