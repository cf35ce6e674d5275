// Every text of the console, by its key: [English, Chinese].
import audit from "./audit.js";
import common from "./common.js";
import live from "./live.js";
import offers from "./offers.js";
import orders from "./orders.js";
import problems from "./problems.js";
import report from "./report.js";
import sales from "./sales.js";
import webhooks from "./webhooks.js";

export const PARTS = { audit, common, live, offers, orders, problems, report, sales, webhooks };
export const TEXTS = Object.assign({}, ...Object.values(PARTS));
