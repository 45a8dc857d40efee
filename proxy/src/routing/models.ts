import type {
  DeploymentRecord,
  KeyRecord,
  ModelRecord,
  Records,
  RouterRecord,
  StrategyName,
} from '@aigateway/contract/records';
import { bySpecificity, filledBy, matchesPattern } from '@aigateway/contract/wildcard';
import type { LatencySettings } from './strategy.ts';

/** A name that a caller asked for, led to what serves it. */
export type ResolvedModel = {
  /** The model group, a pattern for a wildcard group: what `Deployments.group` takes. */
  readonly group: string;
  /** The public name after all aliases: what limits, prices and fallbacks go by. */
  readonly name: string;
  /** Only this deployment of the group, where a caller asked for one by its id. */
  readonly deploymentId?: string;
  /** What the `*` of a wildcard group stands for. */
  readonly filled?: string;
  /** Any of these names lets a key with a list in. */
  readonly accessNames: readonly string[];
  readonly accessGroups: readonly string[];
  /** `<provider>/<name>` of a group without a provider in its name: `azure/*` in a key's list lets it in. */
  readonly providerNames: readonly string[];
  readonly strategy?: StrategyName;
  /** The group's own, in place of the router's. */
  readonly latency?: Partial<LatencySettings>;
  readonly retryPolicy?: RouterRecord['retryPolicy'];
  readonly retries?: number;
};

type Group = {
  readonly record: ModelRecord;
  readonly deployments: readonly DeploymentRecord[];
  /** The answer to the name of the group itself, made once. */
  readonly resolved: ResolvedModel;
};

/** The names of one snapshot, ready for look-ups. Built once per snapshot, never changed. */
export class ModelIndex {
  readonly router: RouterRecord;
  readonly #groups = new Map<string, Group>();
  readonly #deployments = new Map<string, DeploymentRecord>();
  /** Names of wildcard groups, the most specific first. */
  readonly #patterns: readonly string[];

  constructor(records: Pick<Records, 'models' | 'deployments' | 'router'>) {
    this.router = records.router;
    const byGroup = Map.groupBy(records.deployments, (deployment) => deployment.model);
    const models = new Map(records.models.map((model) => [model.name, model]));
    for (const [name, deployments] of byGroup) {
      const record = models.get(name) ?? { name, hidden: false, accessGroups: [] };
      this.#groups.set(name, { record, deployments, resolved: resolveGroup(record, deployments) });
    }
    for (const deployment of records.deployments) this.#deployments.set(deployment.id, deployment);
    this.#patterns = [...this.#groups.keys()]
      .filter((name) => name.includes('*'))
      .sort(bySpecificity);
  }

  /** Names of all groups in the order of the configuration. */
  groupNames(): IterableIterator<string> {
    return this.#groups.keys();
  }

  model(group: string): ModelRecord | undefined {
    return this.#groups.get(group)?.record;
  }

  deployments(group: string): readonly DeploymentRecord[] {
    return this.#groups.get(group)?.deployments ?? [];
  }

  /**
   * Leads a name to its group: the key's alias, the router's alias, the group of that name, a deployment's id, the most
   * specific wildcard group, at last the first default fallback.
   *
   * @returns undefined when nothing serves the name
   */
  resolve(asked: string, key?: Pick<KeyRecord, 'aliases'>): ResolvedModel | undefined {
    const ownTarget = key === undefined ? undefined : ownMember(key.aliases, asked);
    const target = ownTarget ?? asked;
    const name = ownMember(this.router.aliases, target)?.model ?? target;
    const found = this.#find(name);
    if (found !== undefined) {
      // The key's owner chose the alias, so the name behind it is what must be allowed; a router alias is a second public name.
      return name === target ? found : withAccessName(found, target);
    }
    const [fallback] = this.router.defaultFallbacks;
    const last = fallback === undefined ? undefined : this.#find(fallback);
    return last === undefined ? undefined : withAccessName(last, target);
  }

  #find(name: string): ResolvedModel | undefined {
    const group = this.#groups.get(name);
    if (group !== undefined) return group.resolved;
    const deployment = this.#deployments.get(name);
    const holder = deployment === undefined ? undefined : this.#groups.get(deployment.model);
    if (holder !== undefined) return { ...holder.resolved, deploymentId: name };
    for (const pattern of this.#patterns) {
      const filled = filledBy(pattern, name);
      const wildcard = filled === undefined ? undefined : this.#groups.get(pattern);
      if (filled === undefined || wildcard === undefined) continue;
      return {
        ...wildcard.resolved,
        name,
        filled,
        accessNames: [name],
        providerNames: wildcard.deployments.flatMap((record) => providerName(record, name)),
      };
    }
    return undefined;
  }
}

