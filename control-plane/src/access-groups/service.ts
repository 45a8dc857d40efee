import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { detailError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { inertFields } from '../http/fields.ts';
import { withFields } from '../http/limits.ts';
import { put, remove } from '../http/view.ts';
import { currentSecret } from '../keys/row.ts';
import { findKey } from '../keys/service.ts';
import type { AccessGroupDocument, KeyDocument, TeamDocument } from '../store/documents.ts';
import { newBody, type updateBody } from './schema.ts';

type UpdateBody = z.output<typeof updateBody>;

const blank = { description: null, access_model_names: [] } satisfies Partial<AccessGroupDocument>;

export async function createGroup(call: Call, body: z.output<typeof newBody>): Promise<Outcome> {
  const at = timestamp(call);
  const fresh: AccessGroupDocument = {
    ...blank,
    access_group_id: randomUUID(),
    access_group_name: body.access_group_name,
    inert: {},
    created_at: at,
    created_by: call.actor.id,
    updated_at: at,
    updated_by: call.actor.id,
  };
  return writeGroup(call, fresh, body);
}

export async function updateGroup(call: Call, id: string, sent: UpdateBody): Promise<Outcome> {
  return writeGroup(call, await requireGroup(call, id), sent);
}

async function writeGroup(
  call: Call,
  current: AccessGroupDocument,
  sent: UpdateBody,
): Promise<Outcome> {
  const next: AccessGroupDocument = {
    ...withFields<AccessGroupDocument>(current, blank, sent),
    access_group_name: sent.access_group_name ?? current.access_group_name,
    inert: { ...current.inert, ...inertFields(newBody, sent) },
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  if (next.access_model_names.includes('all-team-models')) {
    throw detailError(400, { error: 'A group of models is of no team: name the models.' });
  }
  const before = await holdersOf(call, current.access_group_id);
  const after = {
    teams: await assignedTeams(call, before.teams, sent.assigned_team_ids),
    keys: await assignedKeys(call, before.keys, sent.assigned_key_ids),
  };
  const { access_group_id: id } = next;
  const changes = [
    ...changed(call, before.teams, after.teams, id, ({ team_id }) => team_id).map((team) =>
      put('team', team.team_id, team),
    ),
    ...changed(call, before.keys, after.keys, id, ({ key_id }) => key_id).map((key) =>
      put('key', key.key_id, key),
    ),
  ];
  return { answer: groupRow(next, after), changes: [put('access_group', id, next), ...changes] };
}

type Holders = { readonly teams: readonly TeamDocument[]; readonly keys: readonly KeyDocument[] };

async function holdersOf(call: Call, id: string): Promise<Holders> {
  return {
    teams: await call.view.findAll('team', { access_group_id: id }),
    keys: await call.view.findAll('key', { access_group_id: id }),
  };
}

async function assignedTeams(
  call: Call,
  current: readonly TeamDocument[],
  wanted: readonly string[] | null | undefined,
): Promise<readonly TeamDocument[]> {
  if (wanted === undefined) return current;
  const found = await call.view.getMany('team', wanted ?? []);
  const missing = wanted?.find((id) => !found.has(id));
  if (missing !== undefined) throw detailError(400, { error: `Team ${missing} not found` });
  return [...found.values()];
}

async function assignedKeys(
  call: Call,
  current: readonly KeyDocument[],
  wanted: readonly string[] | null | undefined,
): Promise<readonly KeyDocument[]> {
  if (wanted === undefined) return current;
  const found = new Map<string, KeyDocument>();
  for (const name of wanted ?? []) {
    const key = await findKey(call, name);
    if (key === undefined) throw detailError(400, { error: 'A key of assigned_key_ids not found' });
    found.set(key.key_id, key);
  }
  return [...found.values()];
}

/** Keys or teams that get the group or lose it, as they are then. */
function changed<Holder extends TeamDocument | KeyDocument>(
  call: Call,
  before: readonly Holder[],
  after: readonly Holder[],
  groupId: string,
  idOf: (holder: Holder) => string,
): Holder[] {
  const had = new Set(before.map(idOf));
  const has = new Set(after.map(idOf));
  const by = { updated_at: timestamp(call), updated_by: call.actor.id };
  const gained = after
    .filter((holder) => !had.has(idOf(holder)))
    .map((holder) => ({
      ...holder,
      access_group_ids: [...(holder.access_group_ids ?? []), groupId],
      ...by,
    }));
  const lost = before
    .filter((holder) => !has.has(idOf(holder)))
    .map((holder) => {
      const left = (holder.access_group_ids ?? []).filter((id) => id !== groupId);
      if (left.length === 0 && holder.models.length === 0) {
        throw detailError(400, {
          error: `${idOf(holder)} has its models from this group alone, and without it every model. Give it "models" first.`,
        });
      }
      return { ...holder, access_group_ids: left, ...by };
    });
  return [...gained, ...lost];
}

export async function listGroups(call: Call): Promise<Outcome> {
  const groups: AccessGroupDocument[] = [];
  for await (const group of call.view.all('access_group')) groups.push(group);
  const ids = groups.map(({ access_group_id }) => access_group_id);
  const [teams, keys] =
    ids.length === 0
      ? [[], []]
      : await Promise.all([
          call.view.findAll('team', { access_group_id: ids }),
          call.view.findAll('key', { access_group_id: ids }),
        ]);
  const having = <Holder extends TeamDocument | KeyDocument>(
    holders: readonly Holder[],
    id: string,
  ) => holders.filter((holder) => holder.access_group_ids?.includes(id));
  return {
    answer: groups.map((group) =>
      groupRow(group, {
        teams: having(teams, group.access_group_id),
        keys: having(keys, group.access_group_id),
      }),
    ),
  };
}

export async function showGroup(call: Call, id: string): Promise<Outcome> {
  const group = await requireGroup(call, id);
  return { answer: groupRow(group, await holdersOf(call, id)) };
}

/** A group in use stays: who had its models from it alone would have every model. */
export async function deleteGroup(call: Call, id: string): Promise<Outcome> {
  await requireGroup(call, id);
  const { teams, keys } = await holdersOf(call, id);
  if (teams.length + keys.length > 0) {
    throw detailError(400, {
      error: `The group is in use by ${teams.length} teams and ${keys.length} keys. Take it from them first: PUT assigned_team_ids and assigned_key_ids as [].`,
    });
  }
  return { answer: undefined, changes: [remove('access_group', id)] };
}

async function requireGroup(call: Call, id: string): Promise<AccessGroupDocument> {
  const group = await call.view.get('access_group', id);
  if (group === undefined) throw detailError(404, `Access group '${id}' not found`);
  return group;
}

function groupRow(group: AccessGroupDocument, { teams, keys }: Holders): JsonObject {
  return {
    access_group_id: group.access_group_id,
    access_group_name: group.access_group_name,
    description: group.description,
    access_model_names: [...group.access_model_names],
    access_mcp_server_ids: group.inert['access_mcp_server_ids'] ?? [],
    access_agent_ids: group.inert['access_agent_ids'] ?? [],
    assigned_team_ids: teams.map(({ team_id }) => team_id),
    assigned_key_ids: keys.map((key) => currentSecret(key).hash),
    assigned_teams: teams.map(({ team_id, team_alias }) => ({ id: team_id, name: team_alias })),
    assigned_keys: keys.map((key) => ({ id: currentSecret(key).hash, name: key.key_alias })),
    created_at: group.created_at,
    created_by: group.created_by,
    updated_at: group.updated_at,
    updated_by: group.updated_by,
  };
}
