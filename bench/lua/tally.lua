-- Counts answers by status and problem code, and times them in classes 2 % wide. Prints all of it as JSON.
local now = require 'clock'
local M = {}

local CLASSES = 1 / math.log(1.02)

function M.count(counts, name)
    counts[name] = (counts[name] or 0) + 1
end

-- The class of a time in microseconds.
function M.class(microseconds)
    return math.floor(math.log(math.max(microseconds, 1)) * CLASSES)
end

-- The name under which an answer is counted: its status, and the code where there is a problem.
function M.name(status, body)
    if status < 400 then return tostring(status) end
    local code = body and body:match('"code": ?"([a-z_]+)"')
    return code and status .. ' ' .. code or tostring(status)
end

function M.add(sum, more)
    for name, count in pairs(more or {}) do sum[name] = (sum[name] or 0) + count end
    return sum
end

-- Counts an answer, and times it from the moment that it brings back in X-Request-ID, if there is one.
function M.answer(codes, classes, status, headers, body)
    M.count(codes, M.name(status, body))
    local since = tonumber(headers['x-request-id'] or headers['X-Request-ID'])
    if since then M.count(classes, M.class(now() - since)) end
end

-- p50, p95, p99 and max of a table from class to count, in microseconds.
function M.percentiles(classes)
    local order, total = {}, 0
    for class, count in pairs(classes) do
        order[#order + 1] = class
        total = total + count
    end
    if total == 0 then return nil end
    table.sort(order)
    local function at(share)
        local seen = 0
        for _, class in ipairs(order) do
            seen = seen + classes[class]
            if seen >= share * total then return math.exp((class + 0.5) / CLASSES) end
        end
    end
    return { p50 = at(0.5), p95 = at(0.95), p99 = at(0.99), max = at(1) }
end

local function encoded(value)
    if type(value) == 'table' then
        local parts = {}
        for name, part in pairs(value) do parts[#parts + 1] = string.format('"%s":%s', name, encoded(part)) end
        return '{' .. table.concat(parts, ',') .. '}'
    elseif type(value) == 'number' then
        return string.format('%.3f', value)
    end
    return '"' .. tostring(value) .. '"'
end

function M.print(result)
    io.write('RESULT ', encoded(result), '\n')
end

-- What wrk itself has counted. Its percentiles are corrected, by wrk, for requests that waited to be sent.
function M.from_wrk(summary, latency)
    local e = summary.errors
    return {
        microseconds = summary.duration,
        answered = summary.requests,
        not_ok = e.status,
        socket_errors = e.connect + e.read + e.write,
        timeouts = e.timeout,
        wrk_latency = {
            p50 = latency:percentile(50), p95 = latency:percentile(95), p99 = latency:percentile(99), max = latency.max,
        },
    }
end

return M
