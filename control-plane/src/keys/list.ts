import type * as z from 'zod';
import { seesAll } from '../auth/actor.ts';
import { keyAccess, teamAccess } from '../auth/rights.ts';
import type { Call, Outcome } from '../http/call.ts';
import type { KeyDocument } from '../store/documents.ts';
import type { Query } from '../store/entities.ts';
import { currentSecret, keyRows, keyStatus, spentByKeys } from './row.ts';
import type { aliasesQuery, listQuery } from './schema.ts';

type ListQuery = z.output<typeof listQuery>;
type Where = NonNullable<Query<'key'>['where']>;

export async function listKeys(call: Call, query: ListQuery): Promise<Outcome> {
  const { total, keys } = await pageOfKeys(call, query);
  const shown = query.return_full_object
    ? await keyRows(call, keys)
    : keys.map((key) => currentSecret(key).hash);
  return {
    answer: {
      keys: shown,
      total_count: total,
      current_page: query.page,
      total_pages: Math.ceil(total / query.size),
    },
  };
}

export async function listAliases(
  call: Call,
  { page, size, search, team_id }: z.output<typeof aliasesQuery>,
): Promise<Outcome> {
  const where: Where = team_id === undefined ? {} : { team_id };
  const wanted = search?.toLowerCase() ?? '';
  const aliases = (await visibleKeys(call, where, true, false))
    .flatMap(({ key_alias }) => key_alias ?? [])
    .filter((alias) => alias.toLowerCase().includes(wanted))
    .sort();
  return {
    answer: {
      aliases: aliases.slice((page - 1) * size, page * size),
      total_count: aliases.length,
      current_page: page,
      total_pages: Math.ceil(aliases.length / size),
    },
  };
}

async function pageOfKeys(
  call: Call,
  query: ListQuery,
): Promise<{ total: number; keys: readonly KeyDocument[] }> {
  const where = whereOf(query);
  const { page, size } = query;
  // Only what the store itself can answer comes page by page; everything else is chosen from all there is.
  if (seesAll(call.actor) && isPlain(query)) {
    const [total, { rows }] = await Promise.all([
      call.view.count('key', where),
      call.view.find('key', {
        where,
        limit: size,
        offset: (page - 1) * size,
        order: query.sort_order === 'desc' ? 'newest' : 'oldest',
      }),
    ]);
    return { total, keys: rows };
  }
  const visible = await visibleKeys(
    call,
    where,
    query.include_team_keys,
    query.include_created_by_keys,
  );
  const matching = visible.filter((key) => matches(key, query, call.now));
  matching.sort(await orderOf(call, query, matching));
  return { total: matching.length, keys: matching.slice((page - 1) * size, page * size) };
}

function isPlain(query: ListQuery): boolean {
  return (
    query.search === undefined &&
    query.status === undefined &&
    !query.substring_matching &&
    (query.sort_by === undefined || query.sort_by === 'created_at')
  );
}

function whereOf(query: ListQuery): Where {
  const where: { [name: string]: string } = {};
  const exact = query.substring_matching ? [] : (['user_id', 'key_alias'] as const);
  for (const name of ['team_id', 'organization_id', ...exact] as const) {
    const value = query[name];
    if (value !== undefined) where[name] = value;
  }
  if (query.key_hash !== undefined) where['hash'] = query.key_hash;
  return where;
}

/** Everything of a selection that the caller sees: its own keys, and if asked for those of its teams and those it made. */
async function visibleKeys(
  call: Call,
  where: Where,
  withTeams: boolean,
  withCreated: boolean,
): Promise<KeyDocument[]> {
  const { actor, view } = call;
  if (seesAll(actor)) return view.findAll('key', where);
  const found = new Map<string, KeyDocument>();
  const add = async (more: Where) => {
    // Two conditions on one index never both hold unless they are the same.
    const clash = Object.entries(more).some(
      ([name, value]) =>
        where[name as keyof Where] !== undefined && where[name as keyof Where] !== value,
    );
    if (clash) return;
    for (const key of await view.findAll('key', { ...where, ...more })) found.set(key.key_id, key);
  };
  if (actor.userId !== undefined) await add({ user_id: actor.userId });
  else if (actor.key !== undefined) {
    const hash = currentSecret(actor.key).hash;
    await add({ hash });
  }
  if ((withTeams || where.team_id !== undefined) && actor.userId !== undefined) {
    for (const team of await view.findAll('team', { member: actor.userId })) {
      if ((await teamAccess(call, team)) !== undefined) await add({ team_id: team.team_id });
    }
  }
  if (withCreated && actor.userId !== undefined) await add({ created_by: actor.userId });
  const keys = [...found.values()];
  const access = await Promise.all(keys.map((key) => keyAccess(call, key)));
  return keys.filter((_key, index) => access[index] !== undefined);
}

function matches(key: KeyDocument, query: ListQuery, now: number): boolean {
  if (query.status !== undefined && keyStatus(key, now) !== query.status) return false;
  const search = query.search?.toLowerCase();
  if (search !== undefined) {
    const texts = [key.key_alias, key.user_id, key.team_id, key.key_id, currentSecret(key).name];
    if (!texts.some((text) => text?.toLowerCase().includes(search))) return false;
  }
  if (!query.substring_matching) return true;
  return contains(key.user_id, query.user_id) && contains(key.key_alias, query.key_alias);
}

function contains(text: string | null, part: string | undefined): boolean {
  return part === undefined || (text?.toLowerCase().includes(part.toLowerCase()) ?? false);
}

async function orderOf(
  call: Call,
  { sort_by: field = 'created_at', sort_order }: ListQuery,
  keys: readonly KeyDocument[],
) {
  const valueOf =
    field === 'spend'
      ? await spendOf(call, keys)
      : (key: KeyDocument): string | number => key[field] ?? '';
  const sign = sort_order === 'desc' ? -1 : 1;
  return (one: KeyDocument, other: KeyDocument): number => {
    const [a, b] = [valueOf(one), valueOf(other)];
    if (a !== b) return a < b ? -sign : sign;
    return one.key_id < other.key_id ? -1 : 1;
  };
}

async function spendOf(call: Call, keys: readonly KeyDocument[]) {
  const { spent } = await spentByKeys(call, keys);
  return ({ key_id }: KeyDocument): number => spent(key_id).spend;
}
