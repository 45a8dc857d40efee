import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { currentSpend } from '../src/spend/current.ts';
import { View } from '../src/http/view.ts';
import { StoreUnavailableError } from '../src/store/entities.ts';
import { SpendResets } from '../src/spend/resets.ts';
import { createSqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../src/store/store.ts';
import { startManagement } from './management.ts';
import { auditEntry, dayMs, hourMs, noon, usageRecord } from './conformance/documents.ts';

let store: Store;
let nowMs: number;
let sequence: number;
beforeEach(async () => {
  store = await createSqliteStore({ path: ':memory:' });
  nowMs = noon;
  sequence = 0;
});
afterEach(() => store.close());

function spend(costNanoUsd: number, keyId = 'k'): Promise<number> {
  sequence += 1;
  const record = usageRecord({ startedAt: nowMs, costNanoUsd, keyId });
  return store.ledger.append('p', [{ sequence, record }]);
}

async function set(toNanoUsd: number, id = 'k'): Promise<void> {
  const resets = new SpendResets();
  resets.reset('key', id, 1);
  resets.reset('key', id, toNanoUsd);
  const view = new View(store.entities);
  const changes = await resets.changes({ ledger: store.ledger, view, now: nowMs });
  await view.write(changes, () => auditEntry());
}

async function spent(fromMs?: number, ids = ['k']) {
  const findResets = async (resets: readonly string[]) =>
    new Map(
      (await store.entities.getMany('spend_reset', resets)).map(({ id, document }) => [
        id,
        document,
      ]),
    );
  return Object.fromEntries(
    await currentSpend({ ledger: store.ledger, findResets }, 'key', ids, fromMs),
  );
}

describe('spend that was set', () => {
  it('counts from there in every window that it was set in, and in none that began later', async () => {
    await spend(5);
    nowMs += hourMs;
    await spend(7);
    expect([await spent(), await spent(noon)]).toEqual([{ k: 12 }, { k: 12 }]);
    await set(2);
    expect([await spent(), await spent(noon)]).toEqual([{ k: 2 }, { k: 2 }]);
    await spend(10);
    expect([await spent(), await spent(noon), await spent(nowMs)]).toEqual([
      { k: 12 },
      { k: 12 },
      { k: 12 },
    ]);
    nowMs += dayMs;
    await spend(1);
    expect([await spent(), await spent(nowMs)]).toEqual([{ k: 13 }, { k: 1 }]);
  });

  it('is the last that it was set to, and nobody else’s', async () => {
    await spend(5);
    await spend(5, 'other');
    await set(0);
    await set(3);
    expect(await spent(undefined, ['k', 'other', 'none'])).toEqual({ k: 3, other: 5 });
    await set(4, 'none');
    expect(await spent(noon, ['none'])).toEqual({ none: 4 });
  });

  it('leaves what was logged as it was', async () => {
    await spend(5);
    await set(0);
    expect(await store.ledger.spend({ dimension: 'key', ids: ['k'] })).toEqual(new Map([['k', 5]]));
  });
});

describe('a reset over the API', () => {
  it('is written with its audit record or not at all, and counters are told only of what was written', async () => {
    let fails = true;
    await using api = await startManagement({
      store: (own) => ({
        ...own,
        entities: {
          ...own.entities,
          write: (changes, ...rest) =>
            fails && changes.some(({ kind }) => kind === 'spend_reset')
              ? Promise.reject(new StoreUnavailableError('away'))
              : own.entities.write(changes, ...rest),
        },
      }),
    });
    const { body } = await api.post('/key/generate', {});
    const reset = () => api.post(`/key/${body.token}/reset_spend`, { reset_to: 0 });
    const resets = () => api.store.entities.count('spend_reset');
    const records = () => api.store.audit.count({ action: 'reset_spend', objectId: body.key_id });
    const before = await records();
    expect((await reset()).status).toBe(503);
    expect([api.resets, await resets(), await records()]).toEqual([[], 0, before]);
    fails = false;
    expect((await reset()).status).toBe(200);
    expect(api.resets).toEqual([{ dimension: 'key', id: body.key_id, nanoUsd: 0 }]);
    expect([await resets(), await records()]).toEqual([1, before + 1]);
    const [record] = await api.store.audit.list({ limit: 1 });
    expect(Object.keys(record?.after ?? {})).toEqual([`spend_reset/key:${body.key_id}`]);
  });

  it('that counters cannot be told of is in force in the store, and the log says so', async () => {
    await using api = await startManagement({
      ports: { tellSpend: () => Promise.reject(new Error('Redis is away')) },
    });
    const { body } = await api.post('/key/generate', {});
    expect((await api.post(`/key/${body.token}/reset_spend`, { reset_to: 0 })).status).toBe(200);
    expect(await api.store.entities.count('spend_reset')).toBe(1);
    expect(api.faults).toHaveLength(1);
  });
});
