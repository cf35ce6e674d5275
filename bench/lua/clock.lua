-- Microseconds of a clock that only goes forward.
local ffi = require 'ffi'
ffi.cdef [[
    struct bench_timespec { long seconds; long nanoseconds; };
    int clock_gettime(int clock, struct bench_timespec *now);
]]
local MONOTONIC = 1
local now = ffi.new('struct bench_timespec')

return function()
    ffi.C.clock_gettime(MONOTONIC, now)
    return tonumber(now.seconds) * 1e6 + tonumber(now.nanoseconds) / 1e3
end
