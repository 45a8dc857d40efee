import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { currentSpend } from '../src/spend/current.ts';
import { createSpendKeeper } from '../src/spend/keeper.ts';
import { createSqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../src/store/store.ts';
import { dayMs, hourMs, noon, usageRecord } from './conformance/documents.ts';

let store: Store;
let nowMs: number;
let sequence: number;
let told: unknown[];
beforeEach(async () => {
  store = await createSqliteStore({ path: ':memory:' });
  nowMs = noon;
  sequence = 0;
  told = [];
});
afterEach(() => store.close());

function spend(costNanoUsd: number, keyId = 'k'): Promise<number> {
  sequence += 1;
  const record = usageRecord({ startedAt: nowMs, costNanoUsd, keyId });
  return store.ledger.append('p', [{ sequence, record }]);
}

const set = (toNanoUsd: number, id = 'k') =>
  createSpendKeeper({
    store,
    now: () => nowMs,
    tell: async (...setting) => void told.push(setting),
  }).reset('key', id, toNanoUsd);

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
    expect(told).toEqual([
      ['key', 'k', 0],
      ['key', 'k', 3],
    ]);
    await set(4, 'none');
    expect(await spent(noon, ['none'])).toEqual({ none: 4 });
  });

  it('leaves what was logged as it was', async () => {
    await spend(5);
    await set(0);
    expect(await store.ledger.spend({ dimension: 'key', ids: ['k'] })).toEqual(new Map([['k', 5]]));
  });
});
