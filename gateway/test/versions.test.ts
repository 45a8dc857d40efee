import {
  snapshotCatalogueKey,
  snapshotHashesKey,
  snapshotHeadKey,
  snapshotKeysKey,
  snapshotLogKey,
} from '@aigateway/contract/channels';
import { schemaVersion } from '@aigateway/contract/records';
import { SnapshotDigest, SnapshotSigner } from '@aigateway/contract/signing';
import type { Simulator } from '@aigateway/smoke/simulator/simulator';
import { hash } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../smoke/free-port.ts';
import { until } from '../../contract/test/until.ts';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';
import { chat, metric, post, ready } from './calls.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';
import { startAzureOfOneModel, writeConfigurationOfOneModel } from './one-model.ts';

const master = 'sk-master-0123456789abcdef';
const upstreamKey = 'an-upstream-key';
const root = 'a-root-secret-of-more-than-thirty-two-bytes';
const limitMs = 120_000;

/** A control plane of a later version: it writes what this one does not know, under the same root secret. */
class LaterControlPlane {
  readonly #redis: Redis;
  readonly #signer = new SnapshotSigner({ current: root });

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Publishes records in one step: each by its kind and name, `secret` being the key's that it is of. */
  async publish(
    version: number,
    records: readonly { kind: string; id: string; body: object; secret?: string }[],
  ): Promise<number> {
    const sealed = (await this.#redis.hget(snapshotHeadKey, 'sealed')) ?? '';
    const head = this.#signer.open(sealed);
    if (head === undefined) throw new Error('there is no head');
    const revision = head.revision + 1;
    const digest = SnapshotDigest.of(head);
    let { count } = head;
    const step = this.#redis.multi();
    for (const [place, { kind, id, body, secret }] of records.entries()) {
      const before = await this.#revisionOf(kind, id, head.generation);
      if (before > 0) digest.toggle(kind, id, before);
      else if (kind !== 'catalogue') count += 1;
      digest.toggle(kind, id, revision);
      const record = { schemaVersion: version, revision, body: JSON.stringify(body) };
      const text = this.#signer.sign(kind, id, record);
      if (kind === 'catalogue') step.set(snapshotCatalogueKey(head.generation), text);
      else step.hset(snapshotKeysKey(head.generation), id, text);
      if (secret !== undefined)
        step.hset(snapshotHashesKey(head.generation), hash('sha256', secret), id);
      step.xadd(snapshotLogKey, `${revision}-${place}`, 'kind', kind, 'id', id, 'before', before);
    }
    const next = {
      ...head,
      schemaVersion: version,
      revision,
      count,
      digest: digest.toString(),
      at: head.at + 1,
      ofALaterVersion: { any: ['thing'] },
    };
    step.hset(snapshotHeadKey, 'sealed', this.#signer.seal(next), 'revision', revision);
    await step.exec();
    return revision;
  }

  async catalogue(): Promise<object> {
    const generation = Number(await this.#redis.hget(snapshotHeadKey, 'generation'));
    const text = (await this.#redis.get(snapshotCatalogueKey(generation))) ?? '';
    return JSON.parse(this.#signer.verify('catalogue', '', text)?.body ?? '') as object;
  }

  async #revisionOf(kind: string, id: string, generation: number): Promise<number> {
    const text =
      kind === 'catalogue'
        ? await this.#redis.get(snapshotCatalogueKey(generation))
        : await this.#redis.hget(snapshotKeysKey(generation), id);
    return text === null ? 0 : (this.#signer.verify(kind, id, text)?.revision ?? 0);
  }
}

describe.skipIf(!hasRedisServer)(
  'a proxy whose control plane is of a later version',
  { timeout: limitMs },
  () => {
    let simulator: Simulator;
    let redis: RedisServer;
    let client: Redis;
    let later: LaterControlPlane;
    let opsPort: number;
    let proxy: GatewayProcess;
    let url: string;
    let oldKey: string;
    const started: GatewayProcess[] = [];

    function start(args: string[], more: Record<string, string> = {}, folder = newFolder()) {
      const gateway = new GatewayProcess(
        ['--port', '0', ...args],
        {
          AIGATEWAY_SECRET: root,
          LITELLM_MASTER_KEY: master,
          REDIS_URL: redis.url,
          AIGATEWAY_STOP_DELAY: '0',
          HOST: '127.0.0.1',
          ...more,
        },
        folder,
      );
      started.push(gateway);
      return gateway;
    }

    beforeAll(async () => {
      if (!hasRedisServer) return;
      simulator = await startAzureOfOneModel(upstreamKey);
      redis = await startRedis();
      client = new Redis(redis.url);
      later = new LaterControlPlane(client);
      const folder = newFolder();
      writeConfigurationOfOneModel(folder, simulator, upstreamKey);
      const control = start(['--role', 'control-plane', '--config', 'config.yaml'], {}, folder);
      const api = await control.url();
      const made = await post(api, '/key/generate', master, {});
      ({ key: oldKey } = (await made.json()) as { key: string });
      // From here on the later version is in charge.
      control.child.kill('SIGTERM');
      await control.ended();
      opsPort = await freePort();
      proxy = start(['--role', 'proxy'], { AIGATEWAY_OPS_PORT: String(opsPort) });
      url = await proxy.url();
      await ready(url);
    }, limitMs);
    afterAll(async () => {
      await Promise.all(started.map((gateway) => gateway.stop()));
      client?.disconnect();
      await redis?.stop();
      await simulator?.close();
    });

    function laterKey(keyId: string, secret: string) {
      const body = {
        keyId,
        secrets: [{ hash: hash('sha256', secret), ofALaterVersion: true }],
        role: 'model',
        ownerId: keyId,
        models: [],
        aliases: {},
        routes: [],
        blocked: false,
        scopes: [
          { kind: 'api_key', id: keyId, label: keyId, limits: { ofALaterVersion: 1 }, more: {} },
        ],
        modelLimits: {},
        tags: [],
        regions: [],
        ofALaterVersion: { nested: [1] },
      };
      return { kind: 'key', id: keyId, body, secret };
    }

    const inForce = () => metric(opsPort, 'snapshot_revision');

    it('reads past members and kinds of records that it does not know, also of the next schema, and starts from them', async () => {
      const secret = 'sk-of-the-next-version-0123456789';
      const revision = await later.publish(schemaVersion + 1, [
        laterKey('later', secret),
        { kind: 'guardrail', id: '\u0001guardrail:pii', body: { anything: true } },
        { kind: 'catalogue', id: '', body: { ...(await later.catalogue()), ofALaterVersion: [1] } },
      ]);
      await until(inForce, (found) => found === revision);
      expect((await chat(url, secret)).status).toBe(200);
      expect((await chat(url, oldKey)).status).toBe(200);
      const changed = await later.publish(schemaVersion + 1, [
        { kind: 'guardrail', id: '\u0001guardrail:pii', body: { anything: false } },
      ]);
      await until(inForce, (found) => found === changed);
      expect(await metric(opsPort, 'snapshot_refused_total')).toBe(0);

      // One that reads everything, and then from its disk alone.
      const fresh = start(['--role', 'proxy']);
      await ready(await fresh.url());
      expect((await chat(await fresh.url(), secret)).status).toBe(200);
      fresh.child.kill('SIGTERM');
      await fresh.ended();
      const again = start(
        ['--role', 'proxy'],
        { REDIS_URL: `redis://127.0.0.1:${await freePort()}` },
        fresh.folder,
      );
      await ready(await again.url());
      expect((await chat(await again.url(), secret)).status).toBe(200);
      await again.stop();
    });

    it('keeps what it has when the schema is none of its neighbours, says so, and is not ready where it has nothing', async () => {
      const before = await inForce();
      const secret = 'sk-of-a-far-version-0123456789';
      await later.publish(schemaVersion + 2, [laterKey('far', secret)]);
      await until(
        () => metric(opsPort, 'snapshot_refused_total'),
        (count) => count > 0,
      );
      expect(proxy.output).toContain('"reason":"unreadable"');
      expect(await inForce()).toBe(before);
      expect((await chat(url, oldKey)).status).toBe(200);
      const readiness = await fetch(`${url}/health/readiness`);
      expect(readiness.status).toBe(200);
      expect(await readiness.json()).toMatchObject({ snapshot: { revision: before } });
      // Unknown is not invalid.
      expect((await chat(url, secret)).status).toBe(503);

      const fresh = start(['--role', 'proxy']);
      const freshUrl = await fresh.url();
      await fresh.until(/"reason":"unreadable"/);
      const refused = await chat(freshUrl, oldKey);
      expect(refused.status).toBe(503);
      expect(await refused.json()).toMatchObject({ error: { code: 'not_ready' } });
      expect((await fetch(`${freshUrl}/health/readiness`)).status).toBe(503);
    });
  },
);