/** The upstream's name of a deployment for a resolved model: a `*` is filled. */
export function upstreamName(record: DeploymentRecord, model: ResolvedModel): string {
  return model.filled === undefined
    ? record.deployment
    : record.deployment.replace('*', () => model.filled ?? '');
}

/**
 * Whether a key's list of models lets it use a model. Entries are names, patterns with `*`, access groups, or
 * `all-proxy-models` (everything), `no-default-models` (nothing, whatever else is listed) and `all-team-models`, which for a
 * key without a team means everything. An empty list means everything.
 */
export function mayUse(
  { models, modelsAbove, teamId }: Pick<KeyRecord, 'models' | 'modelsAbove' | 'teamId'>,
  model: ResolvedModel,
): boolean {
  return (
    letsIn(models, teamId, model) &&
    (modelsAbove === undefined || modelsAbove.every((list) => letsIn(list, teamId, model)))
  );
}

/** Whether a key may not use every model: then it learns nothing about what lies outside its lists. */
export function isRestricted({
  models,
  modelsAbove,
}: Pick<KeyRecord, 'models' | 'modelsAbove'>): boolean {
  return models.length > 0 || (modelsAbove?.some((list) => list.length > 0) ?? false);
}

function letsIn(
  models: readonly string[],
  teamId: string | undefined,
  model: ResolvedModel,
): boolean {
  if (models.length === 0) return true;
  const access = accessOf(models);
  if (access.nothing) return false;
  if (access.everything || (access.wholeTeam && teamId === undefined)) return true;
  for (const name of model.accessNames) if (access.names.has(name)) return true;
  for (const group of model.accessGroups) if (access.names.has(group)) return true;
  return access.patterns.some(
    (pattern) =>
      model.accessNames.some((name) => matchesPattern(pattern, name)) ||
      model.providerNames.some((name) => matchesPattern(pattern, name)),
  );
}

/** Why another model is looked for. */
export type FallbackReason = 'general' | 'context_window' | 'content_policy';

/**
 * The models to try after `model`, in order: each target is followed by its own fallbacks, none comes twice. `*` and the
 * default fallbacks serve names without an entry of their own. A list for the reason counts even without an entry for this
 * model; when there is no such list, the general one does.
 *
 * @param visited - models that were tried already; they count towards `maxFallbacks`
 * @param names - what `model` is known by, the name of the first entry that counts first
 */
export function fallbackChain(
  router: RouterRecord,
  model: string,
  reason: FallbackReason,
  visited: ReadonlySet<string> = new Set(),
  names: readonly string[] = [model],
): readonly string[] {
  const seen = new Set(visited).add(model);
  const limit = router.maxFallbacks - (seen.size - 1);
  const chain: string[] = [];
  const follow = (known: readonly string[]): void => {
    for (const target of targetsOf(router, known, reason)) {
      if (chain.length >= limit) return;
      if (seen.has(target)) continue;
      seen.add(target);
      chain.push(target);
      follow([target]);
    }
  };
  follow(names);
  return chain;
}

export type VisibleModel = {
  /** What a caller writes as `model`. */
  readonly id: string;
  readonly model: ResolvedModel;
};

/**
 * What a key may see, in the order of the configuration: groups and public aliases it may use. Hidden ones work but are not
 * listed. A wildcard group is not a name; what is known of it by name is: the router's default models, and the names that the
 * key's own list spells out.
 */
export function visibleModels(
  index: ModelIndex,
  key: Pick<KeyRecord, 'models' | 'modelsAbove' | 'teamId'>,
): readonly VisibleModel[] {
  const visible = new Map<string, VisibleModel>();
  const add = (id: string): void => {
    const model = index.resolve(id);
    if (model !== undefined && mayUse(key, model)) visible.set(id, { id, model });
  };
  for (const name of index.groupNames()) {
    if (!name.includes('*') && index.model(name)?.hidden !== true) add(name);
  }
  for (const [alias, { hidden }] of Object.entries(index.router.aliases)) if (!hidden) add(alias);
  const spelledOut = [...key.models, ...(key.modelsAbove?.flat() ?? [])];
  for (const name of [...Object.values(index.router.defaultModels), ...spelledOut]) {
    if (name.includes('*') || visible.has(name)) continue;
    if (ofWildcard(index, name) !== undefined) add(name);
  }
  return [...visible.values()];
}

