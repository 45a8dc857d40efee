import { routeProblem, spelledRoutes } from './allowed-routes.ts';
import type { Config, ProjectConfig, VirtualKeyConfig } from './config.ts';
import type { ConfigPath, Report } from './config-problems.ts';
import { type Environment, firstSet, masterKeyNames, unsetVariable } from './environment-config.ts';
import { hashSecret, masterKeyId } from './key.ts';
import {
  type BudgetLimit,
  holderScope,
  type Limits,
  type LimitScope,
  type ModelLimits,
} from './limits.ts';
import { notConfigured } from './compile-router.ts';
import { nearestName } from './names.ts';
import { optional } from './optional.ts';
import type { KeyRecord, SecretReference } from './records.ts';
import { normaliseRegion } from './regions.ts';
import { createSharing, withSharedPolicy } from './sharing.ts';
import { matchesPattern } from './wildcard.ts';

/** LiteLLM's name for calls with the master key. */
const masterUserId = 'default_user_id';

/** Master keys that stand in every tutorial. */
const knownMasterKeys: ReadonlySet<string> = new Set([
  'sk-1234',
  'sk-12345',
  'sk-master',
  'sk-test',
  'sk-key',
  'changeme',
]);

/** Shorter ones can be guessed. */
const leastKeyLength = 16;

export type KeyContext = {
  readonly config: Config;
  readonly environment: Environment;
  readonly profile: 'development' | 'production';
  /** Names of `credential_list`. */
  readonly credentials: { has(name: string): boolean; keys(): Iterable<string> };
  /** Names that `models` of a key may use: models, patterns and access groups. */
  readonly modelNames: ReadonlySet<string>;
  readonly report: Report;
};

/** A key of the configuration, and the position it was written at. */
type Entry = {
  readonly key: VirtualKeyConfig;
  readonly path: ConfigPath;
  readonly project?: ProjectConfig;
};

/** Every key of the configuration and the environment: those of projects, virtual keys, and the administrator's. */
export function compileKeys(
  positions: { readonly [list: string]: readonly number[] },
  context: KeyContext,
): KeyRecord[] {
  const { config, report } = context;
  const entries: Entry[] = (config.virtual_keys ?? []).map((key, index) => ({
    key,
    path: ['virtual_keys', positions['virtual_keys']?.[index] ?? index],
  }));
  const projectNames = new Set<string>();
  for (const [index, project] of (config.projects ?? []).entries()) {
    const path: ConfigPath = ['projects', positions['projects']?.[index] ?? index];
    if (projectNames.has(project.name))
      report.problem([...path, 'name'], 'is the name of another project too');
    projectNames.add(project.name);
    for (const [at, key] of (project.virtual_keys ?? []).entries()) {
      entries.push({ key, project, path: [...path, 'virtual_keys', at] });
    }
  }

  const master = masterKey(context);
  const keys = master === undefined ? [] : [master];
  const seenIds = new Set(keys.map(({ keyId }) => keyId));
  const seenHashes = new Set(keys.flatMap(({ secrets }) => secrets.map(({ hash }) => hash)));
  const share = createSharing();
  for (const entry of entries) {
    const record = compileKey(entry, context);
    if (record === undefined) continue;
    const hashes = record.secrets.map(({ hash }) => hash);
    if (hashes.some((hash) => seenHashes.has(hash))) {
      report.problem(entry.path, 'is the same key as another one');
    } else if (seenIds.has(record.keyId)) {
      report.problem([...entry.path, 'key_alias'], 'is the name of another key too');
    } else {
      seenIds.add(record.keyId);
      for (const hash of hashes) seenHashes.add(hash);
      keys.push(withSharedPolicy(record, share));
    }
  }
  return keys;
}

