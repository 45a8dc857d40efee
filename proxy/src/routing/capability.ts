import type { DeploymentRecord, Operation } from '@aigateway/contract/records';
import { isPart, operationOf, suffixOf, type Capability } from '../operations/capability.ts';
import { supports } from '../upstream/dialect.ts';
import { outputLimitNames, reasoningRepairs } from './known-repairs.ts';
import { normalisePath, type Repair } from './repair.ts';

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

/**
 * Reads a refusal for the change that would have prevented it.
 *
 * @param error - the upstream's error object with status 400
 * @returns undefined when the refusal is about something else
 */
export function repairFromRefusal(
  operation: Operation,
  error: { code?: unknown; param?: unknown; message?: unknown },
): Repair | undefined {
  const message = typeof error.message === 'string' ? error.message : '';
  const refusal = readRefusal(message);
  if (refusal === undefined) return undefined;
  const given = typeof error.param === 'string' && error.param !== '' ? error.param : refusal.param;
  const param = normalisePath(given ?? '');
  if (!/^[A-Za-z_][\w.[\]-]{0,120}$/.test(param)) return undefined;
  if (refusal.kind === 'value') return repairOfValue(param, message);

  const suggested = /\bUse '(\w+)' instead/.exec(message)?.[1];
  if (suggested !== undefined) return { param, action: 'rename', to: suggested };
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
    const hasPath = supports(record.dialect, operation, suffixOf(capability));
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

type Refusal = { kind: 'parameter' | 'value'; param: string | undefined };

/** Only the beginning of a text is the upstream's own: further on it may quote the caller, who must not teach us anything. */
function readRefusal(message: string): Refusal | undefined {
  const named = /^(?:Unsupported|Unknown) parameter: '([^']+)'/i.exec(message);
  if (named !== null) return { kind: 'parameter', param: named[1] };
  // The older front end names several at once; the next refusal names the rest.
  const unrecognised = /^Unrecognized request arguments? supplied: ([\w.[\]]+)/i.exec(message);
  if (unrecognised !== null) return { kind: 'parameter', param: unrecognised[1] };
  const extra =
    /^Additional properties are not allowed \('([^']+)' was unexpected\)(?: - '([^']+)')?/i.exec(
      message,
    );
  if (extra !== null) {
    const [, name, parent] = extra;
    return { kind: 'parameter', param: parent === undefined ? name : `${parent}.${name}` };
  }
  // Models that do not reason have nothing to encrypt.
  if (/^Encrypted content is not supported with this model/i.test(message)) {
    return { kind: 'parameter', param: 'include' };
  }
  const value = /^Unsupported value: '([^']+)'/i.exec(message);
  return value === null ? undefined : { kind: 'value', param: value[1] };
}

/** Roles by what a model that does not know them takes instead. */
const olderRole: { readonly [role: string]: string } = { developer: 'system', system: 'user' };

function repairOfValue(param: string, message: string): Repair | undefined {
  const onlyDefault = /Only the default \(([^)]*)\) value is supported/.exec(message);
  if (onlyDefault !== null) {
    const value = Number(onlyDefault[1]);
    return Number.isFinite(value) && onlyDefault[1] !== ''
      ? { param, action: 'default-only', default: value }
      : { param, action: 'default-only' };
  }
  const refused = /does not support (?:'([^']*)'|(-?\d|true|false))/.exec(message);
  if (refused === null) return undefined;
  const [, text, literal] = refused;
  if (text !== undefined && param.endsWith('.role')) {
    const to = olderRole[text];
    return to === undefined ? undefined : { param, action: 'replace', from: text, to };
  }
  if (text !== undefined) return { param, action: 'replace', from: text };
  if (literal === undefined) return undefined;
  if (literal === 'true' || literal === 'false') {
    return { param, action: 'replace', from: literal === 'true' };
  }
  // One number refused, others would be too: each would cost a call to learn.
  return { param, action: 'default-only' };
}
