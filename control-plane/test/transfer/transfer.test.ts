import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verify } from '../../src/store/audit.ts';
import { connect } from '../../src/store/cosmos/connection.ts';
import { createCosmosSnapshot, createCosmosStore } from '../../src/store/cosmos/cosmos-store.ts';
import { StoreChangedError } from '../../src/store/entities.ts';
import { createPostgresMigrator } from '../../src/store/postgres/postgres-migrator.ts';
import {
  createPostgresSnapshot,
  createPostgresStore,
} from '../../src/store/postgres/postgres-store.ts';
import { createSqliteSnapshot, createSqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import type { Store, StoreSnapshot } from '../../src/store/store.ts';
import { backupLines, readBackup, writeBackup } from '../../src/store/transfer/backup-file.ts';
import { fillStore, TransferError, type TransferSource } from '../../src/store/transfer/fill.ts';
import { linesOf, tallyOf } from '../../src/store/transfer/lines.ts';
import { unfinishedTransfer } from '../../src/store/transfer/unfinished.ts';
import { auditEntry, keyDocument, noon, usageRecord } from '../conformance/documents.ts';
import { startCosmos, type CosmosServer } from '../servers/cosmos-server.ts';
import {
  postgresBinaries,
  startPostgres,
  type PostgresServer,
} from '../servers/postgres-server.ts';
import { answersOf, anyContent, eventsOf, populate, producerOf } from './populated.ts';

type Place = {
  readonly open: () => Promise<Store>;
  readonly snapshot: () => Promise<StoreSnapshot>;
};

const folder = mkdtempSync(join(tmpdir(), 'aigateway-transfer-'));
let files = 0;
let postgres: PostgresServer | undefined;
let cosmos: CosmosServer;
const hasPostgres = (await postgresBinaries()) !== undefined;

beforeAll(async () => {
  if (hasPostgres) postgres = await startPostgres();
  cosmos = await startCosmos();
});
afterAll(async () => {
  await postgres?.stop();
  await cosmos.stop();
  rmSync(folder, { recursive: true, force: true });
});

function newFile(): string {
  files += 1;
  return join(folder, `store-${files}`);
}

function sqlite(): Promise<Place> {
  const path = newFile();
  return Promise.resolve({
    open: () => createSqliteStore({ path }),
    snapshot: () => createSqliteSnapshot({ path }),
  });
}

const kinds: { name: string; runs: number; isThere: boolean; create: () => Promise<Place> }[] = [
  { name: 'SQLite', runs: 3, isThere: true, create: sqlite },
  {
    name: 'PostgreSQL',
    runs: 2,
    isThere: hasPostgres,
    async create() {
      const connectionString = (await postgres?.createDatabase()) ?? '';
      const migrator = await createPostgresMigrator({ connectionString });
      await migrator.apply();
      await migrator.close();
      return {
        open: () => createPostgresStore({ connectionString }),
        snapshot: () => createPostgresSnapshot({ connectionString }),
      };
    },
  },
  {
    name: 'Cosmos DB',
    runs: 2,
    isThere: true,
    async create() {
      const options = await cosmos.createDatabase();
      return {
        open: () => createCosmosStore(options),
        snapshot: () => createCosmosSnapshot(options),
      };
    },
  },
];

function sourceOf(snapshot: StoreSnapshot, name = 'the source'): TransferSource {
  return { name, lines: () => linesOf(snapshot), confirm: () => snapshot.confirm() };
}

const entryOf = () => auditEntry({ action: 'copied', objectKind: 'store' });

async function withStore<T>(open: () => Promise<Store>, work: (store: Store) => Promise<T>) {
  const store = await open();
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

async function withSnapshot<T>(place: Place, work: (snapshot: StoreSnapshot) => Promise<T>) {
  const snapshot = await place.snapshot();
  try {
    return await work(snapshot);
  } finally {
    await snapshot.close();
  }
}

/** One with a little of everything in it. */
async function someStore(create: () => Promise<Place> = sqlite): Promise<Place> {
  const place = await create();
  await withStore(place.open, async ({ entities, ledger }) => {
    for (const id of ['a', 'b', 'c']) {
      await entities.write(
        [{ kind: 'key', id, document: keyDocument(id, { key_alias: `alias ${id}` }) }],
        auditEntry({ objectId: id }),
      );
    }
    await ledger.append('p', eventsOf([usageRecord(), usageRecord({ requestId: 'request-2' })]));
  });
  return place;
}

for (const { name, runs, isThere, create } of kinds) {
  describe.skipIf(!isThere)(`copying to ${name} and back through a backup`, () => {
    it('keeps everything that can be asked for, and goes on where it stood', async () => {
      await fc.assert(
        fc.asyncProperty(anyContent, async (content) => {
          const first = await sqlite();
          const asked = await withStore(first.open, async (store) => {
            await populate(store, content);
            return answersOf(store, content);
          });
          const second = await create();
          await withSnapshot(first, (snapshot) =>
            withStore(second.open, (to) => fillStore(to, sourceOf(snapshot), entryOf)),
          );
          await withStore(second.open, async (store) => {
            const answers = (await answersOf(store, content)) as unknown[];
            // The last answer is the audit's, which has the record of the copy besides.
            const audit = answers.at(-1) as unknown[];
            expect(audit.at(-1)).toMatchObject({ action: 'copied' });
            expect([...answers.slice(0, -1), audit.slice(0, -1)]).toEqual(asked);
          });

          const backup = newFile();
          const third = await sqlite();
          await withSnapshot(second, (snapshot) =>
            writeBackup(snapshot, backup, 'test', () => Promise.resolve()),
          );
          const source: TransferSource = {
            name: 'backup',
            lines: () => backupLines(backup),
            confirm: () => Promise.resolve(),
          };
          await withStore(third.open, (to) => fillStore(to, source, entryOf));
          await withStore(third.open, async (store) => {
            const answers = (await answersOf(store, content)) as unknown[];
            expect(answers.slice(0, -1)).toEqual((asked as unknown[]).slice(0, -1));
            expect(await verify(store.audit)).toMatchObject({ intact: true });
          });

          // What was counted before is not counted again, what comes after it is.
          for (const place of [second, third]) {
            await withStore(place.open, async ({ ledger, audit, entities }) => {
              const before = await ledger.spend({ dimension: 'all', ids: ['all'] });
              for (const [at, records] of content.usage.entries()) {
                expect(await ledger.append(producerOf(at), eventsOf(records))).toBe(records.length);
              }
              const [records = []] = content.usage;
              const next = { ...usageRecord({ costNanoUsd: 7 }), startedAt: noon };
              const again = { ...next, corrects: 'resp_1' };
              const isCorrected = content.usage
                .flat()
                .some(({ corrects }) => corrects === 'resp_1');
              await ledger.append(producerOf(0), [
                { sequence: records.length + 1, record: next },
                { sequence: records.length + 2, record: again },
              ]);
              const after = await ledger.spend({ dimension: 'all', ids: ['all'] });
              expect((after.get('all') ?? 0) - (before.get('all') ?? 0)).toBe(isCorrected ? 7 : 14);
              await entities.write([], auditEntry());
              expect(await verify(audit)).toMatchObject({ intact: true });
            });
          }
        }),
        { numRuns: runs },
      );
    });
  });

  describe.skipIf(!isThere)(`copying from ${name}`, () => {
    it('has all that stood there at one time, or says that somebody wrote', async () => {
      const place = await someStore(create);
      const target = await sqlite();
      await withSnapshot(place, async (snapshot) => {
        await withStore(place.open, async ({ entities, ledger }) => {
          await entities.write(
            [{ kind: 'key', id: 'late', document: keyDocument('late') }],
            auditEntry(),
          );
          await ledger.append('late', eventsOf([usageRecord()]));
        });
        const filling = withStore(target.open, (to) => fillStore(to, sourceOf(snapshot), entryOf));
        if (name === 'Cosmos DB') {
          await expect(filling).rejects.toThrow(StoreChangedError);
          return;
        }
        expect((await filling).counts).toMatchObject({ key: 3, audit: 3, mark: 1 });
        await expect(
          snapshot.entities.write([{ kind: 'key', id: 'x', document: keyDocument('x') }]),
        ).rejects.toThrow(/transaction|PostgreSQL cannot be used/);
      });
    });
  });
}

describe('an append to Cosmos DB that broke off', () => {
  it('is noticed, in records and in sums', async () => {
    const options = await cosmos.createDatabase();
    const place: Place = {
      open: () => createCosmosStore(options),
      snapshot: () => createCosmosSnapshot(options),
    };
    await withStore(place.open, ({ ledger }) => ledger.append('p', eventsOf([usageRecord()])));
    const client = await connect(options);
    const usage = client.database(options.database).container('usage');
    const read = (): Promise<unknown> => withSnapshot(place, (one) => tallyOf(linesOf(one)));
    const { resource: mark } = await usage.item('p', 'marks').read();
    await usage.item('p', 'marks').delete();
    await expect(read()).rejects.toThrow(StoreChangedError);
    const { resource: batch } = await usage.item('p:1', 'records:2026-11-26').read();
    await usage.item('p:1', 'records:2026-11-26').delete();
    await expect(read()).rejects.toThrow(StoreChangedError);
    for (const item of [mark, batch]) await usage.items.create(item);
    await read();
    client.dispose();
  });
});

describe('filling a store', () => {
  it('is refused where something is', async () => {
    const place = await someStore();
    for (const write of [
      ({ entities }: Store) =>
        entities.write([{ kind: 'key', id: 'own', document: keyDocument('own') }]),
      ({ entities }: Store) => entities.write([], auditEntry()),
      ({ ledger }: Store) => ledger.append('own', eventsOf([usageRecord()])),
    ]) {
      const target = await sqlite();
      await withStore(target.open, async (to) => {
        await write(to);
        await withSnapshot(place, (snapshot) =>
          expect(fillStore(to, sourceOf(snapshot), entryOf)).rejects.toThrow(/not empty/),
        );
        expect(await unfinishedTransfer(to)).toBeUndefined();
      });
    }
  });

  it('that broke off is seen, and is gone on with from the same source alone', async () => {
    const place = await someStore();
    const target = await sqlite();
    await withStore(target.open, (to) =>
      withSnapshot(place, async (snapshot) => {
        const whole = await tallyOf(linesOf(snapshot));
        const lines = Object.values(whole.counts).reduce((sum, count) => sum + count, 0);
        for (let most = 0; most < lines; most += 1) {
          async function* some() {
            let left = most;
            for await (const line of linesOf(snapshot)) {
              if (left === 0) throw new Error('broken off');
              left -= 1;
              yield line;
            }
          }
          const source = { ...sourceOf(snapshot), lines: some };
          await expect(fillStore(to, source, entryOf)).rejects.toThrow('broken off');
          expect(await unfinishedTransfer(to)).toMatchObject({ source: 'the source' });
        }
        await expect(fillStore(to, sourceOf(snapshot, 'another'), entryOf)).rejects.toThrow(
          /being filled from the source/,
        );
        expect(await fillStore(to, sourceOf(snapshot), entryOf)).toEqual(whole);
        expect(await unfinishedTransfer(to)).toBeUndefined();
      }),
    );
  });

  it('does not end when the target does not hold what it was given', async () => {
    const place = await someStore();
    const spoiled: [string, (to: Store) => Partial<Store>][] = [
      [
        'key: 2 instead of 3',
        ({ entities }) => ({
          entities: {
            ...entities,
            write: (changes, ...rest) =>
              entities.write(
                changes.filter(({ id }) => id !== 'b'),
                ...rest,
              ),
          },
        }),
      ],
      [
        'usage: 1 instead of 2',
        ({ ledger }) => ({
          ledger: {
            ...ledger,
            load: (lines) =>
              ledger.load(lines.filter((line) => line.is !== 'usage' || line.sequence !== 2)),
          },
        }),
      ],
      [
        'mark: 0 instead of 1',
        ({ ledger }) => ({
          ledger: {
            ...ledger,
            load: (lines) => ledger.load(lines.filter(({ is }) => is !== 'mark')),
          },
        }),
      ],
      [
        'digests differ',
        ({ ledger }) => ({
          ledger: {
            ...ledger,
            load: (lines) =>
              ledger.load(
                lines.map((line) =>
                  line.is === 'hour'
                    ? { ...line, sums: { ...line.sums, costNanoUsd: line.sums.costNanoUsd + 1 } }
                    : line,
                ),
              ),
          },
        }),
      ],
      [
        'audit: 2 instead of 3',
        ({ audit }) => ({
          audit: { ...audit, load: (records) => audit.load(records.slice(0, 2)) },
        }),
      ],
    ];
    for (const [message, spoil] of spoiled) {
      const target = await sqlite();
      await withStore(target.open, async (to) => {
        await withSnapshot(place, (snapshot) =>
          expect(fillStore({ ...to, ...spoil(to) }, sourceOf(snapshot), entryOf)).rejects.toThrow(
            message,
          ),
        );
        expect(await unfinishedTransfer(to)).toBeDefined();
      });
    }
  });

  it('carries a chain of the audit that is broken as it is, and says where', async () => {
    const place = await someStore();
    const target = await sqlite();
    await withSnapshot(place, async (snapshot) => {
      async function* changed() {
        for await (const line of linesOf(snapshot)) {
          yield line.is === 'audit' && line.record.sequence === 2
            ? { ...line, record: { ...line.record, actor: 'nobody' } }
            : line;
        }
      }
      const filled = await withStore(target.open, (to) =>
        fillStore(to, { ...sourceOf(snapshot), lines: changed }, entryOf),
      );
      expect(filled.brokenAudit).toBe(2);
    });
  });
});

describe('a store of another schema', () => {
  it.skipIf(!hasPostgres)('is not read, later or earlier', async () => {
    const connectionString = (await postgres?.createDatabase()) ?? '';
    await expect(createPostgresSnapshot({ connectionString })).rejects.toThrow(/has schema 0/);
    const migrator = await createPostgresMigrator({ connectionString });
    await migrator.apply();
    const database = connectionString.slice(connectionString.lastIndexOf('/') + 1);
    await postgres?.query(`insert into schema_migration values (9999, 'later', 1)`, database);
    await expect(createPostgresSnapshot({ connectionString })).rejects.toThrow(/has schema 9999/);
    await migrator.rollback(9999);
    await migrator.close();
  });

  it('as a file that is none is not made', async () => {
    const path = newFile();
    await expect(createSqliteSnapshot({ path })).rejects.toThrow('SQLite cannot be used');
    expect(readdirSync(folder)).not.toContain(path.slice(folder.length + 1));
  });
});

describe('a backup', () => {
  async function backUp(): Promise<string> {
    const place = await someStore();
    const path = newFile();
    await withSnapshot(place, (snapshot) =>
      writeBackup(snapshot, path, 'test', () => Promise.resolve()),
    );
    return path;
  }

  it('is for its owner alone, and has its name once it is whole', async () => {
    const path = await backUp();
    expect((statSync(path).mode & 0o777).toString(8)).toBe('600');
    expect((await readBackup(path)).tally.counts).toMatchObject({ key: 3, usage: 2, audit: 3 });

    const place = await someStore();
    const other = newFile();
    await withSnapshot(place, (snapshot) =>
      expect(
        writeBackup(snapshot, other, 'test', () => Promise.reject(new Error('not recorded'))),
      ).rejects.toThrow('not recorded'),
    );
    expect(readdirSync(folder).filter((name) => join(folder, name).startsWith(other))).toEqual([]);
  });

  it('is refused when it was cut anywhere, or changed', async () => {
    const path = await backUp();
    const bytes = readFileSync(path);
    const text = gunzipSync(bytes).toString();
    const lines = text.trimEnd().split('\n');
    const bad: Buffer[] = [
      ...Array.from({ length: 40 }, (_, at) =>
        bytes.subarray(0, Math.floor((bytes.length * at) / 40)),
      ),
      // Whole for gzip, not for us.
      ...lines.map((_, at) =>
        gzipSync(
          lines
            .slice(0, at)
            .map((line) => `${line}\n`)
            .join(''),
        ),
      ),
      ...lines.map((_, at) =>
        gzipSync(
          lines
            .toSpliced(at, 1)
            .map((line) => `${line}\n`)
            .join(''),
        ),
      ),
      gzipSync(text.replace('alias a', 'alias z')),
      gzipSync(`${text}${lines.at(1)}\n`),
      Buffer.from('no backup at all'),
    ];
    for (const content of bad) {
      writeFileSync(path, content);
      await expect(readBackup(path)).rejects.toThrow(TransferError);
    }
    for (const [header, message] of [
      [text.replace('"format":1', '"format":2'), /format 2, this release knows 1.* release test/],
      [
        text.replace(/"schema":\d+/, '"schema":999'),
        /schema 999, this release has .* release test/,
      ],
    ] as const) {
      writeFileSync(path, gzipSync(header));
      await expect(readBackup(path)).rejects.toThrow(message);
    }
  });
});
