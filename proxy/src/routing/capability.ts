import type { DeploymentRecord, Operation } from '@aigateway/contract/records';
import { isPart, operationOf, suffixOf, type Capability } from '../operations/capability.ts';
import { supports } from '../upstream/dialect.ts';
import type { RefusedParameter } from '../upstream/refused-parameter.ts';
import { outputLimitNames, reasoningRepairs } from './known-repairs.ts';
import { nameOfChange, normalisePath, type Repair } from './repair.ts';

/** How long a learned fact is believed: models change sides over time, and a snapshot may not tell. */
const learnedForMs = 86_400_000;
/** Facts of one deployment and capability; a fuller table forgets the oldest. */
const maxLearned = 64;
/**
 * When two ways of asking are refused this far apart, the older refusal is out of date: the model has changed sides. Closer
 * together, both are true.
 */
const changedSidesAfterMs = 60_000;

type LearnedRepair = { readonly repair: Repair; readonly until: number };

/** What a deployment's own refusals have taught. Changed only by the functions of this file. */
export type Learned = {
  /** What was refused → when, milliseconds since the epoch. */
  readonly unsupported: Map<Capability, number>;
  readonly repairs: Map<Capability, Map<string, LearnedRepair>>;
  /** The answers of `repairsFor`, until something is learned or expires. */
  readonly known: Map<
    Capability,
    {
      readonly record: DeploymentRecord;
      readonly until: number;
      readonly repairs: readonly Repair[];
    }
  >;
};

/** What is asked about: in practice a deployment's state. */
export type WithCapability = { readonly record: DeploymentRecord; readonly learned: Learned };

export function newLearned(): Learned {
  return { unsupported: new Map(), repairs: new Map(), known: new Map() };
}

/** The deployment said that it does not do this. What it says of a part of an operation is true of that part alone. */
export function learnUnsupported(
  { learned }: WithCapability,
  capability: Capability,
  now: number,
): void {
  if (!isPart(capability)) {
    for (const [other, since] of learned.unsupported) {
      if (!isPart(other) && now - since > changedSidesAfterMs) learned.unsupported.delete(other);
    }
  }
  learned.unsupported.set(capability, now);
}

/**
 * How to ask the deployment: for what was asked if it can do that, else for the first that a bridge reaches.
 *
 * Declared operations win over guesses from the model's mode; a refusal wins over both. Unknown means possible.
 *
 * @param reachable - what a bridge translates to, best first
 * @returns undefined when the deployment cannot serve the request in any way
 */
export function capabilityFor(
  state: WithCapability,
  asked: Capability,
  reachable: readonly Capability[],
  now: number,
): Capability | undefined {
  if (isPossible(state, asked, now)) return asked;
  return reachable.find((capability) => isPossible(state, capability, now));
}

/**
 * Remembers how a request must be changed so that the deployment takes it.
 *
 * @returns false when the change would alter what the caller asked for rather than how; nothing is learned then
 */
export function learnParameter(
  { learned }: WithCapability,
  capability: Capability,
  repair: Repair,
  now: number,
): boolean {
  const param = normalisePath(repair.param);
  if (!isRepairable(param, repair)) return false;
  let repairs = learned.repairs.get(capability);
  if (repairs === undefined) {
    repairs = new Map();
    learned.repairs.set(capability, repairs);
  }
  // A model that changed sides refuses what it was renamed to: the two would undo each other.
  if (repair.action === 'rename') repairs.delete(repair.to);
  const key = repair.action === 'replace' ? `${param}=${JSON.stringify(repair.from)}` : param;
  repairs.delete(key);
  const [oldest] = repairs.keys();
  if (repairs.size >= maxLearned && oldest !== undefined) repairs.delete(oldest);
  repairs.set(key, { repair: { ...repair, param }, until: now + learnedForMs });
  learned.known.delete(capability);
  return true;
}

/**
 * The changes that requests need for this deployment: what was learned, what is known of the model's family, what the
 * configuration drops. A learned fact replaces a known one on the same parameter.
 */
export function repairsFor(
  state: WithCapability,
  capability: Capability,
  now: number,
): readonly Repair[] {
  const { record, learned } = state;
  const known = learned.known.get(capability);
  if (known !== undefined && known.record === record && now < known.until) return known.repairs;
  const found = findRepairs(state, capability, now);
  learned.known.set(capability, { record, ...found });
  return found.repairs;
}

/** What was learned and is still believed, for people. */
export type LearnedReport = {
  /** Operations, and parts of them, that the deployment does not answer. */
  readonly unsupported: readonly Capability[];
  /** By operation, the changes that requests need, named as in `x-aigateway-changes`. */
  readonly changes: { readonly [capability in Capability]?: readonly string[] };
};

