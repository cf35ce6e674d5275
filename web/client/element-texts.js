// What the element says. Refusals are shown in the service's own words, which come in the same language.

const EN = {
  buy: "Buy",
  another: "Buy another",
  quantity: "Quantity",
  startsIn: "Starts in",
  endsIn: "Ends in",
  days: (days) => `${days} d `,
  left: (stock) => `${stock} left`,
  upcoming: "Not started yet",
  on_sale: "On sale",
  sold_out: "Sold out",
  paused: "Paused for a moment",
  ended: "Ended",
  soon: (time) => `The sale starts in ${time}.`,
  minutes: (count) => `${count} min`,
  seconds: (count) => `${count} s`,
  sending: "One moment: buying.",
  waiting: "Many want this right now. We keep trying; nothing is bought twice.",
  other_tab: "Another tab is buying this. Its result comes here too.",
  wait: (seconds) => `Again in ${seconds} s`,
  bought: (no) => `Bought. Order ${no}.`,
  payUntil: (time) => `Pay by ${time}.`,
  delivery: "Choose delivery and buy",
  unauthenticated: "Please sign in, then buy.",
  unsettled: "We could not find out whether you have bought it. Press again: it is never bought twice.",
  network_error: "The shop cannot be reached. Please try again.",
  offline: "You are offline. Please try again when you are back.",
  user_changed: "Another user has signed in meanwhile.",
};

const ZH = {
  buy: "抢购",
  another: "再买一件",
  quantity: "数量",
  startsIn: "距开始",
  endsIn: "距结束",
  days: (days) => `${days} 天 `,
  left: (stock) => `剩余 ${stock} 件`,
  upcoming: "尚未开始",
  on_sale: "抢购中",
  sold_out: "已售罄",
  paused: "暂停中",
  ended: "已结束",
  soon: (time) => `还有 ${time} 开始。`,
  minutes: (count) => `${count} 分钟`,
  seconds: (count) => `${count} 秒`,
  sending: "正在下单，请稍候。",
  waiting: "当前人数较多，正在为您重试，不会重复下单。",
  other_tab: "另一个标签页正在下单，结果会同步显示在这里。",
  wait: (seconds) => `${seconds} 秒后重试`,
  bought: (no) => `抢购成功，订单号 ${no}。`,
  payUntil: (time) => `请在 ${time} 前付款。`,
  delivery: "选择配送并购买",
  unauthenticated: "请先登录再购买。",
  unsettled: "暂时无法确认是否下单成功。请再次点击，不会重复下单。",
  network_error: "无法连接商店，请重试。",
  offline: "网络已断开，请恢复后重试。",
  user_changed: "期间已切换为其他用户。",
};

export function textsIn(language) {
  return /^zh\b/i.test(language) ? ZH : EN;
}

/** An amount of the currency's minor unit, such as 19900 for CN¥199.00. */
export function priceIn(language, currency, amount) {
  const format = new Intl.NumberFormat(language, { style: "currency", currency });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

/** What is left, in full seconds: `1 d 02:03:04`. */
export function countdown(left, texts) {
  const seconds = Math.ceil(left / 1000);
  const part = (unit, of) => String(Math.floor(seconds / unit) % of).padStart(2, "0");
  const days = Math.floor(seconds / 86400);
  return `${days ? texts.days(days) : ""}${part(3600, 24)}:${part(60, 60)}:${part(1, 60)}`;
}

// Seconds until the start at which a screen reader announces it: not each one.
const MARKS = [600, 300, 60, 30, 10];

/** What to announce now that `before` milliseconds have become `left`, or null. */
export function announcement(before, left, texts) {
  const passed = MARKS.find((seconds) => left <= seconds * 1000 && before > seconds * 1000);
  if (passed === undefined) return null;
  return texts.soon(passed >= 60 ? texts.minutes(passed / 60) : texts.seconds(passed));
}
