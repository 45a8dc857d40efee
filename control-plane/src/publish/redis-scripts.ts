import { redisScript } from '@aigateway/contract/script';

/**
 * Writes records: `apply(first argument, keys, hashes, catalogue, each)`, with for every record kind, id, text ('' = remove),
 * the revision it was at before (0 = new), and the hashes of secrets that go and that come, each list after its length.
 */
const apply = `
local function apply(at, keys, hashes, catalogue, each)
  local place = 0
  while at <= #ARGV do
    local kind, id, text = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    if kind == 'catalogue' then redis.call('SET', catalogue, text)
    elseif text == '' then redis.call('HDEL', keys, id)
    else redis.call('HSET', keys, id, text) end
    local before = ARGV[at + 3]
    at = at + 4
    local removed = tonumber(ARGV[at])
    for i = at + 1, at + removed do redis.call('HDEL', hashes, ARGV[i]) end
    at = at + removed + 1
    local added = tonumber(ARGV[at])
    for i = at + 1, at + added do redis.call('HSET', hashes, ARGV[i], id) end
    at = at + added + 1
    if each then each(place, kind, id, before) end
    place = place + 1
  end
end`;

/**
 * One step: records, log and head change together, or nothing does.
 *
 * KEYS head, log, keys, hashes, catalogue; ARGV sealed head as seen, sealed head to be, revision, generation, length of the
 * log, then records. Returns 1, or 0 when the head is no longer as it was seen.
 */
export const publish = redisScript(`${apply}
if (redis.call('HGET', KEYS[1], 'sealed') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'sealed', ARGV[2], 'revision', ARGV[3], 'generation', ARGV[4])
apply(6, KEYS[3], KEYS[4], KEYS[5], function(place, kind, id, before)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], ARGV[3] .. '-' .. place, 'kind', kind, 'id', id, 'before', before)
end)
return 1`);

/**
 * Writes records of a generation that is not in force yet, and keeps the lock.
 *
 * KEYS lock, keys, hashes, catalogue; ARGV token, lock in milliseconds, seconds until it expires unless it comes into
 * force, then records. Returns 1, or 0 when the lock was lost.
 */
export const write = redisScript(`${apply}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
apply(4, KEYS[2], KEYS[3], KEYS[4])
for i = 2, 4 do redis.call('EXPIRE', KEYS[i], ARGV[3]) end
return 1`);

/**
 * Puts a generation in force and drops the one before. The log begins anew: who reads it sees the gap.
 *
 * KEYS lock, head, log, the new keys, hashes, catalogue, the old ones; ARGV token, sealed head as seen, sealed head to be,
 * revision, generation. Returns 1, 0 when the head is no longer as it was seen. Fails when the lock was lost.
 */
export const switchGeneration = redisScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('LOCKLOST another publisher has begun') end
if (redis.call('HGET', KEYS[2], 'sealed') or '') ~= ARGV[2] then return 0 end
for i = 4, 6 do redis.call('PERSIST', KEYS[i]) end
redis.call('HSET', KEYS[2], 'sealed', ARGV[3], 'revision', ARGV[4], 'generation', ARGV[5])
redis.call('DEL', KEYS[3])
for i = 7, 9 do if KEYS[i] ~= KEYS[i - 3] then redis.call('UNLINK', KEYS[i]) end end
return 1`);

/** KEYS lock; ARGV token. */
export const unlock = redisScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`);
