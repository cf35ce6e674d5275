-- A closed load: each connection sends its next request when the last one is answered.
--
-- With timed=1 every answer is looked at: counted by its code, and timed from the moment at which its request was
-- sent, which travels in X-Request-ID and comes back. That costs the generator some microseconds an answer; without
-- it wrk only tells answers below 400 from the others.
local requests, tally, now = require 'requests', require 'tally', require 'clock'
local threads = {}

function setup(thread)
    thread:set('number', #threads)
    threads[#threads + 1] = thread
end

function init(args)
    local options = requests.options(args)
    options.run = options.run .. '-' .. number
    local make = requests.maker(options)
    if options.timed ~= 1 then
        request = function() return make() end
        return
    end
    codes, classes = {}, {}
    request = function() return make(string.format('X-Request-ID: %.0f\r\n', now())) end
    response = function(status, headers, body)
        tally.answer(codes, classes, status, headers, body)
    end
end

function done(summary, latency)
    local result = tally.from_wrk(summary, latency)
    local codes, classes = {}, {}
    for _, thread in ipairs(threads) do
        tally.add(codes, thread:get('codes'))
        tally.add(classes, thread:get('classes'))
    end
    if next(codes) then
        result.codes, result.latency = codes, tally.percentiles(classes)
    end
    tally.print(result)
end
