import { standingChangesKey } from '@aigateway/contract/channels';
import {
  rememberedChanges,
  standingChange,
  type StandingChange,
  type StandingChanges,
} from '@aigateway/contract/standing-changes';
import type { Cluster, Redis } from 'ioredis';

/** Nobody looks further back. */
const lifeSeconds = 7 * 86_400;

/**
 * What all processes saw that share a Redis. While it is away each tells its own, and the others once it is back.
 *
 * @param redis - does not queue commands while it is not connected; not closed here
 */
export function createRedisStandingChanges(redis: Redis | Cluster): StandingChanges {
  const own: StandingChange[] = [];
  const waiting: StandingChange[] = [];
  let sending: Promise<void> | undefined;

  const sendAll = async (): Promise<void> => {
    for (let [next] = waiting; next !== undefined; [next] = waiting) {
      const text = JSON.stringify(next);
      await redis.xadd(standingChangesKey, 'MAXLEN', '~', rememberedChanges, '*', 'change', text);
      // Not where it made room for a newer one meanwhile.
      if (waiting[0] === next) waiting.shift();
    }
    await redis.expire(standingChangesKey, lifeSeconds);
  };
  /** What does not arrive waits for the next time. */
  const send = (): Promise<void> => {
    sending ??= sendAll()
      .catch(() => undefined)
      .finally(() => {
        sending = undefined;
      });
    return sending;
  };

  return {
    tell(change) {
      for (const list of [own, waiting]) {
        list.push(change);
        if (list.length > rememberedChanges) list.shift();
      }
      void send();
    },
    async recent() {
      if (waiting.length > 0) await send();
      const entries = await redis
        .xrevrange(standingChangesKey, '+', '-', 'COUNT', rememberedChanges)
        .catch(() => []);
      // One whose answer was lost was sent twice, and what is this process's own is known already.
      const texts = new Set(own.map((change) => JSON.stringify(change)));
      for (const [, fields] of entries) texts.add(fields[1] ?? '');
      return [...texts]
        .flatMap(changeIn)
        .toSorted((one, other) => one.at - other.at)
        .slice(-rememberedChanges);
    },
  };
}

/** None where it is not one: whoever can write to Redis can write anything. */
function changeIn(text: string): StandingChange[] {
  try {
    return [standingChange.parse(JSON.parse(text))];
  } catch {
    return [];
  }
}