function masterKey(context: KeyContext): KeyRecord | undefined {
  const { config, environment, profile, report } = context;
  const general = config.general_settings ?? {};
  const name = firstSet(environment, masterKeyNames);
  const configured =
    general.master_key ?? (name === undefined ? undefined : ({ kind: 'env', name } as const));
  const path: ConfigPath =
    general.master_key === undefined && name !== undefined
      ? [`$${name}`]
      : ['general_settings', 'master_key'];
  if (configured === undefined) return undefined;
  const secret = resolve(configured, path, context);
  if (secret === undefined) return undefined;

  if (configured.kind === 'inline') {
    report.notice('risk', path, 'stands in the file in the clear; use os.environ/NAME');
  }
  const isKnown = knownMasterKeys.has(secret);
  const isPermitted =
    general.dangerously_permit_weak_or_unset_master_key === true ||
    /^(true|1|yes|on)$/i.test(
      environment['LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY'] ?? '',
    );
  if (isKnown && profile === 'production' && !isPermitted) {
    report.problem(
      path,
      'is publicly known',
      'Make one with: openssl rand -hex 24, and put sk- in front.',
    );
    return undefined;
  }
  if (isKnown || secret.length < leastKeyLength) {
    report.notice('risk', path, 'is publicly known or short: anyone could guess it');
  }
  return {
    keyId: masterKeyId,
    secrets: [{ hash: hashSecret(secret) }],
    alias: masterKeyId,
    role: 'admin',
    ownerId: masterUserId,
    userId: masterUserId,
    models: [],
    aliases: {},
    routes: [],
    blocked: false,
    scopes: [keyScope(masterKeyId, {}, config)],
    modelLimits: {},
    tags: [],
    regions: [],
  };
}

function compileKey({ key, path, project }: Entry, context: KeyContext): KeyRecord | undefined {
  const { config, report } = context;
  const secrets = keySecrets(key, path, context);
  if (secrets === undefined) return undefined;
  const alias = key.key_alias ?? key.alias;
  const keyId = alias ?? (secrets[0]?.hash ?? '').slice(0, 16);
  const teamId = project?.name ?? key.team_id;
  if (project !== undefined && key.team_id !== undefined && key.team_id !== project.name) {
    report.problem(
      [...path, 'team_id'],
      'differs from the project that the key stands in',
      'Remove it.',
    );
  }
  const own = key.credential ?? key.litellm_credential_name;
  const credential = own ?? project?.credential ?? project?.litellm_credential_name;
  if (credential !== undefined)
    checkCredential(credential, own === undefined ? path.slice(0, 2) : path, context);

  if (key.message_logging === true) noteMessageLogging([...path, 'message_logging'], context);
  const models = keyModels(key, project);
  checkModels(models, [...path, 'models'], context);
  const ofUser = userScope(key, context);
  const bindsUser =
    teamId === undefined || config.general_settings?.apply_user_budget_to_team_keys === true;
  const scopes: LimitScope[] = [
    ...teamScope(project),
    ...(bindsUser ? ofUser : []),
    keyScope(keyId, limitsOf(key), config),
  ];
  return {
    keyId,
    secrets,
    ...optional('alias', alias),
    role: key.role ?? 'model',
    ownerId: teamId ?? key.user_id ?? keyId,
    ...optional('teamId', teamId),
    ...optional('userId', key.user_id),
    ...optional('organizationId', key.organization_id),
    models,
    aliases: key.aliases ?? {},
    routes: routesOf(key.allowed_routes ?? [], [...path, 'allowed_routes'], report),
    blocked: key.blocked === true || project?.blocked === true,
    ...optional('expiresAt', key.expires),
    scopes,
    // A user's budget holds for the user's own keys and counts those of a team as well, as in LiteLLM.
    ...(!bindsUser && ofUser.length > 0 && { chargedScopes: ofUser }),
    modelLimits: modelLimits(key),
    tags: [...new Set([...(key.tags ?? []), ...(project?.tags ?? [])])],
    regions: (
      key.allowed_regions ??
      key.allowed_model_region ??
      project?.allowed_regions ??
      []
    ).map((region) => normaliseRegion(region)),
    ...optional('credential', credential),
    ...optional('maxOutputTokens', key.max_output_tokens),
    ...optional('maxChoices', key.max_choices),
    ...(key.message_logging === true && { logsMessages: true }),
  };
}

