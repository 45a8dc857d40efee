import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { verify } from '../../src/store/audit.ts';
import { StoreUnavailableError } from '../../src/store/entities.ts';
import { createSqliteSnapshot, createSqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { keyDocument, usageRecord } from './documents.ts';
import { describeKills } from './kill-conformance.ts';
import { laterSchema } from './later-schema.ts';
import { describeStore } from './store-conformance.ts';

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'aigateway-sqlite-'));
}

async function create(prepare: (path: string) => Promise<void>) {
  const folder = newFolder();
  const path = join(folder, 'store.sqlite');
  await prepare(path);
  const store = await createSqliteStore({ path });
  return {
    store,
    another: () => createSqliteStore({ path }),
    dump: () =>
      Promise.resolve(
        readdirSync(folder)
          .map((file) => readFileSync(join(folder, file), 'latin1'))
          .join('\n'),
      ),
    close: async () => {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describeStore('SQLite', () => create(() => Promise.resolve()));

describeStore(
  'SQLite with the schema of a later release',
  () =>
    create(async (path) => {
      await (await createSqliteStore({ path })).close();
      const database = new DatabaseSync(path);
      const tables = database.prepare(`select name from sqlite_schema where type = 'table'`).all();
      database.exec(laterSchema(tables.map(({ name }) => String(name))).join('; '));
      database.close();
    }),
  { runs: 5 },
);

describeKills('SQLite', () => {
  const folder = newFolder();
  return Promise.resolve({
    place: join(folder, 'store.sqlite'),
    close: () => {
      rmSync(folder, { recursive: true, force: true });
      return Promise.resolve();
    },
  });
});

describe('SQLite', () => {
  it('keeps its files to their owner', async () => {
    const folder = newFolder();
    const path = join(folder, 'new', 'store.sqlite');
    try {
      const store = await createSqliteStore({ path });
      await store.entities.write([{ kind: 'key', id: 'a', document: keyDocument('a') }]);
      const modes = ['', 'store.sqlite', 'store.sqlite-wal', 'store.sqlite-shm'].map((file) =>
        (statSync(join(folder, 'new', file)).mode & 0o777).toString(8),
      );
      expect(modes).toEqual(['700', '600', '600', '600']);
      await store.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('is unavailable when the file is something else or cannot be made', async () => {
    const folder = newFolder();
    try {
      const path = join(folder, 'text');
      writeFileSync(path, 'no database, but long enough to be looked at. '.repeat(100));
      await expect(createSqliteStore({ path })).rejects.toThrow(StoreUnavailableError);
      await expect(createSqliteStore({ path: join(path, 'below') })).rejects.toThrow(
        StoreUnavailableError,
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('brings a file to its schema by whole steps, whoever else opens it, and keeps what is in it', async () => {
    const folder = newFolder();
    const path = join(folder, 'store.sqlite');
    const asDatabase = (work: (database: DatabaseSync) => void): void => {
      const database = new DatabaseSync(path);
      work(database);
      database.close();
    };
    try {
      // The first step has made most of its tables when it comes to this one, and fails.
      asDatabase((database) => database.exec('create table audit_head (id integer)'));
      await expect(createSqliteStore({ path })).rejects.toThrow('audit_head');
      asDatabase((database) => database.exec('drop table audit_head'));
      const stores = await Promise.all(
        Array.from({ length: 3 }, () => createSqliteStore({ path })),
      );
      await stores[0]?.entities.write([{ kind: 'key', id: 'a', document: keyDocument('a') }]);
      await Promise.all(stores.map((store) => store.close()));

      // As a release left it that knew the first step only; and one of a release to come.
      asDatabase((database) =>
        database.exec(
          `drop table usage_correction; delete from schema_migration where id > 1;
           insert into schema_migration values (9999, 'later', 1);
           alter table entity add column later text; create table later (id text)`,
        ),
      );
      const store = await createSqliteStore({ path });
      expect((await store.entities.get('key', 'a'))?.document).toEqual(keyDocument('a'));
      const corrections = [1, 2].map((sequence) => ({
        sequence,
        record: usageRecord({ corrects: 'once' }),
      }));
      await store.ledger.append('a', corrections);
      const spend = await store.ledger.spend({ dimension: 'key', ids: ['key-1'] });
      expect(spend).toEqual(new Map([['key-1', 1_000]]));
      await store.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('drops a day while a backup is under way, which goes on as it began', async () => {
    const folder = newFolder();
    const path = join(folder, 'store.sqlite');
    const store = await createSqliteStore({ path });
    try {
      await store.ledger.append('kept', [{ sequence: 1, record: usageRecord() }]);
      const backup = await createSqliteSnapshot({ path });
      try {
        expect(await store.ledger.dropOldestLogs('2026-11-27')).toBe('2026-11-26');
        expect((await store.ledger.logs({ limit: 10 })).rows).toEqual([]);
        expect((await backup.ledger.logs({ limit: 10 })).rows).toEqual([usageRecord()]);
      } finally {
        await backup.close();
      }
    } finally {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('finishes what was asked of it before it closes', async () => {
    const folder = newFolder();
    const path = join(folder, 'store.sqlite');
    try {
      const store = await createSqliteStore({ path });
      const record = usageRecord({ keyId: 'closing' });
      await store.ledger.append('closing', [{ sequence: 1, record }]);
      const appended = Array.from({ length: 600 }, (_, at) =>
        store.ledger.append(`closing-${at}`, [{ sequence: 1, record }]),
      );
      await store.close();
      expect(await Promise.all(appended)).toEqual(appended.map(() => 1));
      const later = await createSqliteStore({ path });
      const spend = await later.ledger.spend({ dimension: 'key', ids: ['closing'] });
      expect(spend).toEqual(new Map([['closing', 601_000]]));
      await later.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('fails one of many calls that are one commit without harm to the others', async () => {
    const store = await createSqliteStore({ path: ':memory:' });
    try {
      const results = await Promise.allSettled(
        Array.from({ length: 100 }, (_, at) => {
          const id = `key-${at}`;
          const document = keyDocument(id, { key_alias: at % 2 === 0 ? 'same' : id });
          return store.entities.write([
            { kind: 'key', id, document },
            { kind: 'key', id: `${id}-b`, document: keyDocument(`${id}-b`, { team_id: 'b' }) },
          ]);
        }),
      );
      const made = results.filter(({ status }) => status === 'fulfilled');
      expect(made).toHaveLength(51);
      expect(await store.entities.count('key', { team_id: 'b' })).toBe(51);
    } finally {
      await store.close();
    }
  });

  it('has all or nothing of each write when the process is killed', async () => {
    const folder = newFolder();
    const path = join(folder, 'store.sqlite');
    try {
      // More than one start, so that a later one finds what an earlier left behind.
      let reported = 0;
      for (let kill = 0; kill < 2; kill += 1) {
        const child = spawn(
          process.execPath,
          [join(import.meta.dirname, 'endless-writer.ts'), path],
          { stdio: ['ignore', 'pipe', 'inherit'] },
        );
        let text = '';
        child.stdout.on('data', (chunk: Buffer) => {
          text += String(chunk);
          if (text.split('\n').length > 20) child.kill('SIGKILL');
        });
        await once(child, 'close');
        reported = Number(text.split('\n').at(-2));
      }
      const store = await createSqliteStore({ path });
      const mark = await store.ledger.mark('writer');
      expect(mark).toBeGreaterThanOrEqual(reported);
      const spend = await store.ledger.spend({ dimension: 'key', ids: ['endless'] });
      expect(spend).toEqual(new Map([['endless', mark]]));
      const [day] = await store.ledger.activity({
        dimension: 'key',
        ids: ['endless'],
        fromDay: '2026-11-26',
        toDay: '2026-11-26',
      });
      expect(day?.sums.requests).toBe(mark);
      expect((await store.entities.count('key')) % 2).toBe(0);
      expect(await verify(store.audit)).toMatchObject({ intact: true });
      await store.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
