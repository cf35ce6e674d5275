-- An open load: request number n is due at n / rate seconds, whether or not earlier ones are answered.
--
-- A request is timed from the moment at which it was due, which travels in X-Request-ID and comes back. Where all
-- connections are busy it is sent late, and its lateness counts; one that is never sent before the end is counted apart.
-- One thread only: the schedule is one.
local requests, tally, now = require 'requests', require 'tally', require 'clock'
local worker

function setup(thread)
    worker = thread
end

function init(args)
    local options = requests.options(args)
    local make = requests.maker(options)
    local between = 1e6 / options.rate
    local began, taken = nil, 0
    local due, first, last = {}, 1, 0 -- the queue of those whose connection waits for its time
    codes, classes, sent, lateness = {}, {}, 0, {}

    -- wrk asks this before each request of a connection; milliseconds to wait.
    delay = function()
        local time = now()
        began = began or time
        last = last + 1
        due[last] = began + taken * between
        taken = taken + 1
        return math.max(0, math.floor((due[last] - time) / 1000 + 0.5))
    end
    request = function()
        if first > last then return make() end -- wrk's own look at a request, before the load
        local time = due[first]
        due[first] = nil
        first = first + 1
        sent = sent + 1
        tally.count(lateness, tally.class(now() - time))
        return make(string.format('X-Request-ID: %.0f\r\n', time))
    end
    response = function(status, headers, body)
        tally.answer(codes, classes, status, headers, body)
    end
end

function done(summary, latency)
    local result = tally.from_wrk(summary, latency)
    result.sent = worker:get('sent')
    result.codes = worker:get('codes')
    result.latency = tally.percentiles(worker:get('classes'))
    result.lateness = tally.percentiles(worker:get('lateness'))
    tally.print(result)
end
