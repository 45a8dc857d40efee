import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verify } from '../../src/store/audit.ts';
import { connect, type CosmosOptions } from '../../src/store/cosmos/connection.ts';
import { cosmosContainers, createCosmosContainers } from '../../src/store/cosmos/containers.ts';
import { cosmosLedger } from '../../src/store/cosmos/cosmos-ledger.ts';
import { createCosmosStore } from '../../src/store/cosmos/cosmos-store.ts';
import { itemsOf } from '../../src/store/cosmos/items.ts';
import { absent, StoreUnavailableError } from '../../src/store/entities.ts';
import { startCosmos, type CosmosRequest, type CosmosServer } from '../servers/cosmos-server.ts';
import { auditEntry, keyDocument, usageRecord } from './documents.ts';
import { describeKills } from './kill-conformance.ts';
import { describeStore } from './store-conformance.ts';

let server: CosmosServer;
beforeAll(async () => {
  server = await startCosmos();
});
afterAll(() => server.stop());

async function dump(options: CosmosOptions): Promise<string> {
  const client = await connect(options);
  try {
    const items = await Promise.all(
      ['management', 'usage'].map((name) =>
        client.database(options.database).container(name).items.readAll().fetchAll(),
      ),
    );
    return JSON.stringify(items.map(({ resources }) => resources));
  } finally {
    client.dispose();
  }
}

describeStore(
  'Cosmos DB',
  async () => {
    const options = await server.createDatabase();
    const store = await createCosmosStore(options);
    return {
      store,
      another: () => createCosmosStore(options),
      dump: () => dump(options),
      close: () => store.close(),
    };
  },
  { runs: 2 },
);

describeKills('Cosmos DB', async () => {
  const { endpoint, database } = await server.createDatabase();
  return { place: `${endpoint}/${database}`, close: () => Promise.resolve() };
});

