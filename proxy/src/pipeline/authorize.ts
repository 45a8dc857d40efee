import {
  isLimited,
  isOfModel,
  modelScopeKind,
  pairId,
  takePlaceOf,
  type Limits,
  type LimitScope,
  type ModelLimits,
} from '@aigateway/contract/limits';
import type { HolderRecord, KeyRecord } from '@aigateway/contract/records';
import { entryFor } from '@aigateway/contract/wildcard';
import { canonicalPath } from '../endpoints/path.ts';
import { GatewayError } from '../errors.ts';
import { isRestricted, mayUse, type ResolvedModel } from '../routing/models.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Caller } from './authenticate.ts';
import type { Call } from './read.ts';

/** A call that may be made: by whom, of what, under which limits. */
export type Grant = {
  readonly call: Call;
  readonly key: KeyRecord;
  /** The customer that the caller names, where there are rules for it. */
  readonly customer: HolderRecord | undefined;
  readonly snapshot: Snapshot;
  readonly model: ResolvedModel;
  /** The name the caller wrote, or the default it left to the gateway. */
  readonly asked: string;
  readonly scopes: readonly LimitScope[];
  /** Tags of the request and of its key. */
  readonly tags: readonly string[];
};

/**
 * Decides whether this key may make this call of this model.
 *
 * @throws GatewayError 400 without a model or past a cap of the key, 403 for a model that is not on the key's or the customer's
 * list and for a blocked customer, 404 for a model that does not exist
 */
export function authorize(call: Call, caller: Caller, snapshot: Snapshot): Grant {
  const { key } = caller;
  const asked = call.model ?? snapshot.records.router.defaultModels[call.operation.name];
  if (asked === undefined) throw new GatewayError('missing_model', { param: 'model' });
  const model = snapshot.models.resolve(asked, key);
  // A key with a list learns nothing about what lies outside it: existing or not, the answer is the same.
  if (model === undefined ? isRestricted(key) : !mayUse(key, model)) {
    throw new GatewayError('model_access_denied', { values: { model: asked }, param: 'model' });
  }
  if (model === undefined)
    throw new GatewayError('model_not_found', { values: { model: asked }, param: 'model' });
  const customer = customerOf(call, snapshot);
  if (customer !== undefined) requireModelOf(customer, model, asked, 'model');
  checkCaps(call, key);
  const tags = key.tags.length === 0 ? call.tags : [...call.tags, ...key.tags];
  let scopes = scopesOfCall(key, model.name, call, customer, tags, snapshot);
  for (const name of call.extras.fallbacks) {
    const fallback = snapshot.models.resolve(name, key);
    if (fallback === undefined || !mayUse(key, fallback)) {
      throw new GatewayError('model_access_denied', {
        values: { model: name },
        param: 'fallbacks',
      });
    }
    if (customer !== undefined) requireModelOf(customer, fallback, name, 'fallbacks');
    scopes = withModelLimits(
      scopes,
      scopesOfCall(key, fallback.name, call, customer, tags, snapshot),
    );
  }
  return { call, key, customer, snapshot, model, asked, scopes, tags };
}

/**
 * The rules for the customer that the caller names, if there are any.
 *
 * @throws GatewayError 403 for one that is blocked
 */
export function customerOf(
  { customerId }: Pick<Call, 'customerId'>,
  { holders }: Pick<Snapshot, 'holders'>,
): HolderRecord | undefined {
  if (customerId === undefined) return undefined;
  const customer = holders.find('end_user', customerId);
  if (customer?.blocked === true) {
    throw new GatewayError('blocked_customer', { values: { customer: customerId }, param: 'user' });
  }
  return customer;
}

/** @throws GatewayError 403 for a model that is not on the customer's list */
function requireModelOf(
  customer: HolderRecord,
  model: ResolvedModel,
  asked: string,
  param: string,
): void {
  if (mayUse(customer, model)) return;
  throw new GatewayError('customer_model_access_denied', {
    values: { model: asked, customer: customer.id },
    param,
  });
}

/** Every holder of limits that a call of a model must pass: those of its key, and the customer and the tags that it names, where they have some. */
export function scopesOfCall(
  key: KeyRecord,
  model: string,
  { customerId }: Pick<Call, 'customerId'>,
  customer: HolderRecord | undefined,
  tags: readonly string[],
  snapshot: Snapshot,
): readonly LimitScope[] {
  const scopes = scopesOf(key, model, snapshot);
  const { holders, records } = snapshot;
  const { customerLimits, customerModelLimits } = records.settings;
  if (holders.size === 0 && customerLimits === undefined) return scopes;
  const own: LimitScope[] = [];
  if (customerId !== undefined) {
    if (customer?.limits !== undefined) {
      addNamed(own, 'end_user', customerId, customer.limits, customer.modelLimits, model);
    } else addNamed(own, 'end_user', customerId, customerLimits, customerModelLimits, model);
  }
  for (const tag of tags) {
    const found = holders.find('tag', tag);
    addNamed(own, 'tag', tag, found?.limits, found?.modelLimits, model);
  }
  return own.length === 0 ? scopes : [...scopes, ...own];
}

function addNamed(
  scopes: LimitScope[],
  kind: HolderRecord['kind'],
  id: string,
  limits: Limits | undefined,
  modelLimits: ModelLimits | undefined,
  model: string,
): void {
  if (limits === undefined) return;
  const scope = { kind, id, label: id, limits };
  if (isLimited(limits)) scopes.push(scope);
  if (modelLimits !== undefined) addOfModel(scopes, scope, modelLimits, model);
}

/**
 * Holds a key to its list of paths; a key without one may call every path.
 *
 * @param url - the request target, without the base path
 * @throws GatewayError 403 for a path that the list does not hold
 */
