-- A burst: `total` buyers, each with one request, an own token and an own key, over the connections there are.
--
-- Ends when all are answered. Times are from the first request sent. One thread only.
local requests, tally, now = require 'requests', require 'tally', require 'clock'
local ffi = require 'ffi'
ffi.cdef 'int getpid(void); int kill(int pid, int signal);'
local SIGINT = 2
local FOR_EVER = 3600 * 1000 -- milliseconds
local worker

function setup(thread)
    worker = thread
end

function init(args)
    local options = requests.options(args)
    local make = requests.maker(options)
    local admitted, waiting, answered, began = 0, 0, 0, nil
    codes, sent, last_sale, last_answer = {}, 0, 0, 0

    -- wrk cannot be told a number of requests; a connection that is not needed any more waits.
    delay = function()
        if admitted == options.total then return FOR_EVER end
        admitted = admitted + 1
        waiting = waiting + 1
        return 0
    end
    request = function()
        if waiting > 0 then
            waiting = waiting - 1
        elseif not began then
            return make() -- wrk's own look at a request, before the load
        end -- else one more, for a request whose connection broke
        began = began or now()
        sent = sent + 1
        return make()
    end
    response = function(status, headers, body)
        tally.count(codes, tally.name(status, body))
        answered = answered + 1
        last_answer = now() - began
        if status == 201 then last_sale = last_answer end
        if answered == options.total then
            -- wrk.thread:stop() ends the thread, but wrk itself sleeps until its time is up; Ctrl-C wakes it.
            wrk.thread:stop()
            ffi.C.kill(ffi.C.getpid(), SIGINT)
        end
    end
end

function done(summary, latency)
    local result = tally.from_wrk(summary, latency)
    result.sent, result.codes = worker:get('sent'), worker:get('codes')
    result.sold_out_after, result.answered_after = worker:get('last_sale'), worker:get('last_answer')
    tally.print(result)
end
