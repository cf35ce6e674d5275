-- One purchase, atomic because Redis runs one script at a time.
-- KEYS: the item, what its buyers hold, the order under the buyer's key, the queue of orders.
-- ARGV: user, quantity, fingerprint, the order as JSON without what only the item knows.
-- Returns a code and, where there is one, the order.
local earlier = redis.call('HMGET', KEYS[3], 'fingerprint', 'order')
if earlier[1] then
    if earlier[1] ~= ARGV[3] then return {'idempotency_key_reused', ''} end
    return {'replayed', earlier[2]}
end
local goods = redis.call('HMGET', KEYS[1], 'stock', 'limit', 'name', 'currency', 'price')
if not goods[1] then return {'goods_not_found', ''} end
local quantity = tonumber(ARGV[2])
if tonumber(goods[1]) < quantity then return {'sold_out', ''} end
local held = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
if goods[2] ~= '' and held + quantity > tonumber(goods[2]) then return {'limit_reached', ''} end

local order = cjson.decode(ARGV[4])
order.goods_name, order.currency, order.unit_price = goods[3], goods[4], tonumber(goods[5])
order.total = order.unit_price * quantity
local json = cjson.encode(order)
redis.call('HINCRBY', KEYS[1], 'stock', -quantity)
redis.call('HINCRBY', KEYS[2], ARGV[1], quantity)
if KEYS[3] ~= '' then redis.call('HSET', KEYS[3], 'fingerprint', ARGV[3], 'order', json) end
redis.call('RPUSH', KEYS[4], json)
return {'placed', json}
