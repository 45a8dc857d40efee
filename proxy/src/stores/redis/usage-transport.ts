import { usageProducersKey, usageStreamKey } from '@aigateway/contract/channels';
import { redisScript } from '@aigateway/contract/script';
import type { RootSecrets } from '@aigateway/contract/signing';
import type { UsageTransport } from '@aigateway/contract/usage';
import { UsageSigner } from '@aigateway/contract/usage-signing';
import type { Cluster, Redis } from 'ioredis';

export type RedisTransportOptions = {
  /** With a `commandTimeout`, or a dead server is noticed late. Not closed with the transport. */
  readonly redis: Redis | Cluster;
  /** What events are signed with. */
  readonly secret: RootSecrets;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Events of one producer that wait in Redis at most; the others wait on the producer's disk. Default 10 000. */
  readonly mostWaiting?: number;
};

/**
 * Takes in events that lead on from what is there. Their ids are their sequences, so that Redis itself knows which it has, also
 * after it lost some; and since only what is counted leaves the stream, it knows that too.
 *
 * KEYS stream; ARGV floor, most entries, then sequence, record and signature of each event. Returns taken, mark.
 */
const appendEvents = redisScript(`
local mark, taken, length = tonumber(ARGV[1]), tonumber(ARGV[1]), 0
local function sequence(id) return tonumber(string.match(id, '^%d+')) end
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info, reply = {}, redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #reply, 2 do info[reply[i]] = reply[i + 1] end
  length = info['length']
  taken = math.max(taken, sequence(info['last-generated-id']))
  local first = info['first-entry']
  mark = math.max(mark, first and sequence(first[1]) - 1 or taken)
end
for i = 3, #ARGV, 3 do
  local next = tonumber(ARGV[i])
  if next > taken then
    if next ~= taken + 1 or length >= tonumber(ARGV[2]) then break end
    redis.call('XADD', KEYS[1], ARGV[i] .. '-0', 'record', ARGV[i + 1], 'mac', ARGV[i + 2])
    taken = next
    length = length + 1
  end
end
return {taken, mark}`);

/** Takes events to the control planes through Redis: one stream for each producer. */
export function createRedisTransport(options: RedisTransportOptions): UsageTransport {
  const { redis, now = Date.now, mostWaiting = 10_000 } = options;
  const signer = new UsageSigner(options.secret);
  return {
    append: async (producer, events, floor) => {
      // Each time: what Redis has lost is known again by the next.
      await redis.zadd(usageProducersKey, now(), producer);
      const [taken = 0, mark = 0] = (await appendEvents(
        redis,
        [usageStreamKey(producer)],
        [
          floor,
          mostWaiting,
          ...events.flatMap(({ sequence, record }) => {
            const text = JSON.stringify(record);
            return [sequence, text, signer.sign(producer, sequence, text)];
          }),
        ],
      )) as number[];
      return { taken, mark };
    },
  };
}
