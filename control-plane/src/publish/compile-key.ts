import { spelledRoutes } from '@aigateway/contract/allowed-routes';
import { parseDuration } from '@aigateway/contract/duration';
import {
  holderScope,
  pairId,
  type BudgetLimit,
  type Limits,
  type LimitScope,
  type ModelLimits,
} from '@aigateway/contract/limits';
import { nanoUsd } from '@aigateway/contract/money';
import { optional } from '@aigateway/contract/optional';
import type { KeyRecord } from '@aigateway/contract/records';
import { modelsWithGroups } from '../access-groups/models.ts';
import type {
  AccessGroupDocument,
  BudgetDocument,
  KeyDocument,
  LimitFields,
  OrganizationDocument,
  TeamDocument,
  TeamMembershipDocument,
  UserDocument,
} from '../store/documents.ts';

/** A key with everything above it that decides what it may do. */
export type KeyRows = {
  readonly key: KeyDocument;
  readonly team?: TeamDocument | undefined;
  readonly user?: UserDocument | undefined;
  readonly membership?: TeamMembershipDocument | undefined;
  readonly organization?: OrganizationDocument | undefined;
  /** Those that the rows name, by id. */
  readonly budgets: ReadonlyMap<string, BudgetDocument>;
  /** Those that key and team name, by id. */
  readonly accessGroups: ReadonlyMap<string, AccessGroupDocument>;
};

type ModelRateFields = Pick<LimitFields, 'model_rpm_limit' | 'model_tpm_limit'>;

export type CompileKeyOptions = {
  /** `general_settings.max_parallel_requests`, for keys without a number of their own. */
  readonly defaultParallel?: number | undefined;
  /** `apply_user_budget_to_team_keys`: else a user's limits hold for the user's own keys only, as in LiteLLM. */
  readonly userLimitsOnTeamKeys?: boolean | undefined;
};

/**
 * Compiles a key's rows to the flat record that proxies hold: what is inherited is resolved, names and units are the data plane's.
 *
 * Pure: the same rows give the same record. The order of the scopes is that of LiteLLM's checks, the widest first.
 */
export function compileKey(rows: KeyRows, options: CompileKeyOptions): KeyRecord {
  const { key, team, user, organization } = rows;
  const teamId = key.team_id ?? undefined;
  const userId = key.user_id ?? undefined;
  const organizationId = organizationIdOf(key, team);
  const credential = team?.credential ?? undefined;
  return {
    keyId: key.key_id,
    secrets: key.secrets.map(({ hash, not_after: end }) => ({
      hash,
      ...optional('notAfter', end === null ? undefined : Date.parse(end)),
    })),
    ...optional('alias', key.key_alias ?? undefined),
    role: user?.user_role === 'proxy_admin' ? 'admin' : 'model',
    ownerId: teamId ?? userId ?? key.key_id,
    ...optional('teamId', teamId),
    ...optional('userId', userId),
    ...optional('organizationId', organizationId),
    models: ownModels(rows),
    ...optional('modelsAbove', modelsAbove(rows)),
    aliases: aliases(key, team),
    routes: spelledRoutes(key.allowed_routes),
    blocked: key.blocked === true || team?.blocked === true,
    ...optional('expiresAt', key.expires === null ? undefined : Date.parse(key.expires)),
    scopes: [
      ...organizationScope(organization, rows.budgets),
      ...teamScope(team),
      ...(bindsUser(rows, options) ? userScope(rows) : []),
      ...memberScope(rows),
      keyScope(rows, options),
    ],
    ...optional('chargedScopes', bindsUser(rows, options) ? undefined : chargedUser(rows)),
    modelLimits: modelLimitsOf(key, rows.budgets.get(key.budget_id ?? '')),
    tags: tagsOf(key, team),
    regions: [],
    ...optional('credential', credential),
    ...(key.metadata['message_logging'] === true && { logsMessages: true }),
  };
}

/** The team's: a key that names another one stays under the limits of what its team belongs to. */
export function organizationIdOf(
  key: KeyDocument,
  team: TeamDocument | undefined,
): string | undefined {
  return team?.organization_id ?? key.organization_id ?? undefined;
}

/** LiteLLM's words for "everything" and "the team's": without an entry of its own a key has its team's list. */
function ownModels({ key, team, accessGroups }: KeyRows): readonly string[] {
  const models = modelsWithGroups(key, accessGroups);
  if (models.includes('all-proxy-models')) return [];
  if (models.length > 0 && !models.includes('all-team-models')) return models;
  return team === undefined ? [] : modelsWithGroups(team, accessGroups);
}

