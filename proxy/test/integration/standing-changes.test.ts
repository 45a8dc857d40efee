import { standingChangesKey } from '@aigateway/contract/channels';
import { rememberedChanges, type StandingChange } from '@aigateway/contract/standing-changes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryStandingChanges } from '../../src/stores/memory/standing-changes.ts';
import {
  connectRedis,
  parseRedisUrl,
  type RedisConnection,
} from '../../src/stores/redis/connection.ts';
import { createRedisStandingChanges } from '../../src/stores/redis/standing-changes.ts';
import { hasRedisServer, startRedis, type RedisServer } from '../servers/redis-server.ts';

const change = (at: number, seenBy = 'a/1'): StandingChange => ({
  deploymentId: 'd',
  model: 'm',
  at,
  healthy: false,
  reason: 'rate_limit',
  lastFailure: 'RateLimitError',
  seenBy,
});

it('changes in memory are the last thousand', async () => {
  const changes = new MemoryStandingChanges();
  for (let at = 0; at <= rememberedChanges; at += 1) changes.tell(change(at));
  const recent = await changes.recent();
  expect([recent.length, recent[0]?.at]).toEqual([rememberedChanges, 1]);
});

describe.skipIf(!hasRedisServer)('changes in Redis', () => {
  let server: RedisServer;
  let connections: RedisConnection[];

  beforeEach(async () => {
    server = await startRedis();
    connections = [];
  });
  afterEach(async () => {
    await Promise.all(connections.map((connection) => connection.close()));
    await server.stop();
  });

  async function connected() {
    const connection = await connectRedis({ ...parseRedisUrl(server.url), answerMs: 10_000 });
    connections.push(connection);
    await ready(connection);
    return connection.client;
  }

  it('are those of all, in the order of their times, from the last thousand on', async () => {
    const [one, other] = [
      createRedisStandingChanges(await connected()),
      createRedisStandingChanges(await connected()),
    ];
    one.tell(change(3));
    expect(await one.recent()).toEqual([change(3)]);
    other.tell(change(2, 'b/1'));
    expect(await other.recent()).toEqual([change(2, 'b/1'), change(3)]);
    expect(await one.recent()).toEqual([change(2, 'b/1'), change(3)]);
    for (let at = 10; at < 10 + rememberedChanges; at += 1) other.tell(change(at));
    await other.recent();
    const client = await connected();
    const recent = await createRedisStandingChanges(client).recent();
    expect([recent.length, recent[0]?.at]).toEqual([rememberedChanges, 10]);
    expect(await client.xlen(standingChangesKey)).toBeLessThan(2 * rememberedChanges);
    expect(await client.ttl(standingChangesKey)).toBeGreaterThan(0);
  });

  it('wait while Redis is away, and are known to the others once it is back', async () => {
    const client = await connected();
    const changes = createRedisStandingChanges(client);
    await server.stop();
    changes.tell(change(1));
    expect(await changes.recent()).toEqual([change(1)]);
    server = await startRedis({ port: server.port });
    await ready(connections[0] as RedisConnection);
    changes.tell(change(2));
    expect(await changes.recent()).toEqual([change(1), change(2)]);
    const others = createRedisStandingChanges(await connected());
    expect(await others.recent()).toEqual([change(1), change(2)]);
  });

  it('reach the others to the newest, also where the oldest is dropped while it is sent', async () => {
    const changes = createRedisStandingChanges(await connected());
    for (let at = 0; at <= rememberedChanges; at += 1) changes.tell(change(at));
    await changes.recent();
    const others = createRedisStandingChanges(await connected());
    expect((await others.recent()).at(-1)?.at).toBe(rememberedChanges);
  });

  it('leave out what somebody else wrote there', async () => {
    const client = await connected();
    const changes = createRedisStandingChanges(client);
    for (const text of ['no JSON', '{"at":1}', JSON.stringify({ ...change(1), at: 1e300 })]) {
      await client.xadd(standingChangesKey, '*', 'change', text);
    }
    changes.tell(change(2));
    expect(await changes.recent()).toEqual([change(2)]);
  });
});

async function ready({ client }: RedisConnection): Promise<void> {
  if (client.status !== 'ready')
    await new Promise<void>((resolve) => client.once('ready', () => resolve()));
}
