// Amounts, times and countdowns as visitors read them.

import { language, say, t } from "./page.js";

const MINUTE = 60_000;
const ANNOUNCED_AT = [10 * MINUTE, 5 * MINUTE, MINUTE, 10_000]; // before the moment: seldom, or nobody can listen to it

const long = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const short = new Intl.DateTimeFormat(language, { timeStyle: "medium" });

/** An amount in minor units, written as the sample amounts of the page are. */
export function money(amount, { prefix, decimals }) {
  const digits = String(Math.abs(amount)).padStart(decimals + 1, "0");
  const units = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, ",");
  const fraction = decimals ? `.${digits.slice(-decimals)}` : "";
  return `${amount < 0 ? "−" : ""}${prefix}${units}${fraction}`;
}

export const clockTime = (iso) => short.format(new Date(iso));

/** What is left, in milliseconds, as `1 d 02:03:04`. */
export function remaining(left) {
  const seconds = Math.ceil(left / 1000);
  const two = (number) => String(number).padStart(2, "0");
  const clock = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(":");
  const days = Math.floor(seconds / 86_400);
  return days ? `${t("days", { n: days })} ${clock}` : clock;
}

/** Put the visitor's own zone in the place of UTC. Countdowns are written by those who count. */
export function localiseTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]:not([role])")) {
    time.title = time.textContent;
    time.textContent = long.format(new Date(time.dateTime));
  }
}

/** A function that says how long it is until a moment, at a few points before it. */
export function announcer(key) {
  let before = null;
  return (left) => {
    const passed = before === null ? undefined : ANNOUNCED_AT.find((point) => before > point && left <= point);
    before = left;
    if (passed === undefined) return;
    const time = passed >= MINUTE ? t("said.minutes", { n: passed / MINUTE }) : t("said.seconds", { n: passed / 1000 });
    say(t(key, { time }));
  };
}