/** What is left in logs is to be known by whoever starts it. */
function noteMessageLogging(path: ConfigPath, { config, report }: KeyContext): void {
  const isOff =
    config.aigateway_settings?.message_logging !== true ||
    config.litellm_settings?.turn_off_message_logging === true;
  if (isOff) report.notice('inert', path, 'has no effect: message logging is switched off');
  else report.notice('risk', path, 'has prompts and answers of this key in the log, redacted');
}

function keySecrets(
  key: VirtualKeyConfig,
  path: ConfigPath,
  context: KeyContext,
): KeyRecord['secrets'] | undefined {
  const { report } = context;
  if ((key.key === undefined) === (key.key_hash === undefined)) {
    report.problem(
      path,
      key.key === undefined ? 'has neither key nor key_hash' : 'has both key and key_hash',
      'Give key: os.environ/NAME, or key_hash: the SHA-256 of the key.',
    );
    return undefined;
  }
  const current =
    key.key === undefined
      ? readHash(key.key_hash ?? '', path, report)
      : hashOf(key.key, [...path, 'key'], context);
  if (current === undefined) return undefined;
  if (key.previous_key === undefined) return [{ hash: current }];
  const previous = hashOf(key.previous_key, [...path, 'previous_key'], context);
  if (previous === undefined) return undefined;
  return [{ hash: current }, { hash: previous, ...optional('notAfter', key.previous_key_expires) }];
}

function readHash(text: string, path: ConfigPath, report: Report): string | undefined {
  const hash = text.toLowerCase().replace(/^sha256:/, '');
  if (/^[0-9a-f]{64}$/.test(hash)) return hash;
  report.problem(
    [...path, 'key_hash'],
    'is no SHA-256 in hexadecimal',
    'Make it with: printf %s "$KEY" | sha256sum',
  );
  return undefined;
}

function hashOf(
  secret: SecretReference,
  path: ConfigPath,
  context: KeyContext,
): string | undefined {
  const value = resolve(secret, path, context);
  if (value === undefined) return undefined;
  if (secret.kind === 'inline') {
    context.report.notice(
      'risk',
      path,
      'stands in the file in the clear; use os.environ/NAME or key_hash',
    );
  }
  if (value.length < leastKeyLength) {
    context.report.notice(
      'risk',
      path,
      `is shorter than ${leastKeyLength} characters: it could be guessed`,
    );
  }
  return hashSecret(value);
}

function resolve(
  secret: SecretReference,
  path: ConfigPath,
  { environment, report }: KeyContext,
): string | undefined {
  if (secret.kind !== 'env') return 'value' in secret ? secret.value : undefined;
  const value = environment[secret.name]?.trim();
  if (value) return value;
  const { message, hint } = unsetVariable(secret.name, environment);
  report.problem(path, message, hint);
  return undefined;
}

function checkCredential(name: string, path: ConfigPath, context: KeyContext): void {
  if (context.credentials.has(name)) return;
  const near = nearestName(name, context.credentials.keys());
  context.report.problem(
    [...path, 'credential'],
    'names no credential of credential_list',
    near === undefined ? undefined : `Did you mean ${near}?`,
  );
}

/** LiteLLM's words for "everything" and "the team's"; `no-default-models` stays, it matches nothing. */
function keyModels(key: VirtualKeyConfig, project: ProjectConfig | undefined): string[] {
  const own = key.models ?? [];
  if (own.includes('all-proxy-models')) return [];
  if (own.length === 0 || own.includes('all-team-models')) return project?.models ?? [];
  return own;
}