/** Lists above the key that narrow its own; a user's counts for keys without a team, as in LiteLLM. */
function modelsAbove(rows: KeyRows): (readonly string[])[] | undefined {
  const { key, team, user, membership, organization, accessGroups } = rows;
  const lists = [
    organization?.models ?? [],
    team === undefined ? [] : modelsWithGroups(team, accessGroups),
    membership?.allowed_models ?? [],
    key.team_id === null ? (user?.models ?? []) : [],
  ].filter((list) => list.length > 0 && !list.includes('all-proxy-models'));
  return lists.length === 0 ? undefined : lists;
}

/** A team's aliases come first; what they lead to may be an alias of the key. */
function aliases(key: KeyDocument, team: TeamDocument | undefined): { [asked: string]: string } {
  const ofTeam = Object.entries(team?.model_aliases ?? {}).map(
    ([asked, used]) =>
      [asked, (Object.hasOwn(key.aliases, used) ? key.aliases[used] : undefined) ?? used] as const,
  );
  return { ...key.aliases, ...Object.fromEntries(ofTeam) };
}

function scope(
  kind: LimitScope['kind'],
  id: string,
  label: string | null | undefined,
  limits: Limits,
  modelLimits: ModelLimits = {},
): LimitScope[] {
  return holderScope(kind, id, label ?? id, limits, modelLimits);
}

function teamScope(team: TeamDocument | undefined): LimitScope[] {
  if (team === undefined) return [];
  const { team_id: id, team_alias: alias } = team;
  return scope('team', id, alias, limitsOf(team), modelLimitsOf(team));
}

function organizationScope(
  organization: OrganizationDocument | undefined,
  budgets: KeyRows['budgets'],
): LimitScope[] {
  if (organization === undefined) return [];
  const { organization_id: id, organization_alias: alias, budget_id: budgetId } = organization;
  const budget = budgets.get(budgetId);
  if (budget === undefined) return [];
  return scope('organization', id, alias, limitsOf(budget), modelRatesOf(budget));
}

function userScope({ user }: KeyRows): LimitScope[] {
  if (user === undefined) return [];
  const { user_id: id, user_alias: alias, user_email: email } = user;
  return scope('user', id, alias ?? email, limitsOf(user), modelLimitsOf(user));
}

/** A user's limits hold for the user's own keys, as in LiteLLM, unless the settings say otherwise. */
function bindsUser({ key }: KeyRows, options: CompileKeyOptions): boolean {
  return key.team_id === null || options.userLimitsOnTeamKeys === true;
}

/** What the user spends with a team's key counts towards the user's budget, as in LiteLLM, and in the ledger. */
function chargedUser(rows: KeyRows): LimitScope[] | undefined {
  const scopes = userScope(rows).filter(hasBudget);
  return scopes.length === 0 ? undefined : scopes;
}

function hasBudget({ limits, modelLimits = {} }: LimitScope): boolean {
  return [limits, ...Object.values(modelLimits)].some(({ budgets }) => budgets !== undefined);
}

/** The team's budget of members holds where a member's own says nothing. */
function memberScope({ key, team, membership, budgets }: KeyRows): LimitScope[] {
  const { team_id: teamId, user_id: userId } = key;
  if (teamId === null || userId === null) return [];
  const budget = budgets.get(membership?.budget_id ?? '');
  const own = membership === undefined ? {} : withBudget(membership, budget);
  const shared = budgets.get(team === undefined ? '' : (memberBudgetId(team) ?? ''));
  const limits = shared === undefined ? own : { ...limitsOf(withoutZero(shared)), ...own };
  const ofModels = modelRatesOf(membership, budget, shared);
  return scope('team_member', pairId(teamId, userId), userId, limits, ofModels);
}

/** The budget that a team gives to each of its members. */
export function memberBudgetId({ metadata }: Pick<TeamDocument, 'metadata'>): string | undefined {
  const id = metadata['team_member_budget_id'];
  return typeof id === 'string' ? id : undefined;
}

/** In a team's budget of members 0 is no bound, as in LiteLLM. */
function withoutZero(budget: BudgetDocument): BudgetDocument {
  return budget.max_budget === 0 ? { ...budget, max_budget: null } : budget;
}

