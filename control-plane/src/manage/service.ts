import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { seesAll } from '../auth/actor.ts';
import { keyAccess, teamAccess, teamKeyAccess } from '../auth/rights.ts';
import { notFound, proxyError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { checkWindows, noLimits, withFields } from '../http/limits.ts';
import { admitsChange } from '../http/preconditions.ts';
import { put, remove } from '../http/view.ts';
import { currentSecret, keyStatus } from '../keys/row.ts';
import { generateBody, regenerateBody } from '../keys/schema.ts';
import { makeKey, regenerateKey, updateKey } from '../keys/service.ts';
import { spentBy } from '../spend/sums.ts';
import type { KeyDocument, Kind, TeamDocument } from '../store/documents.ts';
import type { Change } from '../store/entities.ts';
import { deleteTeams } from '../teams/service.ts';
import type {
  changedProject,
  changedToken,
  newProject,
  newToken,
  projectsQuery,
  rotation,
  tokensQuery,
} from './schema.ts';

/** A project is a team, and a token is a key of it: what one shows, the other has. */
const blank = {
  ...noLimits,
  models: [],
  blocked: false,
  credential: null,
  team_alias: null,
} satisfies Partial<TeamDocument>;

export async function createProject(
  call: Call,
  { name, ...sent }: z.output<typeof newProject>,
): Promise<Outcome> {
  const projectId = randomUUID();
  const at = timestamp(call);
  const fresh: TeamDocument = {
    ...blank,
    team_id: projectId,
    organization_id: null,
    members_with_roles: [],
    team_member_permissions: [],
    model_aliases: {},
    metadata: {},
    inert: {},
    created_at: at,
    created_by: call.actor.id,
    updated_at: at,
    updated_by: call.actor.id,
  };
  return writeProject(call, fresh, { ...sent, team_alias: name });
}

export async function updateProject(
  call: Call,
  projectId: string,
  { name, ...sent }: z.output<typeof changedProject>,
): Promise<Outcome> {
  const project = await visibleProject(call, projectId);
  await checkVersion(call, 'team', projectId);
  return writeProject(call, project, { ...sent, team_alias: name });
}

async function writeProject(call: Call, current: TeamDocument, sent: object): Promise<Outcome> {
  const next: TeamDocument = {
    ...withFields<TeamDocument>(current, blank, sent),
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  checkWindows(next);
  if (
    next.credential !== null &&
    next.credential !== current.credential &&
    (await call.view.get('credential', next.credential)) === undefined
  ) {
    throw proxyError(400, 'bad_request_error', 'There is no such credential.', 'credential');
  }
  return { answer: await projectView(call, next), changes: [put('team', next.team_id, next)] };
}

export async function showProject(call: Call, projectId: string): Promise<Outcome> {
  const project = await visibleProject(call, projectId);
  const version = (await call.view.stored('team', projectId))?.version;
  return { answer: await projectView(call, project), version };
}

export async function listProjects(
  call: Call,
  { limit, after }: z.output<typeof projectsQuery>,
): Promise<Outcome> {
  const { actor } = call;
  const own = actor.userId ?? '';
  const { rows, next } = await call.view.find('team', {
    ...(!seesAll(actor) && { where: { member: own } }),
    limit,
    ...(after !== undefined && { after }),
  });
  const data = await Promise.all(rows.map((team) => projectView(call, team)));
  return { answer: { data, next: next ?? null } };
}

export async function deleteProject(call: Call, projectId: string): Promise<Outcome> {
  await visibleProject(call, projectId);
  await checkVersion(call, 'team', projectId);
  const { changes } = await deleteTeams(call, [projectId]);
  return { answer: { id: projectId, deleted: true }, changes: changes ?? [] };
}

export async function createToken(
  call: Call,
  { project_id, name, expires_in, ...sent }: z.output<typeof newToken>,
): Promise<Outcome> {
  await visibleProject(call, project_id);
  const body = generateBody.parse({
    ...sent,
    team_id: project_id,
    key_alias: name,
    duration: expires_in,
  });
  const { key, made } = await makeKey(call, body);
  return withSecret(await tokenView(call, key), made.secret, [put('key', key.key_id, key)]);
}

export async function updateToken(
  call: Call,
  tokenId: string,
  { name, expires_in, ...sent }: z.output<typeof changedToken>,
): Promise<Outcome> {
  await visibleToken(call, tokenId);
  await checkVersion(call, 'key', tokenId);
  const body = generateBody.parse({ ...sent, key_alias: name, duration: expires_in });
  const { changes = [] } = await updateKey(call, tokenId, body);
  return { answer: await tokenView(call, keyIn(changes)), changes };
}

export async function rotateToken(
  call: Call,
  tokenId: string,
  { grace_period }: z.output<typeof rotation>,
): Promise<Outcome> {
  await visibleToken(call, tokenId);
  await checkVersion(call, 'key', tokenId);
  const outcome = await regenerateKey(call, tokenId, regenerateBody.parse({ grace_period }));
  const { key } = outcome.answer as { key: string };
  const { changes = [] } = outcome;
  return withSecret(await tokenView(call, keyIn(changes)), key, changes);
}

function keyIn(changes: readonly Change[]): KeyDocument {
  return changes[0]?.document as KeyDocument;
}

/** A secret is shown once, also to who asks for the same again. */
function withSecret(token: JsonObject, secret: string, changes: readonly Change[]): Outcome {
  return { answer: { ...token, secret }, answerAgain: { ...token, secret: null }, changes };
}

export async function showToken(call: Call, tokenId: string): Promise<Outcome> {
  const key = await visibleToken(call, tokenId);
  const version = (await call.view.stored('key', tokenId))?.version;
  return { answer: await tokenView(call, key), version };
}

export async function listTokens(
  call: Call,
  { project_id, limit, after }: z.output<typeof tokensQuery>,
): Promise<Outcome> {
  const { actor } = call;
  if (project_id !== undefined) await visibleProject(call, project_id);
  const ofProject = project_id === undefined ? {} : { team_id: project_id };
  // Who holds a key of a project, and is nobody in it, sees that key alone.
  const seesProject =
    seesAll(actor) ||
    (project_id !== undefined && (await teamKeyAccess(call, project_id)) !== undefined);
  const own =
    actor.userId === undefined
      ? { hash: actor.key === undefined ? '' : currentSecret(actor.key).hash }
      : { user_id: actor.userId };
  const where = seesProject ? ofProject : { ...ofProject, ...own };
  const { rows, next } = await call.view.find('key', {
    where,
    limit,
    ...(after !== undefined && { after }),
  });
  const data = await Promise.all(rows.map((key) => tokenView(call, key)));
  return { answer: { data, next: next ?? null } };
}

export async function deleteToken(call: Call, tokenId: string): Promise<Outcome> {
  const key = await visibleToken(call, tokenId);
  if ((await keyAccess(call, key)) !== 'write') {
    throw proxyError(403, 'auth_error', 'You may not change this token.', 'None');
  }
  await checkVersion(call, 'key', tokenId);
  return { answer: { id: tokenId, deleted: true }, changes: [remove('key', tokenId)] };
}

async function visibleProject(call: Call, projectId: string): Promise<TeamDocument> {
  const team = await call.view.get('team', projectId);
  if (team === undefined || (await teamAccess(call, team)) === undefined)
    throw notFound('Project', 'project_id');
  return team;
}

async function visibleToken(call: Call, tokenId: string): Promise<KeyDocument> {
  const key = await call.view.get('key', tokenId);
  if (key === undefined || (await keyAccess(call, key)) === undefined)
    throw notFound('Token', 'id');
  return key;
}

/** With `If-Match` a change is made only to what the caller has seen. */
async function checkVersion(call: Call, kind: Kind, id: string): Promise<void> {
  const version = (await call.view.stored(kind, id))?.version;
  if (!admitsChange(call.ifMatch, version)) {
    throw proxyError(412, 'precondition_failed', 'It was changed meanwhile. Read it again.');
  }
}

async function projectView(call: Call, team: TeamDocument): Promise<JsonObject> {
  const spent = await spentBy(call, 'team', [{ id: team.team_id, window: team.budget_duration }]);
  return {
    id: team.team_id,
    name: team.team_alias,
    credential: team.credential,
    blocked: team.blocked,
    ...limitsView(team),
    spend: spent(team.team_id).spend,
    created_at: team.created_at,
    updated_at: team.updated_at,
  };
}

async function tokenView(call: Call, key: KeyDocument): Promise<JsonObject> {
  const spent = await spentBy(call, 'key', [{ id: key.key_id, window: key.budget_duration }]);
  return {
    id: key.key_id,
    project_id: key.team_id,
    name: key.key_alias,
    hint: currentSecret(key).name,
    status: keyStatus(key, call.now),
    expires_at: key.expires,
    max_requests: key.max_requests,
    ...limitsView(key),
    spend: spent(key.key_id).spend,
    created_at: key.created_at,
    updated_at: key.updated_at,
  };
}

function limitsView(holder: KeyDocument | TeamDocument): JsonObject {
  return {
    models: [...holder.models],
    max_budget: holder.max_budget,
    budget_duration: holder.budget_duration,
    rpm_limit: holder.rpm_limit,
    tpm_limit: holder.tpm_limit,
    max_parallel_requests: holder.max_parallel_requests,
    model_rpm_limit: holder.model_rpm_limit,
    model_tpm_limit: holder.model_tpm_limit,
    model_max_budget: holder.model_max_budget,
  };
}
