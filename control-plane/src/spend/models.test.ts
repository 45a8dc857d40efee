import { afterEach, beforeEach, expect, it } from 'vitest';
import { usageRecord } from '../../test/conformance/documents.ts';
import type { Store } from '../store/store.ts';
import { createSqliteStore } from '../store/sqlite/sqlite-store.ts';
import { spendOnModels } from './models.ts';

let store: Store;

beforeEach(async () => {
  store = await createSqliteStore({ path: ':memory:' });
  const calls: readonly (readonly [string, string, string, string, number])[] = [
    ['2026-11-10T08:00:00Z', 'one', 'search', 'gpt-4o', 1],
    ['2026-11-20T10:59:59Z', 'one', 'search', 'gpt-4o', 10],
    ['2026-11-20T11:00:00Z', 'one', 'search', 'gpt-4o', 100],
    ['2026-11-20T23:59:59Z', 'two', 'search', 'gpt-4o-mini', 1_000],
    ['2026-11-20T12:00:00Z', 'two', 'search', 'o3', 10_000],
    ['2026-11-20T12:00:00Z', 'three', 'other', 'gpt-4o', 100_000],
    ['2026-11-21T00:00:00Z', 'two', 'search', 'gpt-4o', 1_000_000],
    ['2026-11-22T09:00:00Z', 'one', 'search', 'gpt-5', 10_000_000],
  ];
  await store.ledger.append(
    'producer',
    calls.map(([at, keyId, teamId, model, costNanoUsd], index) => ({
      sequence: index + 1,
      record: usageRecord({ startedAt: Date.parse(at), keyId, teamId, model, costNanoUsd }),
    })),
  );
});
afterEach(() => store.close());

const spent = (start: string | undefined, prefix: string, now = '2026-11-22T12:00:00Z') =>
  spendOnModels(store.ledger, {
    owner: 'team',
    id: 'search',
    isMeant: (model) => model.startsWith(prefix),
    startMs: start === undefined ? undefined : Date.parse(start),
    nowMs: Date.parse(now),
  });

it.each([
  ['since the beginning', undefined, 11_001_111],
  ['since a day began', '2026-11-20T00:00:00Z', 11_001_110],
  ['since an hour of a day that is over', '2026-11-20T11:00:00Z', 11_001_100],
  ['since the last hour of one', '2026-11-20T23:00:00Z', 11_001_000],
  ['since an hour of a day without any', '2026-11-19T11:00:00Z', 11_001_110],
  ['since an hour of today', '2026-11-22T09:00:00Z', 10_000_000],
  ['since an hour after all', '2026-11-22T10:00:00Z', 0],
])('of an owner on some models, by all of its keys, %s', async (_, start, expected) => {
  expect(await spent(start, 'gpt-')).toBe(expected);
});

it('knows nothing of other owners, other models and times to come', async () => {
  expect(await spent(undefined, 'o3')).toBe(10_000);
  expect(await spent(undefined, 'claude')).toBe(0);
  expect(await spent('2026-11-23T11:00:00Z', 'gpt-')).toBe(0);
});

it('of a key that another owner had before on the same day is at most what the owner spent on that day', async () => {
  const record = usageRecord({
    startedAt: Date.parse('2026-11-20T13:00:00Z'),
    keyId: 'one',
    teamId: 'other',
    model: 'gpt-4o',
    costNanoUsd: 5,
  });
  await store.ledger.append('another', [{ sequence: 1, record }]);
  expect(await spent('2026-11-20T11:00:00Z', 'gpt-4o')).toBe(1_001_105);
  expect(await spent('2026-11-20T10:00:00Z', 'gpt-4o')).toBe(1_001_110);
});