/** @returns undefined where nothing was learned */
export function learnedReport(
  { learned }: Pick<WithCapability, 'learned'>,
  now: number,
): LearnedReport | undefined {
  const unsupported = [...learned.unsupported]
    .filter(([, since]) => now - since < learnedForMs)
    .map(([capability]) => capability);
  const changes: { [capability in Capability]?: readonly string[] } = {};
  for (const [capability, facts] of learned.repairs) {
    const believed = [...facts.values()].filter(({ until }) => now < until);
    if (believed.length > 0)
      changes[capability] = believed.map(({ repair }) => nameOfChange(repair));
  }
  const isEmpty = unsupported.length === 0 && Object.keys(changes).length === 0;
  return isEmpty ? undefined : { unsupported, changes };
}

/**
 * The change that would have prevented a refusal.
 *
 * @returns undefined when no change is known that leaves the question as it is
 */
export function repairFromRefusal(
  operation: Operation,
  refused: RefusedParameter,
): Repair | undefined {
  const param = normalisePath(refused.param);
  if (refused.what === 'value') return repairOfValue(param, refused);
  if (refused.replacement !== undefined) {
    return { param, action: 'rename', to: refused.replacement };
  }
  const allLimits = Object.values(outputLimitNames).flat();
  const sameMeaning = outputLimitNames[operation]?.find((name) => name !== param);
  if (allLimits.includes(param) && sameMeaning !== undefined) {
    return { param, action: 'rename', to: sameMeaning };
  }
  return { param, action: 'drop' };
}

/** Operations that a model of LiteLLM's `mode` may know; a mode that is not here knows none of ours. */
const operationsOfMode: { readonly [mode: string]: readonly Operation[] } = {
  chat: ['chat', 'responses'],
  responses: ['responses'],
  completion: ['completions'],
  embedding: ['embeddings'],
};

function isPossible(state: WithCapability, capability: Capability, now: number): boolean {
  const { record, learned } = state;
  const refusedAt = learned.unsupported.get(capability);
  if (refusedAt !== undefined && now - refusedAt < learnedForMs) return false;
  const operation = operationOf(capability);
  if (operation !== capability) {
    const suffix = suffixOf(capability);
    const hasPath = suffix !== undefined && supports(record.dialect, operation, suffix);
    return hasPath && isPossible(state, operation, now);
  }
  if (record.operations !== undefined) return record.operations.includes(operation);
  const { mode } = record.facts;
  if (mode === undefined) return true;
  return Object.hasOwn(operationsOfMode, mode)
    ? (operationsOfMode[mode]?.includes(operation) ?? false)
    : false;
}

/** Parameters that say what is asked for. Without them the answer would be to another question. */
const essential: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'input',
  'prompt',
  'suffix',
  'instructions',
  'stream',
  'n',
  'best_of',
  'tools',
  'tool_choice',
  'functions',
  'function_call',
  'response_format',
  'text',
  'text.format',
  'modalities',
  'audio',
  'web_search_options',
  'dimensions',
  'encoding_format',
  'previous_response_id',
  'conversation',
  'background',
]);

/** Names below `messages`, `input` and `tools` that carry the content itself. */
const structural: ReadonlySet<string> = new Set([
  'role',
  'content',
  'type',
  'text',
  'name',
  'function',
  'parameters',
  'arguments',
  'output',
  'tool_calls',
  'tool_call_id',
  'call_id',
  'image_url',
  'file_id',
  'file_data',
  'input_audio',
]);

function isRepairable(param: string, repair: Repair): boolean {
  if (param === '' || param.endsWith('[]')) return false;
  if (repair.action === 'replace' && repair.to !== undefined) return true;
  if (essential.has(param)) return false;
  const nested = /^(?:messages|input|tools)\[\]/.test(param);
  return !(nested && structural.has(param.slice(param.lastIndexOf('.') + 1)));
}

function findRepairs(
  { record, learned }: WithCapability,
  capability: Capability,
  now: number,
): { until: number; repairs: readonly Repair[] } {
  let until = Infinity;
  const byKey = new Map<string, Repair>();
  const operation = operationOf(capability);
  const family = record.family === 'reasoning' ? (reasoningRepairs[operation] ?? []) : [];
  for (const repair of family) byKey.set(repair.param, repair);
  const learnedHere = learned.repairs.get(capability);
  for (const [key, fact] of learnedHere ?? []) {
    if (now >= fact.until) {
      learnedHere?.delete(key);
      continue;
    }
    until = Math.min(until, fact.until);
    if (fact.repair.action === 'rename') byKey.delete(fact.repair.to);
    byKey.set(key, fact.repair);
  }
  for (const param of record.drop) byKey.set(param, { param, action: 'drop' });
  return { until, repairs: [...byKey.values()] };
}

/** Roles by what a model that does not know them takes instead. */
const olderRole: { readonly [role: string]: string } = { developer: 'system', system: 'user' };

function repairOfValue(
  param: string,
  { value, default: byDefault }: Extract<RefusedParameter, { what: 'value' }>,
): Repair | undefined {
  if (value === undefined) {
    return {
      param,
      action: 'default-only',
      ...(byDefault !== undefined && { default: byDefault }),
    };
  }
  if (typeof value === 'boolean' || !param.endsWith('.role')) {
    return { param, action: 'replace', from: value };
  }
  const to = olderRole[value];
  return to === undefined ? undefined : { param, action: 'replace', from: value, to };
}
