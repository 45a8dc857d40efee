import { randomBytes } from 'node:crypto';
import { routeProblem } from '@aigateway/contract/allowed-routes';
import { durationMs } from '@aigateway/contract/duration';
import { hashSecret } from '@aigateway/contract/key';
import type * as z from 'zod';
import { requireAccessGroups } from '../access-groups/models.ts';
import { isAdmin } from '../auth/actor.ts';
import {
  type Access,
  isOrganizationAdmin,
  keyAccess,
  notPermitted,
  teamKeyAccess,
} from '../auth/rights.ts';
import { ApiError, detailError, notFound, proxyError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { inertFields } from '../http/fields.ts';
import { refuseGone } from '../http/gone.ts';
import { checkWindows, noLimits, withFields } from '../http/limits.ts';
import { taken } from '../http/registry.ts';
import { put, remove } from '../http/view.ts';
import { nanoUsdOf, spentBy } from '../spend/sums.ts';
import type { KeyDocument } from '../store/documents.ts';
import type { Change } from '../store/entities.ts';
import { checkGrant, confine } from './grant.ts';
import { currentSecret, keyRows } from './row.ts';
import type {
  bulkUpdateBody,
  deleteBody,
  regenerateBody,
  teamBulkUpdateBody,
  updateBody,
} from './schema.ts';
import { generateBody } from './schema.ts';
import { type NewSecret, newSecret } from './secret.ts';

type GenerateBody = z.output<typeof generateBody>;
type UpdateBody = Omit<z.output<typeof updateBody>, 'key'>;

/** Everything that callers can set, and what null makes of it. */
const blank = {
  ...noLimits,
  key_alias: null,
  user_id: null,
  team_id: null,
  organization_id: null,
  budget_id: null,
  models: [],
  access_group_ids: [],
  aliases: {},
  allowed_routes: [],
  metadata: {},
  permissions: {},
  tags: [],
  blocked: null,
  max_requests: null,
} satisfies Partial<KeyDocument>;

const routesOfType = {
  llm_api: ['llm_api_routes'],
  management: ['management_routes'],
  read_only: ['info_routes'],
  default: [],
} as const;

/** A key as it was made: the only time its secret is known. */
export type MadeKey = { readonly key: KeyDocument; readonly made: NewSecret };

/** Makes a key and says so to nobody yet: the caller writes it. */
export async function makeKey(call: Call, body: GenerateBody): Promise<MadeKey> {
  const sent = withDefaults(call, body);
  checkRoutes(sent.allowed_routes);
  const made = newSecret(call, sent.key);
  const { actor } = call;
  const userId = sent.user_id ?? (isAdmin(actor) ? null : (actor.userId ?? null));
  const at = timestamp(call);
  const type = sent.key_type ?? 'default';
  const fresh: KeyDocument = {
    ...blank,
    key_id: `key_${randomBytes(16).toString('base64url')}`,
    secrets: [made.stored],
    key_type: type,
    expires: null,
    rotation_count: 0,
    last_rotation_at: null,
    inert: inertFields(generateBody, sent),
    created_at: at,
    created_by: actor.id,
    updated_at: at,
    updated_by: actor.id,
  };
  const key = confine(call, {
    ...withFields(fresh, blank, {
      ...sent,
      user_id: userId,
      allowed_routes: sent.allowed_routes ?? routesOfType[type],
    }),
    expires: expiresAt(call, sent.duration) ?? null,
  });
  await checkGrant(call, fresh, key, sent);
  await checkReferences(call, fresh, key);
  await checkUnique(call, key, made);
  // The id is new, so that nothing is lost should the write fail.
  if (sent.spend) call.spend.reset('key', key.key_id, nanoUsdOf(sent.spend));
  return { key, made };
}

export async function generateKey(call: Call, body: GenerateBody): Promise<Outcome> {
  const { key, made } = await makeKey(call, body);
  return {
    answer: await generatedAnswer(call, key, made),
    changes: [put('key', key.key_id, key)],
  };
}

/** What LiteLLM answers to whoever made a key. */
export async function generatedAnswer(call: Call, key: KeyDocument, { secret, stored }: NewSecret) {
  const [row] = await keyRows(call, [key]);
  return { ...row, key: secret, token: stored.hash, token_id: stored.hash };
}

/** A key of a team and of nobody in particular. */
export async function generateServiceAccount(call: Call, body: GenerateBody): Promise<Outcome> {
  if (!body.team_id) throw detailError(400, 'team_id is required for service account keys.');
  if (body.user_id) throw detailError(400, 'user_id cannot be set for service account keys.');
  const { key: drafted, made } = await makeKey(call, body);
  const key: KeyDocument = {
    ...drafted,
    user_id: null,
    metadata: { ...drafted.metadata, service_account_id: drafted.key_alias ?? drafted.key_id },
  };
  return {
    answer: await generatedAnswer(call, key, made),
    changes: [put('key', key.key_id, key)],
  };
}

export async function updateKey(call: Call, named: string, sent: UpdateBody): Promise<Outcome> {
  const next = await changedKey(call, await keyToWrite(call, named), sent);
  const [row] = await keyRows(call, [next]);
  return {
    answer: { ...row, key: named.startsWith('sk-') ? named : currentSecret(next).hash },
    changes: [put('key', next.key_id, next)],
  };
}

async function changedKey(call: Call, key: KeyDocument, sent: UpdateBody): Promise<KeyDocument> {
  checkUpperBounds(call, sent);
  checkRoutes(sent.allowed_routes);
  const expires = expiresAt(call, sent.duration);
  const next: KeyDocument = {
    ...withFields(key, blank, sent),
    ...(expires === undefined ? {} : { expires }),
    inert: { ...key.inert, ...inertFields(generateBody, sent) },
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  if (next.user_id !== key.user_id) {
    // Who had the key still knows its secret, and gains nothing by its new user.
    next.granted_by = isAdmin(call.actor)
      ? (key.user_id ?? key.granted_by ?? key.created_by)
      : call.actor.id;
  }
  const service = key.metadata['service_account_id'];
  if (service !== undefined) next.metadata = { ...next.metadata, service_account_id: service };
  await checkGrant(call, key, next, sent);
  await checkReferences(call, key, next);
  if (next.key_alias !== key.key_alias) await checkAlias(call, next);
  if (sent.spend !== undefined && sent.spend !== null) {
    call.spend.reset('key', key.key_id, nanoUsdOf(sent.spend));
  }
  return next;
}

/** A new secret for the same key. The old one ends at once, or with the grace period. */
export async function regenerateKey(
  call: Call,
  named: string | undefined,
  sent: z.output<typeof regenerateBody>,
): Promise<Outcome> {
  const own = call.actor.key?.key_id;
  const wanted = named ?? sent.key ?? own;
  if (wanted === undefined) {
    throw proxyError(400, 'bad_request_error', 'Name the key to regenerate.', 'key');
  }
  const key = await keyToWrite(call, wanted);
  const graceMs = sent.grace_period ? readDuration(sent.grace_period, 'grace_period') : 0;
  const made = newSecret(call, sent.new_key);
  const end = new Date(call.now + graceMs).toISOString();
  const overlapping = key.secrets
    .map((secret) => ({ ...secret, not_after: earlier(secret.not_after, end) }))
    .filter(({ not_after }) => Date.parse(not_after) > call.now);
  const next: KeyDocument = {
    ...(await changedKey(call, key, sent)),
    secrets: [made.stored, ...overlapping],
    rotation_count: key.rotation_count + 1,
    last_rotation_at: timestamp(call),
    granted_by: call.actor.id,
  };
  await checkUnique(call, next, made);
  return {
    answer: await generatedAnswer(call, next, made),
    changes: [put('key', next.key_id, next)],
  };
}

function earlier(one: string | null, other: string): string {
  return one !== null && one < other ? one : other;
}

export async function deleteKeys(
  call: Call,
  { keys, key_aliases }: z.output<typeof deleteBody>,
): Promise<Outcome> {
  const deleted: string[] = [];
  const changes: Change[] = [];
  let isVisible = false;
  const take = async (name: string, key: KeyDocument | undefined) => {
    const access = key && (await keyAccess(call, key));
    isVisible ||= access === 'read';
    if (key === undefined || access !== 'write') return;
    deleted.push(name);
    changes.push(remove('key', key.key_id));
  };
  for (const name of keys ?? []) await take(name, await findKey(call, name));
  for (const alias of key_aliases ?? []) {
    const { rows } = await call.view.find('key', { where: { key_alias: alias }, limit: 1 });
    await take(alias, rows[0]);
  }
  if (deleted.length === 0) throw isVisible ? notPermitted('key') : notFound('Key', 'keys');
  return { answer: { deleted_keys: deleted }, changes: distinct(changes) };
}

function distinct(changes: readonly Change[]): Change[] {
  return [...new Map(changes.map((change) => [change.id, change])).values()];
}

export async function keyInfo(call: Call, named: string | undefined): Promise<Outcome> {
  const key = named === undefined ? call.actor.key : await keyToRead(call, named);
  if (key === undefined) throw notFound('Key', 'key');
  const [row] = await keyRows(call, [key]);
  const { token, ...info } = row ?? {};
  return { answer: { key: named ?? token, info } };
}

export async function keysInfo(call: Call, named: readonly string[]): Promise<Outcome> {
  const visible: KeyDocument[] = [];
  for (const name of named) {
    const key = await findKey(call, name);
    if (key !== undefined && (await keyAccess(call, key)) !== undefined) visible.push(key);
  }
  return { answer: { key: named, info: await keyRows(call, visible) } };
}

export async function setBlocked(call: Call, named: string, blocked: boolean): Promise<Outcome> {
  const key = await keyToRead(call, named);
  const isManager =
    isAdmin(call.actor) ||
    (key.team_id !== null && (await teamKeyAccess(call, key.team_id)) === 'write') ||
    (key.organization_id !== null && (await isOrganizationAdmin(call, key.organization_id)));
  if (!isManager) throw notPermitted('key');
  const next = { ...key, blocked, updated_at: timestamp(call), updated_by: call.actor.id };
  const [row] = await keyRows(call, [next]);
  return { answer: row, changes: [put('key', next.key_id, next)] };
}

/** Whoever holds a key may end it, without being anyone else: for keys that were found where they do not belong. */
export async function revokeKey(call: Call, secret: string): Promise<Outcome> {
  const hash = hashSecret(secret);
  const { rows } = await call.view.find('key', { where: { hash }, limit: 1 });
  const [key] = rows;
  if (key === undefined) throw notFound('Key', 'key');
  const others = key.secrets.filter((one) => one.hash !== hash);
  // A secret that rotation already replaced goes alone: the key's new secret is not the one that leaked.
  const isCurrent = currentSecret(key).hash === hash;
  const next: KeyDocument = {
    ...key,
    ...(isCurrent ? { blocked: true } : { secrets: others }),
    updated_at: timestamp(call),
    updated_by: 'holder of the key',
  };
  return {
    answer: { key_id: key.key_id, revoked: isCurrent ? 'key' : 'secret' },
    changes: [put('key', key.key_id, next)],
  };
}

export async function resetKeySpend(call: Call, named: string, to: number): Promise<Outcome> {
  const key = await keyToWrite(call, named);
  const isManager =
    isAdmin(call.actor) ||
    (key.team_id !== null && (await teamKeyAccess(call, key.team_id)) === 'write');
  if (!isManager) throw notPermitted('key');
  const spent = await spentBy(call, 'key', [{ id: key.key_id, window: key.budget_duration }]);
  const { spend: previous } = spent(key.key_id);
  if (to > previous) {
    throw detailError(400, 'reset_to must not be above what was spent.');
  }
  if (key.max_budget !== null && to > key.max_budget) {
    throw detailError(400, 'reset_to must not be above max_budget.');
  }
  const [row] = await keyRows(call, [key]);
  call.spend.reset('key', key.key_id, nanoUsdOf(to));
  return {
    answer: {
      key_hash: currentSecret(key).hash,
      spend: to,
      previous_spend: previous,
      max_budget: key.max_budget,
      budget_reset_at: row?.['budget_reset_at'],
    },
    subject: key.key_id,
  };
}

/** Each entry succeeds or fails for itself; what succeeds is written together. */
export async function updateKeys(
  call: Call,
  entries: z.output<typeof bulkUpdateBody>['keys'],
): Promise<Outcome> {
  const updated = new Map<string, { name: string; key: KeyDocument }>();
  const failed: { key: string; failed_reason: string }[] = [];
  for (const { key: name, ...sent } of entries) {
    try {
      const found = await keyToWrite(call, name);
      const before = updated.get(found.key_id)?.key ?? found;
      updated.set(found.key_id, { name, key: await changedKey(call, before, sent) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      failed.push({ key: name, failed_reason: error.message });
    }
  }
  const keys = [...updated.values()];
  const rows = await keyRows(
    call,
    keys.map(({ key }) => key),
  );
  return {
    answer: {
      total_requested: entries.length,
      successful_updates: keys.map(({ name }, index) => ({ key: name, key_info: rows[index] })),
      failed_updates: failed,
    },
    changes: keys.map(({ key }) => put('key', key.key_id, key)),
  };
}

export async function updateTeamKeys(
  call: Call,
  body: z.output<typeof teamBulkUpdateBody>,
): Promise<Outcome> {
  if ((await teamKeyAccess(call, body.team_id)) === undefined) throw notFound('Team', 'team_id');
  const keys = await call.view.findAll('key', { team_id: body.team_id });
  const named = body.all_keys_in_team ? keys.map(({ key_id }) => key_id) : (body.key_ids ?? []);
  const ofTeam = new Set(
    keys.flatMap((key) => [key.key_id, ...key.secrets.map(({ hash }) => hash)]),
  );
  const { key_alias, user_id, spend, ...fields } = body.update_fields;
  const ofOneKey = Object.entries({ key_alias, user_id, spend });
  const entries = named.map((name) => ({
    ...fields,
    key: name,
    ...(ofTeam.has(name.startsWith('sk-') ? hashSecret(name) : name) ? {} : { key: '' }),
  }));
  const outcome = await updateKeys(call, entries as z.output<typeof bulkUpdateBody>['keys']);
  return {
    ...outcome,
    ignored: ofOneKey.flatMap(([name, value]) =>
      value === undefined ? [] : [`update_fields.${name}`],
    ),
  };
}

/** The key that a caller means: by its secret, the secret's hash, or its id. */
export async function findKey(call: Call, named: string): Promise<KeyDocument | undefined> {
  if (named.startsWith('key_')) return call.view.get('key', named);
  const hash = named.startsWith('sk-') ? hashSecret(named) : named;
  const { rows } = await call.view.find('key', { where: { hash }, limit: 1 });
  return rows[0];
}

async function keyToRead(call: Call, named: string): Promise<KeyDocument> {
  return (await keyWithAccess(call, named)).key;
}

async function keyToWrite(call: Call, named: string): Promise<KeyDocument> {
  const { key, access } = await keyWithAccess(call, named);
  if (access !== 'write') throw notPermitted('key');
  return key;
}

async function keyWithAccess(
  call: Call,
  named: string,
): Promise<{ key: KeyDocument; access: Access }> {
  const key = await findKey(call, named);
  const access = key && (await keyAccess(call, key));
  if (key === undefined || access === undefined) throw notFound('Key', 'key');
  return { key, access };
}

/** What a duration makes of the end of a key: undefined = nothing, null = it has none. */
function expiresAt(call: Call, duration: string | null | undefined): string | null | undefined {
  if (duration === undefined) return undefined;
  if (duration === null || duration === '-1') return null;
  return new Date(call.now + readDuration(duration, 'duration')).toISOString();
}

function readDuration(duration: string, field: string): number {
  const length = durationMs(duration);
  if (length === undefined) {
    throw proxyError(
      400,
      'bad_request_error',
      `Invalid ${field}. Use a number and s, m, h, d, w or mo.`,
      field,
    );
  }
  return length;
}

/** Fills what the caller left out from the configuration, and holds it to the configured caps. */
function withDefaults(call: Call, body: GenerateBody): GenerateBody {
  const { keyDefaults, keyUpperBounds } = call.settings;
  const filled: { [field: string]: unknown } = { ...body };
  for (const [field, value] of Object.entries(keyDefaults)) filled[field] ??= value;
  for (const [field, bound] of Object.entries(keyUpperBounds)) filled[field] ??= bound;
  checkUpperBounds(call, filled);
  return generateBody.parse(filled);
}

/**
 * Holds what a caller sets to the configured caps, whoever it is; to unset one would be above any.
 *
 * @throws ApiError 400
 */
function checkUpperBounds(call: Call, sent: { readonly [field: string]: unknown }): void {
  for (const [field, bound] of Object.entries(call.settings.keyUpperBounds)) {
    const given = sent[field];
    if (given === undefined || (given !== null && sizeOf(given) <= sizeOf(bound))) continue;
    throw detailError(400, {
      error: `${field} is over max limit set in config - max_value=${bound}`,
    });
  }
}

function sizeOf(value: unknown): number {
  return typeof value === 'string' ? (durationMs(value) ?? Infinity) : Number(value);
}

/** @throws ApiError 400 for a word that would match nothing */
function checkRoutes(routes: readonly string[] | null | undefined): void {
  for (const route of routes ?? []) {
    const problem = routeProblem(route);
    if (problem === undefined) continue;
    const { message, hint } = problem;
    const text = [`"${route.slice(0, 40)}" in allowed_routes ${message}.`, hint ?? []].flat();
    throw proxyError(400, 'bad_request_error', text.join(' '), 'allowed_routes');
  }
}

async function checkReferences(call: Call, before: KeyDocument, key: KeyDocument): Promise<void> {
  checkWindows(key);
  await checkHolders(call, before, key);
  if (key.budget_id !== null && (await call.view.get('budget', key.budget_id)) === undefined) {
    throw proxyError(400, 'bad_request_error', 'The budget does not exist.', 'budget_id');
  }
  await requireAccessGroups(call, key.access_group_ids ?? []);
}

/** An administrator may name holders who are not known, as in LiteLLM; one who is being deleted is not among them. */
async function checkHolders(call: Call, before: KeyDocument, key: KeyDocument): Promise<void> {
  for (const [kind, field] of holders) {
    const id = key[field];
    if (id === null || id === before[field]) continue;
    if ((await call.view.get(kind, id)) === undefined) await refuseGone(call, kind, id, field);
  }
  const { team_id: teamId, organization_id: organizationId } = key;
  if (teamId === null || organizationId === null) return;
  if (teamId === before.team_id && organizationId === before.organization_id) return;
  const organizationOfTeam = (await call.view.get('team', teamId))?.organization_id ?? null;
  if (organizationOfTeam === null || organizationOfTeam === organizationId) return;
  throw proxyError(
    400,
    'bad_request_error',
    "The key's team is in another organization, whose limits would not hold for it.",
    'organization_id',
  );
}

const holders = [
  ['team', 'team_id'],
  ['user', 'user_id'],
  ['organization', 'organization_id'],
] as const;

async function checkUnique(call: Call, key: KeyDocument, { stored }: NewSecret): Promise<void> {
  const { rows } = await call.view.find('key', { where: { hash: stored.hash }, limit: 1 });
  if (rows.length > 0) throw taken('key', 'hash');
  await checkAlias(call, key);
}

async function checkAlias(call: Call, key: KeyDocument): Promise<void> {
  if (key.key_alias === null) return;
  const { rows } = await call.view.find('key', { where: { key_alias: key.key_alias }, limit: 1 });
  if (rows.some(({ key_id }) => key_id !== key.key_id)) throw taken('key', 'key_alias');
}
