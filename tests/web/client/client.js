// The client under test: as it is written, or as it is served.

const at = process.env.SECKILL_CLIENT ?? new URL("../../../web/client/seckill.js", import.meta.url).href;

export const { createClient, SeckillError } = await import(at);