export function authorizeRoute({ routes }: KeyRecord, url: string): void {
  if (routes.length === 0) return;
  const path = canonicalPath(url) ?? '';
  const isAllowed = routes.some(
    (route) => route === path || (route.endsWith('*') && path.startsWith(route.slice(0, -1))),
  );
  if (!isAllowed) throw new GatewayError('endpoint_access_denied', { values: { route: path } });
}

function checkCaps(call: Call, key: KeyRecord): void {
  const { maxOutputTokens, maxChoices } = key;
  if (maxOutputTokens !== undefined && (call.outputLimit ?? 0) > maxOutputTokens) {
    const param =
      call.operation.outputLimits.find((name) => call.scan.members.has(name)) ?? 'max_tokens';
    throw new GatewayError('policy_violation', {
      param,
      values: { reason: `This key may ask for at most ${maxOutputTokens} output tokens` },
    });
  }
  if (maxChoices !== undefined && call.choices > maxChoices) {
    throw new GatewayError('policy_violation', {
      param: 'n',
      values: { reason: `This key may ask for at most ${maxChoices} answers at once` },
    });
  }
}

/**
 * Limits for a model hold for a fallback that the caller names itself, from the start: or else a model that is sure to
 * fail would lead past them.
 */
function withModelLimits(
  scopes: readonly LimitScope[],
  ofFallback: readonly LimitScope[],
): readonly LimitScope[] {
  const own = ofFallback.filter(
    (scope) => isOfModel(scope) && !scopes.some((other) => isSameHolder(other, scope)),
  );
  return own.length === 0 ? scopes : [...scopes, ...own];
}

function isSameHolder(one: LimitScope, other: LimitScope): boolean {
  return one.kind === other.kind && one.id === other.id;
}

/** How many models of one key are remembered: a wildcard key may name any. */
const maxCachedModels = 256;

/** Every holder of limits above and including a key, the widest first. The same list for every call of a key and model. */
export function scopesOf(key: KeyRecord, model: string, snapshot: Snapshot): readonly LimitScope[] {
  let cache = snapshot.scopes.get(key);
  if (cache === undefined) {
    cache = new Map();
    snapshot.scopes.set(key, cache);
  }
  let scopes = cache.get(model);
  if (scopes === undefined) {
    scopes = findScopes(key, model, snapshot);
    if (cache.size >= maxCachedModels) cache.clear();
    cache.set(model, scopes);
  }
  return scopes;
}

/** Every holder whose budget counts what a call of the model costs. */
export function chargedScopesOf(
  key: KeyRecord,
  model: string,
  snapshot: Snapshot,
): readonly LimitScope[] {
  return [...scopesOf(key, model, snapshot), ...chargedBeside(key, model)];
}

/** Those of them that do not bind the key. */
export function chargedBeside(
  { chargedScopes = [] }: KeyRecord,
  model: string,
): readonly LimitScope[] {
  const scopes: LimitScope[] = [];
  for (const scope of chargedScopes) addAbove(scopes, scope, model, {});
  return scopes;
}

function findScopes(key: KeyRecord, model: string, snapshot: Snapshot): readonly LimitScope[] {
  const { globalScope } = snapshot.records.settings;
  const entry = entryFor(Object.keys(key.modelLimits), model);
  const own = entry === undefined ? {} : (key.modelLimits[entry] ?? {});
  const group = snapshot.models.resolve(model)?.group ?? model;
  const ofModel = { ...snapshot.models.model(group)?.keyLimits };
  // What the key states itself counts in place of what every key has.
  for (const name of Object.keys(own) as (keyof Limits)[]) delete ofModel[name];
  const isSame = entry === group;
  const scopes: LimitScope[] = globalScope === undefined ? [] : [globalScope];
  for (const scope of key.scopes) addAbove(scopes, scope, model, own);
  const holder = { kind: 'api_key', id: key.keyId, label: key.alias ?? key.keyId } as const;
  addModelScope(scopes, holder, entry ?? group, isSame ? { ...ofModel, ...own } : own);
  if (!isSame) addModelScope(scopes, holder, group, ofModel);
  return scopes;
}

/** Adds a holder above the key, and what all under it may use of the model. */
function addAbove(scopes: LimitScope[], scope: LimitScope, model: string, own: Limits): void {
  const { modelLimits } = scope;
  if (modelLimits === undefined) {
    scopes.push(scope);
    return;
  }
  if (isLimited(scope.limits)) scopes.push(scope);
  addOfModel(scopes, scope, modelLimits, model, scope.kind === 'team' ? own : undefined);
}

/** @param own - limits that may take the place of the holder's */
function addOfModel(
  scopes: LimitScope[],
  holder: Pick<LimitScope, 'kind' | 'id' | 'label'>,
  modelLimits: ModelLimits,
  model: string,
  own?: Limits,
): void {
  const entry = entryFor(Object.keys(modelLimits), model);
  const limits = entry === undefined ? undefined : modelLimits[entry];
  if (entry === undefined || limits === undefined) return;
  if (own === undefined || !takePlaceOf(own, limits)) addModelScope(scopes, holder, entry, limits);
}

/**
 * @param entry - the name or pattern that the limits stand under. What a pattern allows is shared by all names that it stands for: or
 * else a caller would get it anew with every name
 */
function addModelScope(
  scopes: LimitScope[],
  { kind, id, label }: Pick<LimitScope, 'kind' | 'id' | 'label'>,
  entry: string,
  limits: Limits,
): void {
  const ofModel = modelScopeKind(kind);
  if (ofModel === undefined || !isLimited(limits)) return;
  scopes.push({ kind: ofModel, id: pairId(id, entry), label: `${label}:${entry}`, limits });
}