/** Always there: its calls in flight are counted even where no limit asks for it. */
function keyScope({ key, budgets }: KeyRows, options: CompileKeyOptions): LimitScope {
  const limits = withBudget(key, key.budget_id === null ? undefined : budgets.get(key.budget_id));
  const parallel = limits.parallelRequests ?? options.defaultParallel;
  return {
    kind: 'api_key',
    id: key.key_id,
    label: key.key_alias ?? key.secrets[0]?.name ?? key.key_id,
    limits: {
      ...limits,
      ...optional('parallelRequests', parallel),
      ...optional('requestsInTotal', key.max_requests ?? undefined),
    },
  };
}

/** The limits of a row, with those of its budget where it has none of its own. */
function withBudget(own: LimitFields, budget: BudgetDocument | undefined): Limits {
  return budget === undefined ? limitsOf(own) : { ...limitsOf(budget), ...limitsOf(own) };
}

/** The limits that a row states, in the data plane's units; amounts that are no money are none. */
export function limitsOf(row: LimitFields): Limits {
  const budgets: BudgetLimit[] = [];
  const add = (max: number | null, window: string | null): void => {
    const maxNanoUsd = max === null ? undefined : nanoUsd(max);
    if (maxNanoUsd === undefined) return;
    budgets.push({ maxNanoUsd, ...optional('window', window ?? undefined) });
  };
  add(row.max_budget, row.budget_duration);
  for (const { max_budget: max, budget_duration: window } of row.budget_limits ?? []) {
    add(max, window);
  }
  return {
    ...optional('requestsPerMinute', row.rpm_limit ?? undefined),
    ...optional('tokensPerMinute', row.tpm_limit ?? undefined),
    ...optional('parallelRequests', row.max_parallel_requests ?? undefined),
    ...(budgets.length > 0 ? { budgets } : {}),
  };
}

/** What a row states for single models, by name or pattern, and its budget where the row says nothing. */
export function modelLimitsOf(row: LimitFields, budget?: BudgetDocument): ModelLimits {
  const limits: { [model: string]: Limits } = {};
  for (const [model, money] of Object.entries(row.model_max_budget))
    limits[model] = limitsOfModelBudget(money);
  for (const [model, rates] of Object.entries(modelRatesOf(row, budget)))
    limits[model] = { ...limits[model], ...rates };
  return limits;
}

/** Requests and tokens a minute of single models. Of each field the first row's counts that has any. */
export function modelRatesOf(...rows: readonly (ModelRateFields | undefined)[]): ModelLimits {
  const stated = (field: keyof ModelRateFields) =>
    Object.entries(rows.find((row) => Object.keys(row?.[field] ?? {}).length > 0)?.[field] ?? {});
  const limits: { [model: string]: Limits } = {};
  for (const [model, requestsPerMinute] of stated('model_rpm_limit'))
    limits[model] = { requestsPerMinute };
  for (const [model, tokensPerMinute] of stated('model_tpm_limit'))
    limits[model] = { ...limits[model], tokensPerMinute };
  return limits;
}

/**
 * LiteLLM takes each of money's two members by two names, and requests and tokens a minute beside them. What was meant as a bound and cannot
 * be read is one that lets nothing through.
 */
function limitsOfModelBudget(value: unknown): Limits {
  const fields = typeof value === 'object' && value !== null ? value : {};
  const stated = new Map<string, unknown>(Object.entries(fields));
  const max = stated.get('budget_limit') ?? stated.get('max_budget');
  const window = stated.get('time_period') ?? stated.get('budget_duration');
  const rates: Limits = {
    ...optional('requestsPerMinute', rateOf(stated.get('rpm_limit'))),
    ...optional('tokensPerMinute', rateOf(stated.get('tpm_limit'))),
  };
  if (isUnset(max) && isUnset(window) && Object.keys(rates).length > 0) return rates;
  const maxNanoUsd = typeof max === 'number' ? nanoUsd(max) : undefined;
  const known =
    typeof window === 'string' && parseDuration(window) !== undefined ? window : undefined;
  const isReadable = maxNanoUsd !== undefined && (isUnset(window) || known !== undefined);
  const limit = isReadable ? { maxNanoUsd, ...optional('window', known) } : { maxNanoUsd: 0 };
  return { ...rates, budgets: [limit] };
}

function rateOf(value: unknown): number | undefined {
  if (isUnset(value)) return undefined;
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}

function isUnset(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

/** Tags of a key and its team, LiteLLM's `metadata.tags` among them. */
function tagsOf(key: KeyDocument, team: TeamDocument | undefined): string[] {
  return [
    ...new Set([...key.tags, ...textsOf(key.metadata['tags']), ...textsOf(team?.metadata['tags'])]),
  ];
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
