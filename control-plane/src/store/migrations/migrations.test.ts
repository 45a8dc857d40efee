import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { postgresCompiler } from '../postgres/database.ts';
import { postgres, sqlite } from '../sql/dialect.ts';
import { sqliteCompiler } from '../sqlite/database.ts';
import { migrations } from './index.ts';
import type { Migration } from './migration.ts';

const kinds = [
  { name: 'PostgreSQL', dialect: postgres, compiler: postgresCompiler },
  { name: 'SQLite', dialect: sqlite, compiler: sqliteCompiler },
];

type Kind = (typeof kinds)[number];

function statementsOf(migration: Migration, { dialect, compiler }: Kind): readonly string[] {
  return migration
    .up(dialect)
    .map((statement) => statement.compile(compiler).sql.replaceAll(/\s+/g, ' ').trim());
}

/**
 * Why the release before could not live with a statement: undefined where it can. Its statements name their columns, so that more tables,
 * columns and indexes are nothing to it, as long as it may leave them out of what it writes.
 *
 * @param made - tables of the same step, which nobody has written to
 */
function hindrance(statement: string, made: Set<string>): string | undefined {
  const text = statement.toLowerCase().replaceAll('"', '');
  if (text.includes(';')) return 'is several';
  const table = /^create table (?:if not exists )?(\w+)/.exec(text)?.[1];
  if (table !== undefined) {
    made.add(table);
    return undefined;
  }
  const index = /^create (unique )?index (?:if not exists )?\w+ on (\w+) /.exec(text);
  if (index) {
    return index[1] === undefined || made.has(index[2] ?? '')
      ? undefined
      : 'refuses what the release before may write twice';
  }
  const column = /^alter table \w+ add column (?:if not exists )?\w+ (.*)$/.exec(text)?.[1];
  if (column !== undefined) {
    if (/\b(unique|primary key|references|check|generated)\b/.test(column))
      return 'has a condition';
    return /\bnot null\b/.test(column) && !/\bdefault (?!null\b)/.test(column)
      ? 'has no value where the release before gives none'
      : undefined;
  }
  if (
    /^alter table \w+ (?:set \((?:fillfactor|autovacuum_\w+) = [\w.]+\)|reset \([\w, ]+\))$/.test(
      text,
    )
  )
    return undefined;
  const filled = /^insert into (\w+) /.exec(text)?.[1];
  if (filled !== undefined && made.has(filled)) return undefined;
  return 'does more than add';
}

function hindrances(statements: readonly string[]): readonly string[] {
  const made = new Set<string>();
  return statements.flatMap((statement) => {
    const why = hindrance(statement, made);
    return why === undefined ? [] : [`${statement}: ${why}`];
  });
}

/** Beginning of the SHA-256 of the statements of each released step: one more line for each new step, and no other change, ever. */
const released: readonly (readonly [name: string, postgres: string, sqlite: string])[] = [
  ['initial', '737d64378afbdeea', 'bfe82a61c93b7fd9'],
  ['corrections', '633bf6e3f6257996', '18081870457daeb6'],
  ['room-in-pages', 'f746f7869882afb3', 'e3b0c44298fc1c14'],
];

describe('migrations', () => {
  it('are numbered one after the other', () => {
    expect(migrations.map(({ id }) => id)).toEqual(migrations.map((_, at) => at + 1));
  });

  it.each(kinds)('only add what the release before can live with: $name', (kind) => {
    const later = migrations.filter(({ id }) => id > 1);
    expect(later.flatMap((migration) => hindrances(statementsOf(migration, kind)))).toEqual([]);
  });

  it('are as they were released: what a store has made is not made again', () => {
    const digests = migrations.map((migration) => [
      migration.name,
      ...kinds.map((kind) =>
        createHash('sha256')
          .update(statementsOf(migration, kind).join('\n'))
          .digest('hex')
          .slice(0, 16),
      ),
    ]);
    expect(digests).toEqual(released);
  });
});

describe('what is said of a migration', () => {
  it.each([
    'create table "later" ("id" text primary key)',
    'create index "later" on "entity" (version)',
    'alter table entity add column later text',
    'alter table entity add column later text collate "C" not null default \'\'',
    'alter table usage_hour set (fillfactor = 50)',
  ])('it may: %s', (statement) => {
    expect(hindrances([statement])).toEqual([]);
  });

  it.each([
    'drop table usage_mark',
    'drop index entity_created',
    'alter table entity drop column version',
    'alter table entity rename column version to etag',
    'alter table entity rename to document',
    'alter table entity alter column version type bigint',
    'alter table entity alter column version set not null',
    'alter table entity add column later text not null',
    'alter table entity add column later text not null default null',
    'alter table entity add column later text unique',
    'alter table entity add column later bigint default 1 check (later > 0)',
    'alter table entity add constraint later check (length(id) < 9)',
    'alter table usage_record set (fillfactor = 50), rename to record',
    'create unique index later on entity (document)',
    'create trigger later before insert on entity begin select raise(abort); end',
    "update entity set document = ''",
    'delete from usage_daily',
    "insert into usage_mark values ('a', 1)",
    'create table later (id text); drop table entity',
  ])('it may not: %s', (statement) => {
    expect(hindrances([statement])).toHaveLength(1);
  });

  it('a table that nobody knows may be filled, and have rules of its own', () => {
    expect(
      hindrances([
        'create table later (id text primary key)',
        'create unique index later_id on later (id)',
        "insert into later (id) values ('a')",
      ]),
    ).toEqual([]);
  });
});
