import { type Limits, takePlaceOf } from '@aigateway/contract/limits';
import { matchesPattern } from '@aigateway/contract/wildcard';
import { modelsOf } from '../access-groups/models.ts';
import { isAdmin } from '../auth/actor.ts';
import { routesCover } from '../auth/allowed-routes.ts';
import {
  forbiddenField,
  isOrganizationAdmin,
  modelsCover,
  teamAccess,
  teamKeyAccess,
} from '../auth/rights.ts';
import { notFound } from '../errors.ts';
import type { Call } from '../http/call.ts';
import { isEmpty } from '../http/fields.ts';
import { noLimits } from '../http/limits.ts';
import { modelLimitsOf } from '../publish/compile-key.ts';
import type { KeyDocument, LimitFields } from '../store/documents.ts';

/** Limits of the acting key that a key made or changed with it cannot exceed. */
const cappedLimits = [
  'max_budget',
  'rpm_limit',
  'tpm_limit',
  'max_parallel_requests',
  'max_requests',
] as const;

const limitNames = Object.keys(noLimits) as (keyof LimitFields)[];

/** Metadata that changes what a gateway lets a client do. */
const powerfulMetadata = [
  'allow_client_mock_response',
  'allow_client_pricing_override',
  'allow_client_message_redaction_opt_out',
  'message_logging',
  'model_config',
  'service_account_id',
];

/** Fills what a new key leaves open with what the acting key has: it cannot give more than it is given. */
export function confine(call: Call, key: KeyDocument): KeyDocument {
  const own = call.actor.key;
  if (own === undefined || isAdmin(call.actor)) return key;
  const next = { ...key };
  for (const limit of cappedLimits) next[limit] ??= own[limit];
  if (key.max_budget === null) next.budget_duration = own.budget_duration;
  next.expires ??= own.expires;
  if (next.models.length === 0 && (next.access_group_ids ?? []).length === 0) {
    next.models = own.models;
    next.access_group_ids = own.access_group_ids ?? [];
  }
  if (next.allowed_routes.length === 0) next.allowed_routes = own.allowed_routes;
  next.budget_id ??= own.budget_id;
  next.budget_limits ??= own.budget_limits;
  next.model_rpm_limit = joined(own.model_rpm_limit, key.model_rpm_limit);
  next.model_tpm_limit = joined(own.model_tpm_limit, key.model_tpm_limit);
  next.model_max_budget = { ...own.model_max_budget, ...key.model_max_budget };
  next.tags = [...new Set([...own.tags, ...key.tags])];
  return next;
}

type ModelLimits = { readonly [model: string]: number } | null;

function joined(own: ModelLimits, more: ModelLimits): { [model: string]: number } | null {
  return own === null ? more : { ...own, ...more };
}

/**
 * Checks that a caller gives a key no more than it has itself.
 *
 * @param before - the key as it was; a new one is blank
 * @param sent - the fields as they came
 * @throws ApiError 403 for a field it may not set, or not so high; 404 for a team or organization it does not see
 */
export async function checkGrant(
  call: Call,
  before: KeyDocument,
  after: KeyDocument,
  sent: object,
): Promise<void> {
  const { actor } = call;
  if (isAdmin(actor)) return;
  const fields = sent as { [field: string]: unknown };
  for (const field of ['spend', 'permissions']) {
    if (!isEmpty(fields[field])) throw forbiddenField(field, 'administrators set it');
  }
  if (after.budget_id !== before.budget_id && after.budget_id !== actor.key?.budget_id) {
    throw forbiddenField('budget_id', 'administrators set it');
  }
  const groups = after.access_group_ids ?? [];
  const known = [before.access_group_ids ?? [], actor.key?.access_group_ids ?? []];
  if (!known.some((list) => same(list, groups))) {
    throw forbiddenField('access_group_ids', 'administrators set it');
  }
  if (Boolean(after.blocked) !== Boolean(before.blocked)) {
    throw forbiddenField('blocked', 'those above the key block and unblock it');
  }
  for (const name of powerfulMetadata) {
    if (!same(before.metadata[name], after.metadata[name]))
      throw forbiddenField(`metadata.${name}`, 'administrators set it');
  }
  await checkOwners(call, before, after);
  await checkModels(call, before, after);
  await checkTeamsModelLimits(call, before, after);
  checkCaps(await ownLimits(call), before, after);
}

