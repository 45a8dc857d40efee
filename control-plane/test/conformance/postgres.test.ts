import { chownSync, copyFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { UsageRecord } from '@aigateway/contract/usage';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../../contract/test/until.ts';
import { makeCertificates, type Certificates } from '../../../proxy/test/upstream/certificates.ts';
import { StoreUnavailableError } from '../../src/store/entities.ts';
import type { LedgerLine } from '../../src/store/ledger.ts';
import type { PostgresOptions } from '../../src/store/postgres/connection.ts';
import { createPostgresMigrator } from '../../src/store/postgres/postgres-migrator.ts';
import {
  createPostgresSnapshot,
  createPostgresStore,
} from '../../src/store/postgres/postgres-store.ts';
import type { Store } from '../../src/store/store.ts';
import {
  postgresBinaries,
  startPostgres,
  type PostgresServer,
} from '../servers/postgres-server.ts';
import {
  auditEntry,
  dayMs,
  hourMs,
  keyDocument,
  noon,
  teamDocument,
  usageRecord,
} from './documents.ts';
import { dropLogs } from './drop-logs.ts';
import { describeInterruption } from './interruption-conformance.ts';
import { describeKills } from './kill-conformance.ts';
import { laterSchema } from './later-schema.ts';
import { describeStore } from './store-conformance.ts';

/** As long as it takes on a machine that has much else to do: nothing here is about how long. */
const patient = { statementTimeoutMs: 170_000, connectTimeoutMs: 170_000 };

describe.skipIf(!(await postgresBinaries()))('with a server', () => {
  let server: PostgresServer;
  let certificates: Certificates;
  beforeAll(async () => {
    certificates = makeCertificates(['localhost', '127.0.0.1']);
    server = await startPostgres(
      ['ssl=on', 'ssl_cert_file=server.pem', 'ssl_key_file=server.key'],
      (data, { uid, gid }) => {
        for (const name of ['server.pem', 'server.key']) {
          copyFileSync(join(certificates.directory, name), join(data, name));
          if (uid !== undefined && gid !== undefined) chownSync(join(data, name), uid, gid);
        }
      },
    );
  });
  afterAll(async () => {
    await server.stop();
    certificates.remove();
  });

  /** Ends the connections of a database that wait for a lock, as soon as there is one. */
  async function killWaiting(database: string): Promise<void> {
    await until(async () => {
      const killed = await server.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = '${database}' and wait_event_type = 'Lock'`,
      );
      return killed.length > 0;
    });
  }

  /** Until so many connections of a database wait for a lock. */
  async function waitingIn(database: string, writers: number): Promise<void> {
    await until(async () => {
      const [waiting] = await server.query(
        `select count(*)::int as writers from pg_stat_activity
         where datname = '${database}' and wait_event_type = 'Lock'`,
      );
      return waiting?.['writers'] === writers;
    });
  }

  async function clientsOf(database: string): Promise<unknown> {
    const [open] = await server.query(
      `select count(*)::int as connections from pg_stat_activity
       where datname = '${database}' and backend_type = 'client backend'`,
    );
    return open?.['connections'];
  }

  /** How many circles the server had to break, asked once all connections are closed: only then it has counted those of each. */
  async function deadlocksOf(database: string): Promise<unknown> {
    await until(async () => (await clientsOf(database)) === 0);
    const [counted] = await server.query(
      `select deadlocks::int from pg_stat_database where datname = '${database}'`,
    );
    return counted?.['deadlocks'];
  }

  async function migrated(settings = ''): Promise<{ connectionString: string; database: string }> {
    const connectionString = await server.createDatabase(settings);
    const migrator = await createPostgresMigrator({ connectionString });
    await migrator.apply();
    await migrator.close();
    return {
      connectionString,
      database: connectionString.slice(connectionString.lastIndexOf('/') + 1),
    };
  }

  async function create() {
    return storeIn(await migrated());
  }

  async function createLater() {
    const place = await migrated();
    const found = await server.query(
      `select relname from pg_class
       where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`,
      place.database,
    );
    const statements = laterSchema(found.map(({ relname }) => String(relname)));
    await server.query(statements.join('; '), place.database);
    return storeIn(place);
  }

  async function storeIn({ connectionString, database }: Awaited<ReturnType<typeof migrated>>) {
    const store = await createPostgresStore({ connectionString });
    return {
      store,
      another: () => createPostgresStore({ connectionString }),
      dump: async () => {
        const rows = await server.query(
          `select query_to_xml('select * from ' || quote_ident(table_name), true, false, '')::text as content
           from information_schema.tables where table_schema = 'public'`,
          database,
        );
        return rows.map(({ content }) => String(content)).join('\n');
      },
      interrupt: async () => {
        await server.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database}'`,
        );
      },
      close: () => store.close(),
    };
  }

  describeStore('PostgreSQL', create);
  describeStore('PostgreSQL with the schema of a later release', createLater, { runs: 5 });
  describeInterruption('PostgreSQL', create);
  describeKills('PostgreSQL', async () => ({
    place: (await migrated()).connectionString,
    close: () => Promise.resolve(),
  }));

  describe('PostgreSQL', () => {
    it('takes back what a connection had done when it broke', async () => {
      const { connectionString, database } = await migrated();
      const store = await createPostgresStore({ connectionString });
      const holder = new Client({ connectionString });
      await holder.connect();
      try {
        const events = [{ sequence: 1, record: usageRecord({ keyId: 'broken' }) }];
        await store.ledger.append('first', events);
        // The sums are written after the records, and must wait here.
        await holder.query('begin; lock table usage_daily in exclusive mode');
        const failure = failureOf(store.ledger.append('second', events));
        await killWaiting(database);
        expect(await failure).toBeInstanceOf(StoreUnavailableError);
        await holder.query('rollback');

        expect(await store.ledger.mark('second')).toBe(0);
        expect((await store.ledger.logs({ limit: 10 })).rows).toHaveLength(1);
        expect(await store.ledger.append('second', events)).toBe(1);
        expect(
          (await store.ledger.spend({ dimension: 'key', ids: ['broken'] })).get('broken'),
        ).toBe(2_000);
      } finally {
        await holder.end();
        await store.close();
      }
    });

    it('gives up a statement that takes too long, and works on', async () => {
      const { connectionString } = await migrated();
      const store = await createPostgresStore({
        connectionString,
        connections: 1,
        statementTimeoutMs: 1000,
      });
      const holder = new Client({ connectionString });
      await holder.connect();
      try {
        await holder.query('begin; lock table entity in access exclusive mode');
        await expect(store.entities.get('key', 'a')).rejects.toThrow(StoreUnavailableError);
        await holder.query('rollback');
        expect(await store.entities.get('key', 'a')).toBeUndefined();
      } finally {
        await holder.end();
        await store.close();
      }
    });

    it('makes one of two writes that each take away what the other rests on, whichever is first', async () => {
      const { connectionString, database } = await migrated();
      const store = await createPostgresStore({ connectionString });
      const holder = new Client({ connectionString });
      await holder.connect();
      try {
        const { entities } = store;
        for (const entry of [auditEntry(), undefined]) {
          const team = { kind: 'team' as const, id: 't' };
          const [expected = ''] = await entities.write([{ ...team, document: teamDocument('t') }]);
          const where = { team_id: 't' };
          const document = keyDocument('k', where);
          // Both have done all but the last, and neither sees what the other did.
          await holder.query('begin; select 1 from audit_head for update');
          const ends = [
            entities.write([{ kind: 'key', id: 'k', document }], entry, [{ ...team, expected }]),
            entities.write([{ ...team, document: undefined, expected }], entry, [
              { kind: 'key', where, among: [] },
            ]),
          ].map((end) =>
            end.then(
              () => undefined,
              (error: unknown) => error,
            ),
          );
          await waitingIn(database, 2);
          await holder.query('rollback');
          const errors = (await Promise.all(ends)).filter((error) => error !== undefined);
          expect(errors.map((error) => (error as Error).name)).toEqual(['ConflictError']);
          const [there, left] = [await entities.get('team', 't'), await entities.get('key', 'k')];
          expect(there === undefined).toBe(left === undefined);
          await entities.write([{ kind: 'key', id: 'k', document: undefined }]);
        }
      } finally {
        await holder.end();
        await store.close();
      }
    });

    it('opens no more connections than it may', async () => {
      const { connectionString, database } = await migrated();
      const store = await createPostgresStore({ connectionString, ...patient, connections: 4 });
      try {
        await Promise.all(
          Array.from({ length: 20 }, (_, producer) =>
            store.ledger.append(`producer-${producer}`, [{ sequence: 1, record: usageRecord() }]),
          ),
        );
        expect(await clientsOf(database)).toBe(4);
      } finally {
        await store.close();
      }
    });

    it('takes the rows of sums in the order of their bytes, whatever the order of events, other groups and the language of the database', async () => {
      const { connectionString, database } = await migrated(
        `template template0 locale_provider icu icu_locale 'en-US' locale 'C'`,
      );
      const store = await createPostgresStore({ connectionString });
      const [holder, looker] = [new Client({ connectionString }), new Client({ connectionString })];
      await Promise.all([holder.connect(), looker.connect()]);
      // Of two days and hours, with ids that no language has in the order of their bytes.
      const ids = ['a', 'B', 'a-b', 'Ab', 'ä', '_', 'z'];
      const records = ids.map((id, at) =>
        usageRecord({
          keyId: id,
          teamId: `team-${id}`,
          userId: id,
          model: ids[(at * 3) % ids.length] ?? '',
          tags: [id, 'tag'],
          startedAt: noon + (at % 2) * dayMs + (at % 3) * hourMs,
        }),
      );
      const eventsOf = (order: readonly UsageRecord[]) =>
        order.map((record, at) => ({ sequence: at + 1, record }));
      const keys = {
        usage_hour: 'dimension, id, hour',
        usage_daily: 'dimension, by_dimension, id, day, by_id',
      };
      try {
        await store.ledger.append('first', eventsOf(records));
        let writers = 0;
        for (const [table, key] of Object.entries(keys)) {
          const all = await texts(
            looker,
            `select (${key})::text as row from ${table} order by ${key}`,
          );
          expect(all.length).toBeGreaterThan(40);
          for (const at of [
            0,
            1,
            Math.floor(all.length / 3),
            Math.floor(all.length / 2),
            all.length - 1,
          ]) {
            await holder.query('begin');
            await holder.query(`select 1 from ${table} where (${key})::text = $1 for update`, [
              all[at],
            ]);
            const order = writers % 2 === 0 ? records.toReversed() : records;
            writers += 1;
            const appended = store.ledger.append(`writer-${writers}`, eventsOf(order));
            await waitingIn(database, 1);
            const free = new Set(
              await texts(
                looker,
                `select (${key})::text as row from ${table} for update skip locked`,
              ),
            );
            expect(all.filter((row) => !free.has(row))).toEqual(all.slice(0, at + 1));
            await holder.query('rollback');
            expect(await appended).toBe(records.length);
          }
        }
      } finally {
        await Promise.all([holder.end(), looker.end()]);
        await store.close();
      }
    });

    it('makes places for days and drops them in one order, so that nobody waits in a circle', async () => {
      const { connectionString, database } = await migrated();
      const store = await createPostgresStore({ connectionString });
      const holder = new Client({ connectionString });
      await holder.connect();
      const on = (...days: readonly number[]) =>
        days.map((day, at) => ({
          sequence: at + 1,
          record: usageRecord({ startedAt: noon + day * dayMs }),
        }));
      try {
        // Both have named their first day when they come to the table of all days, and one has another's day still to name.
        await holder.query('begin; lock table usage_record in share update exclusive mode');
        const both = [store.ledger.append('both', on(0, 1))];
        await waitingIn(database, 1);
        both.push(store.ledger.append('later', on(1)));
        await waitingIn(database, 2);
        await holder.query('rollback');
        expect(await Promise.all(both)).toEqual([2, 1]);

        // The later of two days was there first. Who drops them waits for one of them, and who counts in them comes after.
        await store.ledger.append('newer', on(11));
        await store.ledger.append('older', on(10));
        for (const day of [10, 11]) {
          const name = new Date(noon + day * dayMs).toISOString().slice(0, 10);
          await store.ledger.append(`again-${day}`, on(10, 11));
          await holder.query(`begin; select 1 from usage_day where day = '${name}' for update`);
          const dropped = dropLogs(store.ledger, '2027-01-01');
          await waitingIn(database, 1);
          const appended = store.ledger.append(`meanwhile-${day}`, on(10, 11));
          await waitingIn(database, 2);
          await holder.query('rollback');
          expect(await dropped).toContain(name);
          expect(await appended).toBe(2);
        }
      } finally {
        await holder.end();
        await store.close();
      }
      expect(await deadlocksOf(database)).toBe(0);
    });

    it('never has writers of usage wait in a circle, whatever else goes on in the ledger', async () => {
      const { connectionString, database } = await migrated();
      const store = await createPostgresStore({ connectionString, ...patient, connections: 12 });
      const random = randomOf(4);
      try {
        const work = async (producer: number): Promise<void> => {
          for (let turn = 0; turn < 4; turn += 1) {
            const events = Array.from({ length: 12 }, (_, at) => ({
              sequence: turn * 12 + at + 1,
              record: usageRecord({
                keyId: `key-${random(9)}`,
                teamId: `team-${random(3)}`,
                model: `model-${random(5)}`,
                tags: [`tag-${random(4)}`, `tag-${random(4)}`],
                startedAt: noon + random(6) * dayMs,
                // The same of all producers, of which each counts once.
                ...(at % 4 === 0 && { corrects: `request-${random(40)}` }),
              }),
            }));
            expect(await store.ledger.append(`producer-${producer}`, events)).toBe((turn + 1) * 12);
          }
        };
        const prune = async (): Promise<void> => {
          for (let turn = 0; turn < 4; turn += 1) {
            const before = new Date(noon + random(6) * dayMs).toISOString().slice(0, 10);
            await dropLogs(store.ledger, before);
          }
        };
        await Promise.all([
          ...Array.from({ length: 12 }, (_, producer) => work(producer)),
          prune(),
        ]);
      } finally {
        await store.close();
      }
      expect(await deadlocksOf(database)).toBe(0);
    });

    it('takes in the usage of a new day while a backup is under way, which goes on as it began', async () => {
      const { connectionString, database } = await migrated();
      const store = await createPostgresStore({ connectionString });
      const on = (sequence: number, day: number) => ({
        sequence,
        record: usageRecord({ startedAt: noon + day * dayMs }),
      });
      try {
        await store.ledger.append('early', [on(1, 0)]);
        const backup = await createPostgresSnapshot({ connectionString });
        try {
          const before = await linesOf(backup);
          expect(before).toContainEqual(
            expect.objectContaining({ is: 'usage', producer: 'early' }),
          );
          expect(await store.ledger.append('meanwhile', [on(1, 1)])).toBe(1);
          expect(await linesOf(backup)).toEqual(before);
        } finally {
          await backup.close();
        }
        const { rows } = await store.ledger.logs({ limit: 10 });
        expect(rows.map(({ startedAt }) => startedAt)).toEqual([noon + dayMs, noon]);
        // Both days have all indexes of the whole.
        const indexes = await server.query(
          `select relid::regclass::text as name, count(*)::int as indexes
           from pg_partition_tree('usage_record') join pg_index on indrelid = relid
           where indisvalid group by relid`,
          database,
        );
        expect(new Set(indexes.map(({ indexes: count }) => count))).toEqual(new Set([6]));
        expect(indexes).toHaveLength(3);
      } finally {
        await store.close();
      }
    });

    it('drops no day while a backup is under way, and holds nobody up: not the backup, and not the usage that comes in', async () => {
      const { connectionString } = await migrated();
      const store = await createPostgresStore({ connectionString });
      const on = (sequence: number, day: number) => ({
        sequence,
        record: usageRecord({ startedAt: noon + day * dayMs }),
      });
      try {
        await store.ledger.append('kept', [on(1, 0), on(2, 1)]);
        const backup = await createPostgresSnapshot({ connectionString });
        try {
          // Also one that has not come to the records yet.
          const dropped = store.ledger.dropOldestLogs('2026-11-27');
          await expect(dropped).rejects.toThrow(StoreUnavailableError);
          await expect(dropped).rejects.toMatchObject({ cause: { code: '55P03' } });
          // Days that it wanted, and new ones, and all of them in a report.
          expect(await store.ledger.append('kept', [on(3, 0), on(4, 2)])).toBe(4);
          expect((await store.ledger.logs({ limit: 10 })).rows).toHaveLength(4);
          const backedUp = (await linesOf(backup)).filter(({ is }) => is === 'usage');
          expect(backedUp).toHaveLength(2);
        } finally {
          await backup.close();
        }
        expect(await dropLogs(store.ledger, '2026-11-27')).toEqual(['2026-11-26']);
        expect((await store.ledger.logs({ limit: 10 })).rows).toHaveLength(2);
      } finally {
        await store.close();
      }
    });

    it('drops a day of records as a table', async () => {
      const { connectionString, database } = await migrated();
      const store = await createPostgresStore({ connectionString });
      try {
        await store.ledger.append('drop', [
          { sequence: 1, record: usageRecord() },
          { sequence: 2, record: usageRecord({ startedAt: noon + dayMs }) },
        ]);
        const partitions = async (): Promise<unknown> =>
          (
            await server.query(
              `select inhrelid::regclass::text as name from pg_inherits
               where inhparent = 'usage_record'::regclass order by 1`,
              database,
            )
          ).map(({ name }) => name);
        expect(await partitions()).toEqual(['usage_record_20261126', 'usage_record_20261127']);
        expect(await dropLogs(store.ledger, '2026-11-27')).toEqual(['2026-11-26']);
        expect(await partitions()).toEqual(['usage_record_20261127']);

        // One that an operator has dropped keeps nobody from the next.
        await store.ledger.append('drop', [
          { sequence: 3, record: usageRecord({ startedAt: noon + 2 * dayMs }) },
        ]);
        await server.query('drop table usage_record_20261127', database);
        expect(await dropLogs(store.ledger, '2026-12-01')).toEqual(['2026-11-27', '2026-11-28']);
        expect(await partitions()).toEqual([]);
      } finally {
        await store.close();
      }
    });

    it('is unavailable when a connection is ended in the moment that it is opened', async () => {
      const message = (type: string, content: Buffer): Buffer => {
        const length = Buffer.alloc(4);
        length.writeInt32BE(content.length + 4);
        return Buffer.concat([Buffer.from(type), length, content]);
      };
      const opened = Buffer.concat([
        message('R', Buffer.alloc(4)),
        message('Z', Buffer.from('I')),
        message('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection\0\0')),
      ]);
      const ending = createServer((socket) => socket.once('data', () => socket.end(opened)));
      ending.listen(0, '127.0.0.1');
      await once(ending, 'listening');
      const { port } = ending.address() as AddressInfo;
      try {
        await expect(
          createPostgresStore({ connectionString: `postgres://user@127.0.0.1:${port}/none` }),
        ).rejects.toThrow(StoreUnavailableError);
      } finally {
        ending.close();
      }
    });

    it('is unavailable without a server, and quotes no password', async () => {
      const connectionString = 'postgres://user:hush-hush@127.0.0.1:1/none';
      for (const make of [createPostgresStore, createPostgresMigrator]) {
        const error: unknown = await make({ connectionString }).catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(StoreUnavailableError);
        const { message, cause } = error as Error;
        expect(`${message} ${String(cause)}`).not.toContain('hush-hush');
      }
    });
  });

  describe('PostgreSQL over TLS', () => {
    const encrypted = async (query: string, host = '127.0.0.1'): Promise<boolean> => {
      const { connectionString, database } = await migrated();
      const options: PostgresOptions = {
        connectionString: `${connectionString.replace('127.0.0.1', host)}${query}`,
      };
      const store = await createPostgresStore(options);
      try {
        const [row] = await server.query(
          `select bool_and(ssl) as ssl from pg_stat_ssl join pg_stat_activity using (pid)
           where datname = '${database}'`,
        );
        return row?.['ssl'] === true;
      } finally {
        await store.close();
      }
    };

    it('does as the mode in the connection string says', async () => {
      const ca = `sslrootcert=${certificates.caFile}`;
      expect(await encrypted('')).toBe(false);
      expect(await encrypted('?sslmode=disable')).toBe(false);
      expect(await encrypted('?sslmode=require')).toBe(true);
      expect(await encrypted(`?sslmode=verify-ca&${ca}`)).toBe(true);
      expect(await encrypted(`?sslmode=verify-full&${ca}`)).toBe(true);
      // Nobody whom this machine trusts has signed it.
      await expect(encrypted('?sslmode=verify-full')).rejects.toThrow(StoreUnavailableError);
    });
  });

  describe('migrations of PostgreSQL', () => {
    it('are planned, applied once by however many, and taken back', async () => {
      const connectionString = await server.createDatabase();
      const [one, two] = await Promise.all([
        createPostgresMigrator({ connectionString }),
        createPostgresMigrator({ connectionString }),
      ]);
      try {
        await expect(createPostgresStore({ connectionString })).rejects.toThrow(
          /lacks migrations 1/,
        );
        const plan = await one.plan();
        expect(plan.map(({ id, appliedAt }) => [id, appliedAt])).toContainEqual([1, null]);
        expect(await one.status()).toEqual(plan);
        const [tables] = await server.query(
          `select count(*)::int as there from information_schema.tables where table_schema = 'public'`,
          connectionString.slice(connectionString.lastIndexOf('/') + 1),
        );
        expect(tables).toEqual({ there: 0 });

        const made = await Promise.all([one.apply(), two.apply()]);
        expect(made.flat()).toHaveLength(plan.length);
        expect(made.some(({ length }) => length === 0)).toBe(true);
        expect(await two.plan()).toEqual([]);
        expect((await one.status()).every(({ appliedAt }) => appliedAt !== null)).toBe(true);

        const store = await createPostgresStore({ connectionString });
        await store.entities.write([{ kind: 'key', id: 'a', document: keyDocument('a') }]);
        await store.ledger.append('a', [{ sequence: 1, record: usageRecord() }]);
        await store.close();

        const back = await two.rollback(0);
        expect(back.map(({ id }) => id)).toEqual(plan.map(({ id }) => id));
        expect(await one.plan()).toEqual(plan);
        await one.apply();
        const again = await createPostgresStore({ connectionString });
        expect(await again.entities.get('key', 'a')).toBeUndefined();
        await again.close();
      } finally {
        await Promise.all([one.close(), two.close()]);
      }
    });

    it('go on where an interrupted run stopped', async () => {
      const connectionString = await server.createDatabase();
      const database = connectionString.slice(connectionString.lastIndexOf('/') + 1);
      const blocker = new Client({ connectionString });
      await blocker.connect();
      const first = await createPostgresMigrator({ connectionString });
      // The step has made most of its tables when it comes to this one, and must wait.
      await blocker.query('begin; create table audit_head (id int)');
      const failure = failureOf(first.apply());
      await killWaiting(database);
      expect(await failure).toBeInstanceOf(StoreUnavailableError);
      await blocker.query('rollback');
      await blocker.end();
      await first.close();

      const second = await createPostgresMigrator({ connectionString });
      expect(await second.plan()).not.toEqual([]);
      await second.apply();
      expect(await second.plan()).toEqual([]);
      await second.close();
      await (await createPostgresStore({ connectionString })).close();
    });

    it('are taken back from the newest on, each as a whole, with the data of what they added alone', async () => {
      const { connectionString, database } = await migrated();
      const store = await createPostgresStore({ connectionString });
      await store.entities.write([{ kind: 'key', id: 'a', document: keyDocument('a') }]);
      await store.ledger.append('a', [{ sequence: 1, record: usageRecord() }]);
      await store.close();
      const migrator = await createPostgresMigrator({ connectionString });
      expect((await migrator.rollback(1)).map(({ id }) => id)).toEqual([2, 3]);
      expect((await migrator.plan()).map(({ id }) => id)).toEqual([2, 3]);
      await migrator.apply();
      const again = await createPostgresStore({ connectionString });
      expect((await again.entities.get('key', 'a'))?.document).toEqual(keyDocument('a'));
      expect(await again.ledger.mark('a')).toBe(1);
      await again.close();

      // Whoever has this table keeps the first step from being taken back: by then those after it are.
      const blocker = new Client({ connectionString });
      await blocker.connect();
      await blocker.query('begin; lock table entity in access share mode');
      const failure = failureOf(migrator.rollback(0));
      await killWaiting(database);
      expect(await failure).toBeInstanceOf(StoreUnavailableError);
      await blocker.query('rollback');
      const kept = await blocker.query('select count(*) as there from entity');
      expect(kept.rows).toEqual([{ there: '1' }]);
      await blocker.end();
      await migrator.close();
      const next = await createPostgresMigrator({ connectionString });
      expect((await next.plan()).map(({ id }) => id)).toEqual([2, 3]);
      await next.rollback(0);
      await next.close();
    });

    it('wait for a job that is under way, and go on when it has ended', async () => {
      const { connectionString, database } = await migrated();
      const [one, two, blocker] = await Promise.all([
        createPostgresMigrator({ connectionString }),
        createPostgresMigrator({ connectionString }),
        (async () => {
          const client = new Client({ connectionString });
          await client.connect();
          return client;
        })(),
      ]);
      const waiting = async (): Promise<unknown> =>
        (
          await server.query(
            `select wait_event from pg_stat_activity
             where datname = '${database}' and wait_event_type = 'Lock' order by 1`,
          )
        ).map(({ wait_event: event }) => event);
      try {
        await blocker.query('begin; lock table usage_correction in access share mode');
        const first = one.rollback(1);
        await until(async () => ((await waiting()) as unknown[]).length === 1);
        const second = two.rollback(1);
        await until(async () => ((await waiting()) as unknown[]).length === 2);
        expect(await waiting()).toEqual(['advisory', 'relation']);
        await blocker.query('rollback');
        expect([(await first).length, (await second).length]).toEqual([2, 0]);
      } finally {
        await Promise.all([one.close(), two.close(), blocker.end()]);
      }
    });

    it('leave those of a later release to that one, and let the store work with them', async () => {
      const { connectionString, database } = await migrated();
      await server.query(`insert into schema_migration values (9999, 'later', 1)`, database);
      const migrator = await createPostgresMigrator({ connectionString });
      const later = { id: 9999, name: 'later', appliedAt: 1 };
      expect(await migrator.status()).toContainEqual(later);
      expect(await migrator.plan()).toEqual([]);
      await expect(migrator.rollback(0)).rejects.toThrow(/later release/);
      await migrator.close();
      await (await createPostgresStore({ connectionString })).close();
    });
  });
});

/** One column of what a statement finds. */
async function texts(client: Client, statement: string): Promise<readonly string[]> {
  return (await client.query<{ row: string }>(statement)).rows.map(({ row }) => row);
}

/** Whole numbers below a bound, the same in every run. */
function randomOf(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

/** What a promise was rejected with; a handler is there from the start. */
function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function linesOf({ ledger }: Store): Promise<LedgerLine[]> {
  const lines: LedgerLine[] = [];
  for await (const line of ledger.all()) lines.push(line);
  return lines;
}
