// Fetches orders as CSV with the administrator's token, and hands them over as a download.
//
// `blob()` leaves the rows to the browser, which keeps a large file on its disk: they never lie in the page's memory as
// text or as chunks, which a progress bar would need. `showSaveFilePicker` would save the copy, but is only in some
// browsers and on secure addresses.
import { api } from "./service.js";

/** Download the file at `path`. Ends early with `signal`. */
export async function exportOrders(path, { signal, name = "orders.csv" }) {
  const answer = await api.open(path, "text/csv", { signal });
  const url = URL.createObjectURL(await answer.blob());
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
