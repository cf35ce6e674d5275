-- Makes the text of requests. Concatenation only: the generator shares two cores with what it measures.
--
-- Arguments, as name=value behind `--` on wrk's command line:
--   method  GET or POST         host    the Host header
--   first   id of the first item, items how many there are, their ids in a row
--   spread  one, even, turn or zipf: which item the next request is for
--   tokens  file with a token a line
--   key     none, new (another one for each request) or won (that of a buyer who has bought: won-<number>)
--   users   how many of the tokens are used; turn by turn
--   run     what makes the keys of this run its own
--   body    of each purchase, in JSON
--   type    the Content-Type of it
--   header  one more header line, without its end

local M = {}

local ITEMS_DRAWN = 65536

function M.options(args)
    local options = {}
    for _, arg in ipairs(args) do
        local name, value = arg:match('^(%w+)=(.*)$')
        if name then options[name] = tonumber(value) or value end
    end
    return options
end

-- The items of the coming requests, drawn ahead.
local function drawn(options)
    local items, draws = options.items, {}
    if options.spread == 'turn' then
        for i = 0, items - 1 do draws[i] = i end
        return draws, items
    end
    math.randomseed(options.seed or 1)
    local below, total = {}, 0
    for rank = 1, items do
        total = total + (options.spread == 'zipf' and rank ^ -1.1 or 1)
        below[rank] = total
    end
    for i = 0, ITEMS_DRAWN - 1 do
        local at, low, high = math.random() * total, 1, items
        while low < high do
            local middle = math.floor((low + high) / 2)
            if below[middle] > at then high = middle else low = middle + 1 end
        end
        draws[i] = low - 1
    end
    return draws, ITEMS_DRAWN
end

-- A function that returns the text of the next request, with `extra` header lines (each with its end) in it.
function M.maker(options)
    local starts = {}
    local draws, length = drawn(options)
    local post = options.method ~= 'GET'
    for item = 0, options.items - 1 do
        starts[item] = string.format('%s /seckill/%d HTTP/1.1\r\nHost: %s\r\n%s%s', options.method, options.first + item,
            options.host, options.header and options.header .. '\r\n' or '',
            post and 'Content-Type: ' .. options.type .. '\r\nContent-Length: ' .. #options.body .. '\r\n' or '')
    end
    local number = -1
    if not post then
        return function(extra)
            number = number + 1
            return starts[draws[number % length]] .. (extra or '') .. '\r\n'
        end
    end

    local users = options.users
    local buyers, n = {}, 0
    for line in io.lines(options.tokens) do
        buyers[n] = 'Authorization: Bearer ' .. line .. '\r\n'
        n = n + 1
        if n == users then break end
    end
    local key = options.key
    local prefix = 'Idempotency-Key: ' .. (key == 'won' and 'won-' or options.run .. '-')
    local ending = '\r\n\r\n' .. options.body
    return function(extra)
        number = number + 1
        local head = starts[draws[number % length]] .. buyers[number % users] .. (extra or '')
        if key == 'none' then return head .. '\r\n' .. options.body end
        return head .. prefix .. (key == 'won' and number % users or number) .. ending
    end
end

return M
