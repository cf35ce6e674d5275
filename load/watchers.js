// Open pages: each with the real client, its own watch and its own connection, as browsers have them.
//
//   node watchers.js <url> <item> <pages> <seconds>       prints {requests, fresh, failed, connections} at its end

import http from "node:http";

import { createClient } from "../web/client/seckill.js";

const [url, item, pages, seconds] = process.argv.slice(2);
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
  setTimeout(open, Math.random() * 5000); // people do not open a page all at once
}
setTimeout(() => {
  console.log("open");
  const before = { ...tally };
  setTimeout(() => {
    for (const name in tally) tally[name] -= before[name];
    console.log(JSON.stringify(tally));
    process.exit(0);
  }, Number(seconds) * 1000);
}, 10_000); // by then the clocks are set
