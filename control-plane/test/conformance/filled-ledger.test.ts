import { DatabaseSync } from 'node:sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Ledger } from '../../src/store/ledger.ts';
import { createPostgresMigrator } from '../../src/store/postgres/postgres-migrator.ts';
import { createPostgresStore } from '../../src/store/postgres/postgres-store.ts';
import { createSqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { fillPostgres, fillSqlite, filledRecord, type Filling } from '../filled-ledger.ts';
import { postgresBinaries, startPostgres } from '../servers/postgres-server.ts';
import { dayMs, noon, usageRecord } from './documents.ts';

/*
 * What the figures of the store are measured on is made by the database itself, since taking millions of requests in lasts too long: it
 * holds what the intake would have made of them.
 */

const filling: Filling = {
  producer: 'filled',
  from: noon - (noon % dayMs),
  days: 2,
  requestsADay: 101,
  kinds: Array.from({ length: 12 }, (_, at) =>
    usageRecord({
      keyId: `key-${at % 6}`,
      // What JSON and SQL write otherwise.
      keyAlias: `"it's" \\ ${at}`,
      model: `model-${at % 4}`,
      outcome: at % 5 === 0 ? 'failed' : 'completed',
      ...(at % 2 === 0 && { teamId: 'team', userId: `user-${at % 3}`, tags: ['a', `b-${at}`] }),
      ...(at === 7 && { customerId: 'customer', deploymentId: undefined }),
      costNanoUsd: 10 ** (at % 4),
    }),
  ),
};

async function linesOf(ledger: Ledger): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of ledger.all()) lines.push(JSON.stringify(line));
  return lines.sort();
}

async function takeIn(ledger: Ledger): Promise<void> {
  const events = Array.from({ length: filling.days * filling.requestsADay }, (_, at) => ({
    sequence: at + 1,
    record: filledRecord(filling, at),
  }));
  await ledger.append(filling.producer, events);
}

describe.skipIf(!(await postgresBinaries()))('a ledger that PostgreSQL filled', () => {
  it('holds what the same requests leave that were taken in', async () => {
    const server = await startPostgres();
    try {
      const open = async () => {
        const connectionString = await server.createDatabase();
        const migrator = await createPostgresMigrator({ connectionString });
        await migrator.apply();
        await migrator.close();
        return { connectionString, store: await createPostgresStore({ connectionString }) };
      };
      const taken = await open();
      const filled = await open();
      await takeIn(taken.store.ledger);
      await fillPostgres(filled.connectionString, filling);
      const expected = await linesOf(taken.store.ledger);
      expect(expected.length).toBeGreaterThan(filling.days * filling.requestsADay);
      expect(await linesOf(filled.store.ledger)).toEqual(expected);
      await taken.store.close();
      await filled.store.close();
    } finally {
      await server.stop();
    }
  });
});

describe('a ledger that SQLite filled', () => {
  it('holds what the same requests leave that were taken in', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'aigateway-filled-'));
    const path = join(folder, 'store.db');
    const taken = await createSqliteStore({ path: ':memory:' });
    const filled = await createSqliteStore({ path });
    try {
      await takeIn(taken.ledger);
      const database = new DatabaseSync(path);
      fillSqlite(database, filling);
      database.close();
      const expected = await linesOf(taken.ledger);
      expect(expected.length).toBeGreaterThan(filling.days * filling.requestsADay);
      expect(await linesOf(filled.ledger)).toEqual(expected);
    } finally {
      await taken.close();
      await filled.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