describe('Cosmos DB', () => {
  it('says which containers are missing, and is unavailable without an account', async () => {
    const options = await server.createDatabase();
    await expect(createCosmosStore({ ...options, database: 'none' })).rejects.toThrow(
      /lacks the containers management, usage: make them with --migrate apply/,
    );
    const nowhere = createCosmosStore({ ...options, endpoint: 'https://127.0.0.1:1' });
    await expect(nowhere).rejects.toThrow(StoreUnavailableError);
  });

  it('gets the containers that are missing, and keeps those that are there', async () => {
    const options = { ...(await server.createDatabase()), database: 'containers-of-the-test' };
    const names = ['management', 'usage'];
    const there = async (): Promise<readonly string[]> =>
      (await cosmosContainers(options)).flatMap(({ name, isThere }) => (isThere ? [name] : []));
    expect(await there()).toEqual([]);
    expect(await createCosmosContainers(options)).toEqual(names);
    const store = await createCosmosStore(options);
    await store.entities.write([{ kind: 'key', id: 'kept', document: keyDocument('kept') }]);
    expect(await createCosmosContainers(options)).toEqual([]);
    expect(await there()).toEqual(names);
    expect(await store.entities.count('key')).toBe(1);
    await store.close();
  });

  it('is asked for no more than a change, a look or a batch of usage needs', async ({ skip }) => {
    const store = await createCosmosStore(await server.createDatabase());
    try {
      if (server.requests().length === 0) skip('the requests to a real account are not seen');
      const asked = async (
        work: Promise<unknown>,
      ): Promise<Partial<Record<CosmosRequest, number>>> => {
        await work;
        const counts: Partial<Record<CosmosRequest, number>> = {};
        for (const request of server.requests()) counts[request] = (counts[request] ?? 0) + 1;
        return counts;
      };
      const { entities, ledger, audit } = store;
      const document = keyDocument('a', { key_alias: 'alias', team_id: 'team' });
      const change = { kind: 'key' as const, id: 'a', document };
      // The head, the key that must not be there, its values; then the commit, the key and the record.
      expect(await asked(entities.write([{ ...change, expected: absent }], auditEntry()))).toEqual({
        read: 2,
        query: 1,
        replace: 1,
        create: 2,
      });
      expect(await asked(entities.write([change], auditEntry()))).toEqual({
        read: 2,
        replace: 2,
        create: 1,
      });
      expect(await asked(entities.get('key', 'a'))).toEqual({ read: 1 });
      expect(await asked(entities.getMany('key', ['a', 'b', 'c', 'd', 'e']))).toEqual({ query: 1 });
      expect(await asked(entities.find('key', { where: { team_id: 'team' }, limit: 50 }))).toEqual({
        query: 1,
      });
      expect(await asked(audit.list({ actor: 'admin', limit: 50 }))).toEqual({ read: 1, query: 1 });

      const events = Array.from({ length: 100 }, (_, at) => ({
        sequence: at + 1,
        record: usageRecord({
          keyId: `key-${at % 5}`,
          teamId: 'team',
          model: 'model',
          deploymentId: 'deployment',
        }),
      }));
      // Mark, day and batch; a read and a write for each id (also those of a key with a model, and of all), for the parts of the model and
      // the deployment, and for the overviews.
      const counts = await asked(ledger.append('producer', events));
      expect(counts.query ?? 0).toBe(0);
      expect(counts.create).toBeLessThanOrEqual(3 + 14 + 2 * 4 + 3 + 6);
      expect(counts.read).toBeLessThanOrEqual(3 + 14 + 2 * 4 + 3 + 6);
      expect(await asked(ledger.append('producer', events))).toEqual({ read: 1 });
      const range = { fromDay: '2026-11-01', toDay: '2026-11-30' };
      for (const report of [
        () => ledger.spend({ dimension: 'team', ids: ['team'] }),
        () => ledger.activity({ dimension: 'team', ids: ['team'], by: 'model', ...range }),
        () => ledger.activity({ dimension: 'key', ...range }),
      ]) {
        expect(await asked(report())).toEqual({ query: 1 });
      }
      expect(await asked(ledger.logs({ limit: 10, keyId: 'key-1' }))).toEqual({ query: 2 });
      // The days, what the day has before and after, and its one batch and itself.
      expect(await asked(ledger.dropOldestLogs('2026-11-27'))).toEqual({ query: 3, delete: 2 });
      expect(await asked(ledger.dropOldestLogs('2026-11-27'))).toEqual({ query: 1 });
    } finally {
      await store.close();
    }
  });

  it('finds usage again that came to a day while another process dropped it', async () => {
    const options = await server.createDatabase();
    const client = await connect(options);
    try {
      const container = client.database(options.database).container('usage');
      const items = itemsOf(container, () => false);
      const { port: ledger } = cosmosLedger(items);
      const late = (sequence: number) => [
        { sequence, record: usageRecord({ requestId: `late-${sequence}` }) },
      ];
      const requests = async () =>
        (await ledger.logs({ limit: 10 })).rows.map(({ requestId }) => requestId);
      const before = '2026-11-27';

      // It saw the day just before that went.
      await ledger.append('late', late(1));
      const dropping = cosmosLedger({
        ...items,
        async remove(pk, id) {
          if (pk === 'days') await ledger.append('late', late(2));
          return items.remove(pk, id);
        },
      });
      expect(await dropping.port.dropOldestLogs(before)).toBe('2026-11-26');
      expect(await requests()).toEqual(['late-2']);

      // It came when nobody looked for more.
      const appending = cosmosLedger({
        ...items,
        async create(item) {
          if (item.pk.startsWith('records:'))
            expect(await ledger.dropOldestLogs(before)).toBe('2026-11-26');
          return items.create(item);
        },
      });
      expect(await appending.port.append('late', late(3))).toBe(3);
      expect(await requests()).toEqual(['late-3']);
      expect(await ledger.spend({ dimension: 'all', ids: ['all'] })).toEqual(
        new Map([['all', 3_000]]),
      );
      expect(await ledger.dropOldestLogs(before)).toBe('2026-11-26');
      expect(await dump(options)).not.toContain('late-3');
    } finally {
      client.dispose();
    }
  });

  it('goes on with a day that was dropped in part', async () => {
    const options = await server.createDatabase();
    const client = await connect(options);
    try {
      const items = itemsOf(client.database(options.database).container('usage'), () => false);
      const { port: ledger } = cosmosLedger(items);
      for (const producer of ['one', 'other', 'third']) {
        await ledger.append(producer, [{ sequence: 1, record: usageRecord() }]);
      }
      let removed = 0;
      const breaking = cosmosLedger({
        ...items,
        remove(pk, id) {
          removed += 1;
          if (removed === 2) return Promise.reject(new StoreUnavailableError('away'));
          return items.remove(pk, id);
        },
      });
      const before = '2026-11-27';
      await expect(breaking.port.dropOldestLogs(before)).rejects.toThrow('away');
      expect((await ledger.logs({ limit: 10 })).rows).toHaveLength(2);
      expect(await ledger.dropOldestLogs(before)).toBe('2026-11-26');
      expect(await ledger.dropOldestLogs(before)).toBeUndefined();
      expect(await dump(options)).not.toContain('"pk":"records:');
      expect(await ledger.spend({ dimension: 'all', ids: ['all'] })).toEqual(
        new Map([['all', 3_000]]),
      );
    } finally {
      client.dispose();
    }
  });

  it('finishes what a process that ended had only begun', async () => {
    const options = await server.createDatabase();
    const open = await createCosmosStore({ ...options, recoveryMs: 20 });
    try {
      // What such a process leaves: the head, and nothing of what it says.
      const client = await connect(options);
      const management = client.database(options.database).container('management');
      await open.entities.write(
        [{ kind: 'key', id: 'begun', document: keyDocument('begun') }],
        auditEntry(),
      );
      const [{ resource: head }, { resource: key }, { resource: record }] = await Promise.all([
        management.item('head', 'management').read(),
        management.item('key:begun', 'management').read(),
        management.item('000000000000001', 'audit-0').read(),
      ]);
      await Promise.all([
        management.item(key.id, key.pk).delete(),
        management.item(record.id, record.pk).delete(),
      ]);
      await management.item('head', 'management').replace({ ...head, commit: head.commit + 1 });
      // Somebody looks after it, whatever is asked for.
      while (!(await open.entities.get('key', 'begun')));
      expect(await verify(open.audit)).toMatchObject({ intact: true, newest: { sequence: 1 } });
      client.dispose();
    } finally {
      await open.close();
    }
  });
});
