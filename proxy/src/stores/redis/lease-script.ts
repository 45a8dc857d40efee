/** For each counter: kind, limit, start and end of the window as the caller has it, lease, need, need of others, spare, recent use, unit, when the spend was set. */
const argumentsPerCounter = 11;

/** Numbers in the answer: in front, and for each counter. */
export const answerHead = 3;
export const answerPerCounter = 8;

/**
 * Grants from the counters of one holder, all or none, and takes back what is no longer wanted.
 *
 * A proxy never says "add" or "subtract". It says how much of a window it holds from before (`lease`), and the script sets its
 * part to that plus what it grants. A lost answer, a late or a repeated call then does no harm, and a Redis that lost its
 * data learns it anew. The sequence keeps a call that was held up on its way from undoing a later one.
 *
 * Spend that was set (`limitSpendKey`, the first key) begins a budget's counter anew, also within its window: what proxies held of it
 * before belongs to what was replaced.
 *
 * Counters are `r` requests and `t` tokens of the minute, `b` a budget of a calendar window, `n` requests of a window that never ends, `g` slots, which belong to a proxy
 * until a time and have no window.
 *
 * Runs on Redis 6.2: no functions, no expiry of single fields.
 *
 * @see docs/decisions/0015-limits-are-leased-in-absolute-numbers.md for how much is leased
 */
