// Creating and editing a sale.
import { html } from "../lib.js";
import { api } from "../service.js";
import { navigate, path } from "../router.js";
import { checkWindow } from "../fields.js";
import { GOODS_FIELDS } from "../goods_fields.js";
import { t } from "../i18n.js";
import { useLoad } from "../parts/hooks.js";
import { Head, Loaded } from "../parts/ui.js";
import { RecordForm } from "../parts/form.js";

const PARTS = ["what", "price", "units", "window"];
const EDITABLE = GOODS_FIELDS.filter((field) => !field.once);

const inParts = ({ field, fields }) =>
  PARTS.map(
    (part) => html`<fieldset class="card part" key=${part}>
      <legend class="part-title">${t(`sales.part.${part}`)}</legend>
      <div class="fields">${fields.filter((one) => one.part === part).map(field)}</div>
    </fieldset>`,
  );

export function SaleNew() {
  return html`
    <${Head} title=${t("sales.new")} lead=${t("sales.newLead")} back=${{ href: "/admin/sales", text: t("nav.sales") }} />
    <${RecordForm}
      fields=${GOODS_FIELDS}
      initial=${{ currency: "CNY" }}
      check=${checkWindow}
      wrap=${inParts}
      save=${(body, options) => api.send("POST", "/goods", { body, ...options })}
      onSaved=${(goods) => navigate(path("admin", "sales", goods.id))}
      cancelHref="/admin/sales"
    />
  `;
}

export function SaleEdit({ id }) {
  const read = (signal) => api.get(path("goods", id), { signal });
  const state = useLoad(read, [id]);
  const page = path("admin", "sales", id);
  return html`
    <${Head} title=${t("sales.edit")} lead=${t("sales.editLead")} back=${{ href: page, text: state.data?.name ?? t("back") }} />
    <${Loaded} state=${state}>
      ${(goods) => html`<${RecordForm}
        fields=${EDITABLE}
        stored=${goods}
        check=${checkWindow}
        wrap=${inParts}
        save=${(body, options) => api.send("PATCH", path("goods", id), { body, ...options })}
        fetchStored=${() => read()}
        onSaved=${() => navigate(page)}
        cancelHref=${page}
      />`}
    <//>
  `;
}
