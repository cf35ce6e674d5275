export { SeckillError } from "./errors.js";