export const leaseScript = `
local proxy, seq, live = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local take, slotMs = ARGV[5] == '1', tonumber(ARGV[6])
local time = redis.call('TIME')
local now = tonumber(ARGV[4]) or time[1] * 1000 + math.floor(time[2] / 1000)
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local never = 9007199254740991

local function text(number) return string.format('%.0f', number) end

local setAt, setTo
local function readSpend()
  if setAt then return end
  local spend = redis.call('HMGET', KEYS[1], 'at', 'amount')
  setAt, setTo = tonumber(spend[1] or '0'), tonumber(spend[2] or '0')
end

local counters, passes = {}, true
for i = 1, #KEYS - 1 do
  local key = KEYS[i + 1]
  local at = 6 + (i - 1) * ${argumentsPerCounter}
  local kind, limit = ARGV[at + 1], tonumber(ARGV[at + 2])
  local c = {
    key = key, kind = kind, limit = limit,
    base = tonumber(ARGV[at + 5]), need = tonumber(ARGV[at + 6]), also = tonumber(ARGV[at + 7]),
    spare = tonumber(ARGV[at + 8]), recent = tonumber(ARGV[at + 9]), unit = tonumber(ARGV[at + 10]),
    others = 0, known = 0, fresh = false, set = 0
  }
  if kind == 'g' then
    local fields = redis.call('HGETALL', key)
    for f = 1, #fields, 2 do
      local before, slots, ends = string.match(fields[f + 1], '^(%d+):(%d+):(%d+)$')
      if fields[f] == proxy then
        if tonumber(before) >= seq then return {now, 'stale'} end
        c.known = 1
      elseif tonumber(ends) <= now then
        redis.call('HDEL', key, fields[f])
      else
        c.others = c.others + slots
      end
    end
    c.start, c.ends = 0, now + slotMs
  else
    local stored = redis.call('HMGET', key, 'start', 'end', 'used', proxy, 'set')
    local start, ends = tonumber(stored[1] or ''), tonumber(stored[2] or '')
    local named, namedEnd, mine = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), 0
    -- A clock that steps back by less than two minutes does not hand a window out twice.
    if start and now < ends and start - now <= 120000 then
      local before, part = string.match(stored[4] or '', '^(%d+):(%d+)$')
      if before then
        if tonumber(before) >= seq then return {now, 'stale'} end
        c.known, mine = 1, tonumber(part)
      end
      c.start, c.ends, c.others = start, ends, stored[3] - mine
      c.set = tonumber(stored[5] or '0')
    else
      c.fresh = true
      if kind == 'b' or kind == 'n' then
        c.start, c.ends = named, namedEnd
        if now < c.start or now >= c.ends then return {now, 'window'} end
      else
        c.start = now - now % 60000
        c.ends = c.start + 60000
      end
    end
    if kind == 'b' then
      readSpend()
      if setAt > c.set and setAt >= c.start then
        c.fresh, c.others, c.set, mine = true, setTo, setAt, 0
      end
      if tonumber(ARGV[at + 11]) ~= c.set then
        c.base, c.spare, c.known = mine, 0, 1
        named = c.start
      end
    end
    -- What belongs to a window that is over is over with it; what belongs to one that lasts counts whatever its beginning.
    if named ~= c.start then
      if namedEnd > now then c.base = c.base + mine else c.base = mine end
    end
  end

  if take and limit then
    local used = c.others + c.base
    if kind == 'r' or kind == 'n' or kind == 'g' then
      if used + c.need > limit then passes = false end
    elseif kind == 't' or c.need > 0 then
      if used >= limit or (used > 0 and used + c.need > limit) then passes = false end
    end
  end
  counters[i] = c
end

local answer = {now, run, passes and 1 or 0}
for _, c in ipairs(counters) do
  local mine, singly = c.base, 1
  if c.limit then
    local spare = c.spare
    if take and passes then
      mine = mine + c.need
      local more = math.max(0, math.min(c.also, c.limit - c.others - mine))
      mine, spare = mine + more, spare + c.need + more
    end
    local rest = c.limit - c.others - mine
    if passes and c.limit >= 60 * c.unit and rest * 10 > c.limit then
      singly = 0
      mine = mine + math.max(0, math.min(math.floor(rest / (2 * live)), c.recent) - spare)
    end
  end

  if c.kind == 'g' then
    if mine > 0 then
      redis.call('HSET', c.key, proxy, text(seq) .. ':' .. text(mine) .. ':' .. text(c.ends))
      redis.call('PEXPIRE', c.key, text(slotMs))
    else
      redis.call('HDEL', c.key, proxy)
    end
  else
    if c.fresh then
      redis.call('DEL', c.key)
      redis.call('HSET', c.key, 'start', text(c.start), 'end', text(c.ends))
      if c.set > 0 then redis.call('HSET', c.key, 'set', text(c.set)) end
    end
    redis.call('HSET', c.key, 'used', text(c.others + mine), proxy, text(seq) .. ':' .. text(mine))
    if c.fresh and c.ends < never then
      redis.call('PEXPIRE', c.key, text(c.ends - now + 60000))
    end
  end
  for _, number in ipairs({c.start, c.ends, mine, c.base, c.others, singly, c.known, c.set}) do
    answer[#answer + 1] = number
  end
end
return answer
`;

/**
 * Takes an amount off what is granted of a budget, whoever it was granted to, if it was spent in the window that lasts and
 * since the spend was set.
 *
 * KEYS counter; ARGV amount, when it was spent, time unless that is Redis's own. Returns the time.
 */
export const refundScript = `
local time = redis.call('TIME')
local now = tonumber(ARGV[3]) or time[1] * 1000 + math.floor(time[2] / 1000)
local stored = redis.call('HMGET', KEYS[1], 'start', 'end', 'used', 'set')
local start, ends, used = tonumber(stored[1] or ''), tonumber(stored[2] or ''), tonumber(stored[3] or '')
if used and now < ends and tonumber(ARGV[2]) >= math.max(start, tonumber(stored[4] or '0')) then
  redis.call('HSET', KEYS[1], 'used', string.format('%.0f', math.max(0, used - ARGV[1])))
end
return {now}
`;

/** Says that a proxy is alive, and counts those that have said so of late. */
export const heartbeatScript = `
local time = redis.call('TIME')
local now = tonumber(ARGV[2]) or time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
return {now, run, redis.call('ZCARD', KEYS[1])}
`;