/** What a name leads to that a wildcard group stands for, unless that is hidden. */
function ofWildcard(index: ModelIndex, name: string): ResolvedModel | undefined {
  const model = index.resolve(name);
  const isFilled = model?.filled !== undefined && model.name === name;
  return isFilled && index.model(model.group)?.hidden !== true ? model : undefined;
}

/**
 * The one of them that a caller writes as `model`, or one of the names that a wildcard group stands for; undefined when it does not
 * exist or the key may not use it.
 */
export function visibleModel(
  index: ModelIndex,
  key: Parameters<typeof visibleModels>[1],
  name: string,
): ResolvedModel | undefined {
  const model =
    visibleModels(index, key).find(({ id }) => id === name)?.model ?? ofWildcard(index, name);
  return model !== undefined && mayUse(key, model) ? model : undefined;
}

/**
 * Whether calls of it can come to be answered: not where operators have paused all its deployments, and all of its fallbacks.
 */
export function isServed(index: ModelIndex, { id, model }: VisibleModel): boolean {
  const isOpen = ({ group }: ResolvedModel): boolean =>
    index.deployments(group).some(({ blocked }) => blocked !== true);
  if (isOpen(model)) return true;
  const names = [id, model.name, model.group];
  return fallbackChain(index.router, model.name, 'general', new Set(), names).some((name) => {
    const fallback = index.resolve(name);
    return fallback !== undefined && isOpen(fallback);
  });
}

type Access = {
  everything: boolean;
  nothing: boolean;
  wholeTeam: boolean;
  names: ReadonlySet<string>;
  patterns: readonly string[];
};

const accessByList = new WeakMap<readonly string[], Access>();

function accessOf(models: readonly string[]): Access {
  let access = accessByList.get(models);
  if (access === undefined) {
    access = {
      everything: models.includes('all-proxy-models') || models.includes('*'),
      nothing: models.includes('no-default-models'),
      wholeTeam: models.includes('all-team-models'),
      names: new Set(models),
      patterns: models.filter((name) => name.includes('*')),
    };
    accessByList.set(models, access);
  }
  return access;
}

function resolveGroup(
  record: ModelRecord,
  deployments: readonly DeploymentRecord[],
): ResolvedModel {
  return {
    group: record.name,
    name: record.name,
    accessNames: [record.name],
    accessGroups: record.accessGroups,
    providerNames: deployments.flatMap((deployment) => providerName(deployment, record.name)),
    ...(record.strategy !== undefined && { strategy: record.strategy }),
    ...latencyOf(record),
    ...(record.retryPolicy !== undefined && { retryPolicy: record.retryPolicy }),
    ...(record.retries !== undefined && { retries: record.retries }),
  };
}

function latencyOf(record: ModelRecord): Pick<ResolvedModel, 'latency'> {
  const { latencyWindowMs: windowMs, latencyBuffer: buffer, latencySamples: samples } = record;
  const latency = {
    ...(windowMs !== undefined && { windowMs }),
    ...(buffer !== undefined && { buffer }),
    ...(samples !== undefined && { samples }),
  };
  return Object.keys(latency).length === 0 ? {} : { latency };
}

/** `azure/gpt-4o` for a group `gpt-4o` served as `azure/<deployment>`; nothing when the name has a provider itself. */
function providerName({ litellmModel }: DeploymentRecord, name: string): readonly string[] {
  const slash = litellmModel.indexOf('/');
  return slash <= 0 || name.includes('/') ? [] : [`${litellmModel.slice(0, slash)}/${name}`];
}

function withAccessName(model: ResolvedModel, asked: string): ResolvedModel {
  return { ...model, accessNames: [asked, ...model.accessNames] };
}

function targetsOf(
  router: RouterRecord,
  names: readonly string[],
  reason: FallbackReason,
): readonly string[] {
  const own = {
    general: router.fallbacks,
    context_window: router.contextWindowFallbacks,
    content_policy: router.contentPolicyFallbacks,
  }[reason];
  const isOwnList = reason !== 'general' && Object.keys(own).length > 0;
  const lists = isOwnList ? own : router.fallbacks;
  const name = names.find((one) => Object.hasOwn(lists, one)) ?? '*';
  const listed = ownMember(lists, name);
  return listed ?? (isOwnList ? [] : router.defaultFallbacks);
}

function ownMember<Value>(
  object: { readonly [name: string]: Value },
  name: string,
): Value | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
