import { limitsKnownKey } from './channels.ts';
import { redisScript, type ScriptClient } from './script.ts';

/**
 * What the caller knows of what was granted in the present minute before.
 *
 * - `nothing`: it has only just begun
 * - `earlier`: something may have been granted; a Redis that says nothing of it has forgotten it
 * - `lost`: Redis lacks some of what it had granted
 */
export type KnownOfLimits = 'nothing' | 'earlier' | 'lost';

/**
 * Notes which server knows of all that was granted. Where that is gone, is another server than before, or lacks something, what
 * was granted of the present minute is known to nobody: limits of minutes are granted from the next one on.
 *
 * KEYS {@link limitsKnownKey}; ARGV what the caller knows, time unless that is Redis's own. Returns the time and from when on.
 */
const noteLimitsKnown = redisScript(`
local time = redis.call('TIME')
local now = tonumber(ARGV[2]) or time[1] * 1000 + math.floor(time[2] / 1000)
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local known = redis.call('HMGET', KEYS[1], 'run', 'from')
local from = tonumber(known[2] or '0')
local isGone = not known[1] and ARGV[1] ~= 'nothing'
local isOther = known[1] and known[1] ~= run
if isGone or isOther or ARGV[1] == 'lost' then from = math.max(from, now - now % 60000 + 60000) end
redis.call('HSET', KEYS[1], 'run', run, 'from', string.format('%.0f', from))
return {now, from}`);

/**
 * From when on Redis may grant limits of minutes; nothing was lost where that is over.
 *
 * @param nowMs - the time, where it is not Redis's own
 * @returns the time of Redis, and from when on, both in milliseconds since the epoch
 */
export async function limitsKnownFrom(
  client: ScriptClient,
  known: KnownOfLimits,
  nowMs?: number,
): Promise<[nowMs: number, fromMs: number]> {
  const [now, from] = (await noteLimitsKnown(
    client,
    [limitsKnownKey],
    [known, nowMs ?? ''],
  )) as number[];
  return [Number(now), Number(from)];
}