/** The acting key, with what its budget gives it where it has no limit itself. */
async function ownLimits({ actor, view }: Call): Promise<KeyDocument | undefined> {
  const own = actor.key;
  if (own === undefined || own.budget_id === null) return own;
  const budget = await view.get('budget', own.budget_id);
  if (budget === undefined) return own;
  const open = limitNames.filter((name) => own[name] !== 0 && isEmpty(own[name]));
  return { ...own, ...Object.fromEntries(open.map((name) => [name, budget[name]])) };
}

/** A key's own limit for a model takes the place of its team's: whoever may not raise the one may not give the other. */
async function checkTeamsModelLimits(
  call: Call,
  before: KeyDocument,
  after: KeyDocument,
): Promise<void> {
  if (after.team_id === null) return;
  const [team, budget] = await Promise.all([
    call.view.get('team', after.team_id),
    after.budget_id === null ? undefined : call.view.get('budget', after.budget_id),
  ]);
  if (team === undefined) return;
  const own = new Map(Object.entries(modelLimitsOf(after, budget)));
  const known = new Map(
    after.team_id === before.team_id && after.budget_id === before.budget_id
      ? Object.entries(modelLimitsOf(before, budget))
      : [],
  );
  const ofTeam = Object.entries(modelLimitsOf(team));
  const isTaken = [...own].some(
    ([entry, limits]) =>
      !same(ratesOf(known.get(entry)), ratesOf(limits)) &&
      ofTeam.some(([other, more]) => mayMeet(entry, other) && takePlaceOf(limits, more)),
  );
  const isAbove =
    team.organization_id !== null && (await isOrganizationAdmin(call, team.organization_id));
  if (isTaken && !isAbove) {
    throw forbiddenField(
      modelRates.find((limit) => after[limit] !== null) ?? modelRates[0],
      'its team has a limit for the model, which it would take the place of',
    );
  }
}

function ratesOf({ requestsPerMinute, tokensPerMinute }: Limits = {}): unknown {
  return [requestsPerMinute, tokensPerMinute];
}

/** Whether two names or patterns may stand for the same model. */
function mayMeet(one: string, other: string): boolean {
  if (one.includes('*') && other.includes('*')) return true;
  return one === other || matchesPattern(one, other) || matchesPattern(other, one);
}

async function checkOwners(call: Call, before: KeyDocument, after: KeyDocument): Promise<void> {
  const { actor, view } = call;
  if (after.team_id !== before.team_id && after.team_id !== null) {
    const access = await teamKeyAccess(call, after.team_id);
    if (access === undefined) throw notFound('Team', 'team_id');
    if (access === 'read') throw forbiddenField('team_id', 'the team does not let its members');
  }
  if (after.user_id !== before.user_id && after.user_id !== actor.userId) {
    const team = after.team_id === null ? undefined : await view.get('team', after.team_id);
    const isManager = team !== undefined && (await teamAccess(call, team)) === 'write';
    const isMember = team?.members_with_roles.some(({ user_id }) => user_id === after.user_id);
    if (after.user_id !== null && !(isManager && isMember))
      throw forbiddenField('user_id', 'keys are made for oneself, or for members of a team');
    if (after.user_id === null && !isManager)
      throw forbiddenField('user_id', 'a key without a user is for team administrators to make');
  }
  if (after.organization_id !== before.organization_id && after.organization_id !== null) {
    if (!(await isOrganizationAdmin(call, after.organization_id)))
      throw notFound('Organization', 'organization_id');
  }
}

