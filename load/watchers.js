// Open pages: each with the real client, its own watch and its own connection, as browsers have them.
//
//   node watchers.js <url> <item> <pages> <seconds> <after> ...
//
// Counts for so many seconds, once for each `after`: seconds since the pages were opened. Prints `open` as it begins to
// count, and what it counted at the end.

import http from "node:http";

import { createClient } from "../web/client/seckill.js";

const [url, item, pages, seconds, ...windows] = process.argv.slice(2);
const OPENED = 5000; // milliseconds
const tally = { requests: 0, unchanged: 0, failed: 0, connections: 0 };

/** A fetch that keeps one connection open; node's own would share a few among all. */
function connection() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  return (address, { headers, signal }) =>
    new Promise((resolve, reject) => {
      tally.requests++;
      const request = http.get(address, { agent, headers, signal }, (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const { statusCode: status } = response;
          if (status === 304) tally.unchanged++;
          else if (status !== 200) tally.failed++;
          const header = (name) => response.headers[name.toLowerCase()] ?? null;
          const text = Buffer.concat(chunks).toString();
          resolve({ status, ok: status === 200, headers: { get: header }, text: async () => text });
        });
      });
      request.on("socket", (socket) => socket.connecting && tally.connections++);
      request.on("error", (error) => {
        tally.failed++;
        reject(error);
      });
    });
}

for (let page = 0; page < Number(pages); page++) {
  const open = () => createClient({ baseUrl: url, fetch: connection() }).watchSale(item, () => {});
  setTimeout(open, Math.random() * OPENED); // people do not open a page all at once
}
for (const after of windows) {
  setTimeout(() => {
    console.log("open");
    const before = { ...tally };
    setTimeout(() => {
      const counted = Object.entries(tally).map(([name, count]) => [name, count - before[name]]);
      console.log(JSON.stringify(Object.fromEntries(counted)));
      if (after === windows.at(-1)) process.exit(0);
    }, seconds * 1000);
  }, OPENED + after * 1000);
}
