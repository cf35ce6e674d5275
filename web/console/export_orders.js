// Fetches orders as CSV with the administrator's token, and hands them over as a download.
//
// The rows never lie in the page's memory: they run through a counter into a Blob, which browsers write to their disk
// where it is large. `showSaveFilePicker` would save the copy, but is only in some browsers and on secure addresses.
import { api } from "./service.js";

/** Download the file at `path`. `onBytes(count)` hears how much has come. Aborts with `signal`. */
export async function exportOrders(path, { onBytes, signal, name = "orders.csv" }) {
  const answer = await api.open(path, "text/csv", { signal });
  let bytes = 0;
  const counter = new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      onBytes(bytes);
      controller.enqueue(chunk);
    },
  });
  const headers = { "Content-Type": "text/csv;charset=utf-8" };
  const file = await new Response(answer.body.pipeThrough(counter), { headers }).blob();
  const url = URL.createObjectURL(file);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