async function checkModels(call: Call, before: KeyDocument, after: KeyDocument): Promise<void> {
  const isSame =
    same(before.models, after.models) &&
    same(before.access_group_ids ?? [], after.access_group_ids ?? []);
  if (isSame && before.team_id === after.team_id) return;
  const { actor, view } = call;
  const team = after.team_id === null ? undefined : await view.get('team', after.team_id);
  const models = await modelsOf(call, after);
  const wanted = models.filter((model) => model !== 'all-team-models');
  const holder = team === undefined ? (actor.user?.models ?? []) : await modelsOf(call, team);
  if (!modelsCover(holder, wanted)) {
    throw forbiddenField('models', 'there are models in it that the owner may not use');
  }
  const own = actor.key === undefined ? [] : await modelsOf(call, actor.key);
  const isWide = own.length > 0 && models.length === 0;
  if (isWide || !modelsCover(own, models)) {
    throw forbiddenField('models', 'there are models in it that your key may not use');
  }
}

function checkCaps(own: KeyDocument | undefined, before: KeyDocument, after: KeyDocument): void {
  if (own === undefined) return;
  for (const limit of cappedLimits) {
    const cap = own[limit];
    if (cap === null || after[limit] === before[limit]) continue;
    const value = after[limit];
    if (value === null || value > cap) throw forbiddenField(limit, 'it exceeds that of your key');
  }
  checkModelCaps(own, before, after);
  if (own.budget_limits !== null && !same(after.budget_limits, before.budget_limits)) {
    if (!same(after.budget_limits, own.budget_limits))
      throw forbiddenField('budget_limits', 'your key has others');
  }
  if (!same(after.tags, before.tags) && own.tags.some((tag) => !after.tags.includes(tag))) {
    throw forbiddenField('tags', 'those of your key go with it: limits hang on them');
  }
  if (own.max_budget !== null && after.budget_duration !== before.budget_duration) {
    const isLooser =
      after.budget_duration !== null && after.budget_duration !== own.budget_duration;
    if (isLooser) throw forbiddenField('budget_duration', 'your key has another one');
  }
  if (own.expires !== null && after.expires !== before.expires) {
    if (after.expires === null || after.expires > own.expires)
      throw forbiddenField('duration', 'it ends later than your key');
  }
  if (
    !same(before.allowed_routes, after.allowed_routes) &&
    !routesCover(own.allowed_routes, after.allowed_routes)
  ) {
    throw forbiddenField('allowed_routes', 'there are routes in it that your key may not call');
  }
}

const modelRates = ['model_rpm_limit', 'model_tpm_limit'] as const;
const memberOf = {
  model_rpm_limit: 'requestsPerMinute',
  model_tpm_limit: 'tokensPerMinute',
} as const;

/** What the acting key has for single models stays, and no name of its own takes a model out of what a pattern bounds. */
function checkModelCaps(own: KeyDocument, before: KeyDocument, after: KeyDocument): void {
  const given = new Map(Object.entries(modelLimitsOf(after)));
  for (const [model, caps] of Object.entries(modelLimitsOf(own))) {
    for (const limit of modelRates) {
      const cap = caps[memberOf[limit]];
      if (cap === undefined || same(after[limit], before[limit])) continue;
      const value = given.get(model)?.[memberOf[limit]];
      if (value === undefined || value > cap)
        throw forbiddenField(limit, 'it exceeds that of your key');
    }
  }
  if (!same(after.model_max_budget, before.model_max_budget)) {
    const budgets = new Map(Object.entries(after.model_max_budget));
    for (const [model, budget] of Object.entries(own.model_max_budget)) {
      if (!same(budgets.get(model), budget))
        throw forbiddenField('model_max_budget', 'your key has another one');
    }
  }
  const bounded = limitedModels(own);
  const known = new Set([...bounded, ...limitedModels(before)]);
  for (const model of limitedModels(after)) {
    if (known.has(model) || !bounded.some((pattern) => matchesPattern(pattern, model))) continue;
    throw forbiddenField(
      'model_rpm_limit',
      'your key has a limit for several models with this one',
    );
  }
}

/** Names and patterns of models that a key has any limit for: the most specific counts alone. */
function limitedModels(key: KeyDocument): string[] {
  return [...modelRates, 'model_max_budget' as const].flatMap((field) =>
    Object.keys(key[field] ?? {}),
  );
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
