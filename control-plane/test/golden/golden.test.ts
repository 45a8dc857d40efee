import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { describe, expect, it } from 'vitest';
import type { Kind } from '../../src/store/documents.ts';
import { indexes, type Change } from '../../src/store/entities.ts';
import { migrations } from '../../src/store/migrations/index.ts';
import { postgres, sqlite, type Dialect } from '../../src/store/sql/dialect.ts';
import { startManagement, type Management } from '../management.ts';

/*
 * What stores of released versions hold: frozen, one file for each version. A new version adds a file, and no test here changes.
 */

type Golden = { kind: Kind; id: string; document: { [member: string]: unknown } };

function golden<T>(file: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, file), 'utf8')) as T;
}

const documents = golden<Golden[]>('documents-1.json');
const idOf = (kind: Kind): string => documents.find((one) => one.kind === kind)?.id ?? '';

/** A control plane over a store that an earlier or a later release wrote. */
async function startWith(written: readonly Golden[]): Promise<Management> {
  const api = await startManagement();
  await api.store.entities.write(
    written.map(({ kind, id, document }) => ({ kind, id, document }) as unknown as Change),
  );
  return api;
}

const key = 'sk-golden-key-of-the-tests';

describe('a store of version 1', () => {
  it('has a document of each kind that the API makes', () => {
    const kinds = Object.keys(indexes).filter(
      (kind) => kind !== 'settings' && kind !== 'store_transfer',
    );
    expect(kinds.filter((kind) => !documents.some((one) => one.kind === kind))).toEqual([]);
  });

  it('is read by every route that shows one thing or lists many', async () => {
    await using api = await startWith(documents);
    const organization = idOf('organization');
    const shown = [
      await api.get(`/key/info?key=${key}`),
      await api.get('/key/list'),
      await api.get('/user/info?user_id=user'),
      await api.get('/user/list'),
      await api.get('/team/info?team_id=team'),
      await api.get('/team/list'),
      await api.get(`/organization/info?organization_id=${organization}`),
      await api.get('/organization/list'),
      await api.get('/customer/info?end_user_id=customer'),
      await api.get('/customer/list'),
      await api.post('/budget/info', { budgets: ['budget'] }),
      await api.get('/budget/list'),
      await api.get('/credentials'),
      await api.get('/tag/list'),
      await api.get(`/v1/access_group/${idOf('access_group')}`),
      // The key still opens what it did.
      await api.get('/key/info', key),
    ];
    expect(shown.map(({ status }) => status)).toEqual(shown.map(() => 200));
    for (const { text } of shown) expect(text).not.toBe('[]');
    // What was set as spent counts as spent.
    expect((await api.get('/team/info?team_id=team')).body.team_info.spend).toBe(2.5);
    expect(api.faults).toEqual([]);
  });

  it('can be changed', async () => {
    await using api = await startWith(documents);
    const changed = [
      await api.post('/key/update', { key, max_budget: 7 }),
      await api.post('/user/update', { user_id: 'user', max_budget: 7 }),
      await api.post('/team/update', { team_id: 'team', max_budget: 7 }),
      await api.post('/customer/update', { user_id: 'customer', alias: 'other' }),
      await api.post('/budget/update', { budget_id: 'budget', max_budget: 7 }),
      await api.post('/model/update', {
        model_name: 'other',
        model_info: { id: idOf('model') },
      }),
      await api.post('/key/regenerate', { key }),
    ];
    expect(changed.map(({ status, text }) => (status === 200 ? 200 : text))).toEqual(
      changed.map(() => 200),
    );
  });
});

describe('a store that a later release writes to', () => {
  it('keeps what this one does not know when it changes something', async () => {
    const later = documents.map((one) => ({
      ...one,
      document: { ...one.document, of_a_later_release: { a: 1 } },
    }));
    await using api = await startWith(later);
    await api.post('/key/update', { key, max_budget: 7 });
    await api.post('/user/update', { user_id: 'user', max_budget: 7 });
    await api.post('/team/update', { team_id: 'team', max_budget: 7 });
    const ids = { key: idOf('key'), user: 'user', team: 'team' };
    for (const [kind, id] of Object.entries(ids) as [keyof typeof ids, string][]) {
      const stored = await api.store.entities.get(kind, id);
      expect(stored?.document).toMatchObject({ of_a_later_release: { a: 1 } });
    }
  });
});

describe('steps of the schema', () => {
  const statementsOf = (dialect: Dialect, id: number): string[] => {
    const compiler = new Kysely<unknown>({
      dialect:
        dialect.name === 'sqlite'
          ? {
              createAdapter: () => new SqliteAdapter(),
              createDriver: () => new DummyDriver(),
              createIntrospector: (db) => new SqliteIntrospector(db),
              createQueryCompiler: () => new SqliteQueryCompiler(),
            }
          : {
              createAdapter: () => new PostgresAdapter(),
              createDriver: () => new DummyDriver(),
              createIntrospector: (db) => new PostgresIntrospector(db),
              createQueryCompiler: () => new PostgresQueryCompiler(),
            },
    });
    const migration = migrations.find((one) => one.id === id);
    return (migration?.up(dialect) ?? []).map((statement) =>
      statement.compile(compiler).sql.replaceAll(/\s+/g, ' ').trim(),
    );
  };

  it('only add what the release before can live with', () => {
    const adds =
      /^(create (table|index|unique index)|insert into|alter table \S+ (add column (?!.*not null(?!.*default))|set \(fillfactor = \d+\)))/i;
    for (const dialect of [sqlite, postgres]) {
      const statements = migrations.flatMap(({ id }) => statementsOf(dialect, id));
      expect(statements.filter((statement) => !adds.test(statement))).toEqual([]);
    }
  });

  it('are numbered without a gap, and never change once released', () => {
    expect(migrations.map(({ id }) => id)).toEqual(migrations.map((_, at) => at + 1));
    for (const { id } of migrations) {
      const made = {
        sqlite: statementsOf(sqlite, id),
        postgres: statementsOf(postgres, id),
      };
      expect(made).toEqual(golden(`schema-${id}.json`));
    }
  });
});
