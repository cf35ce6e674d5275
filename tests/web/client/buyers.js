// Buyers with the real client, network and time. Each has two tabs that share a storage, and presses each button twice.
//
//   node buyers.js <url> <item> <storage folder> <token> ...
//
// Prints the answers that each buyer got, as JSON. Storage is in files: the next run goes on with a killed one.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { createClient } from "./client.js";
import { Locks } from "./world.js";

const [url, item, folder, ...tokens] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });

class FileStorage {
  constructor(name) {
    this.path = join(folder, name);
    try {
      this.items = new Map(JSON.parse(readFileSync(this.path, "utf8")));
    } catch {
      this.items = new Map();
    }
  }
  getItem = (name) => this.items.get(name) ?? null;
  setItem = (name, value) => this.#write(this.items.set(name, value));
  removeItem = (name) => this.#write(this.items.delete(name));
  #write() {
    writeFileSync(`${this.path}.new`, JSON.stringify([...this.items]));
    renameSync(`${this.path}.new`, this.path); // a kill leaves the one or the other
  }
}

async function buyer(token, number) {
  const storage = new FileStorage(`buyer-${number}`);
  const locks = new Locks();
  const tab = () => createClient({ baseUrl: url, token, storage, platform: { locks: number % 2 ? locks.of({}) : undefined } });
  const tabs = [tab(), tab()];
  await Promise.all(tabs.map((client) => client.prepare(item)));
  const pending = await tabs[0].pending(item);
  const click = (client) => client.buy(item, pending?.body ?? {}).then(({ order }) => order.order_no, (error) => error.code);
  const clicks = [];
  for (const client of tabs) {
    clicks.push(click(client), click(client));
    await new Promise((resolve) => setTimeout(resolve, 20 * number));
    clicks.push(click(client));
  }
  return Promise.all(clicks);
}

console.log("begun");
console.log(JSON.stringify(await Promise.all(tokens.map(buyer))));