function checkModels(models: readonly string[], path: ConfigPath, context: KeyContext): void {
  for (const model of models) {
    if (model === 'no-default-models' || model.includes('*') || context.modelNames.has(model))
      continue;
    if ([...context.modelNames].some((name) => name.includes('*') && matchesPattern(name, model)))
      continue;
    context.report.notice('risk', path, notConfigured(model, context.modelNames));
  }
}

type LimitFields = Pick<
  VirtualKeyConfig,
  | 'rpm_limit'
  | 'tpm_limit'
  | 'max_parallel_requests'
  | 'max_budget'
  | 'budget_duration'
  | 'budget_limits'
>;

function limitsOf(fields: LimitFields): Limits {
  const budgets: BudgetLimit[] = [];
  if (fields.max_budget !== undefined)
    budgets.push(budget(fields.max_budget, fields.budget_duration));
  for (const limit of fields.budget_limits ?? []) {
    const max = limit.max_budget ?? limit.budget_limit;
    if (max !== undefined) budgets.push(budget(max, limit.budget_duration ?? limit.time_period));
  }
  return {
    ...optional('requestsPerMinute', fields.rpm_limit),
    ...optional('tokensPerMinute', fields.tpm_limit),
    ...optional('parallelRequests', fields.max_parallel_requests),
    ...(budgets.length > 0 ? { budgets } : {}),
  };
}

/** A budget limit; without a window it never resets. */
export function budget(maxNanoUsd: number, window: string | undefined): BudgetLimit {
  return { maxNanoUsd, ...optional('window', window) };
}

/** The key itself, with the number of calls in flight of keys that have none of their own. */
function keyScope(
  keyId: string,
  limits: Limits,
  { general_settings: general }: Config,
): LimitScope {
  const parallel = limits.parallelRequests ?? general?.max_parallel_requests;
  return {
    kind: 'api_key',
    id: keyId,
    label: keyId,
    limits: { ...limits, ...optional('parallelRequests', parallel) },
  };
}

function teamScope(project: ProjectConfig | undefined): LimitScope[] {
  if (project === undefined) return [];
  const { name } = project;
  return holderScope('team', name, name, limitsOf(project), modelLimits(project));
}

/** The budget of a key's user, as the file states it for all. */
function userScope(key: VirtualKeyConfig, { config }: KeyContext): LimitScope[] {
  const settings = config.litellm_settings ?? {};
  if (key.user_id === undefined || settings.max_internal_user_budget === undefined) return [];
  const limits = {
    budgets: [budget(settings.max_internal_user_budget, settings.internal_user_budget_duration)],
  };
  return [{ kind: 'user', id: key.user_id, label: key.user_id, limits }];
}

type ModelLimitFields = Pick<
  VirtualKeyConfig,
  'model_rpm_limit' | 'model_tpm_limit' | 'model_max_budget'
>;

function modelLimits(fields: ModelLimitFields): ModelLimits {
  const limits: { [model: string]: Limits } = {};
  const add = (model: string, more: Limits) => {
    limits[model] = { ...limits[model], ...more };
  };
  for (const [model, limit] of Object.entries(fields.model_rpm_limit ?? {}))
    add(model, { requestsPerMinute: limit });
  for (const [model, limit] of Object.entries(fields.model_tpm_limit ?? {}))
    add(model, { tokensPerMinute: limit });
  for (const [model, limit] of Object.entries(fields.model_max_budget ?? {})) {
    const max = limit.budget_limit ?? limit.max_budget;
    if (max !== undefined)
      add(model, { budgets: [budget(max, limit.time_period ?? limit.budget_duration)] });
  }
  return limits;
}

function routesOf(routes: readonly string[], path: ConfigPath, report: Report): string[] {
  return spelledRoutes(
    routes.filter((route, index) => {
      const problem = routeProblem(route);
      if (problem !== undefined) report.problem([...path, index], problem.message, problem.hint);
      return problem === undefined;
    }),
  );
}
