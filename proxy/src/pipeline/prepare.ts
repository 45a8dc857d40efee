import type { JsonObject, SettingsRecord } from '@aigateway/contract/records';
import type { Bridge, BridgeContext } from '../bridge/bridge.ts';
import { GatewayError } from '../errors.ts';
import { operationOf, type Capability } from '../operations/capability.ts';
import { operations } from '../operations/index.ts';
import type { OperationFacts } from '../operations/operation.ts';
import type { Scan } from '../operations/scan.ts';
import { repairsFor } from '../routing/capability.ts';
import type { DeploymentState } from '../routing/deployments.ts';
import { vendorRepairs } from '../routing/known-repairs.ts';
import { applyRepairs, mayNeedRepairs, type Repair } from '../routing/repair.ts';
import { setsModelInBody } from '../upstream/dialect.ts';
import { BodyEdit, memberValue, parseBody } from './body.ts';
import { defaultsOn } from './defaults.ts';
import { outputLimitMembers, type Call } from './read.ts';

/** A body for one deployment, and everything that was changed to make it. */
export type Prepared = {
  /** Null where the endpoint takes none. */
  readonly body: Buffer | null;
  readonly upstream: OperationFacts;
  /** Set when the deployment is spoken to in another operation than the caller's. */
  readonly bridge: { readonly bridge: Bridge; readonly context: BridgeContext } | undefined;
  /** Short names of the changes, for the response header. */
  readonly changes: readonly string[];
};

export type PrepareInput = {
  readonly call: Call;
  /** The caller's body with its ids translated back; absent when it goes upstream as it came. */
  readonly translated: JsonObject | undefined;
  readonly state: DeploymentState;
  /** The deployment's name, its `*` filled. */
  readonly deployment: string;
  /** The name that bridged answers show. */
  readonly model: string;
  /** What the deployment is asked for. */
  readonly capability: Capability;
  readonly bridge: Bridge | undefined;
  readonly settings: SettingsRecord;
  readonly now: number;
  /** The most output tokens that the key may ask for. */
  readonly outputCap?: number | undefined;
};

/**
 * Makes the body for one deployment. Where only top-level members change, the caller's bytes stay as they are around them;
 * otherwise the body is parsed.
 *
 * @throws GatewayError `bridge_unsupported`, or `invalid_body` when a body that must be parsed is not JSON inside
 */
export function prepare(input: PrepareInput): Prepared {
  const { call, state, settings } = input;
  if (call.match.endpoint.kind === 'stored') {
    return { body: null, upstream: call.operation, bridge: undefined, changes: [] };
  }
  const isNative = input.bridge === undefined;
  const isAzure = state.record.dialect !== 'openai';
  const vendor = isAzure ? vendorRepairs(settings.dropVendorFields, call.operation.name) : [];
  const repairs = repairsFor(state, input.capability, input.now);
  const untouched = input.translated === undefined && isNative;
  const cap = outputCap(input);
  if (untouched && !concerns(call, vendor) && !concerns(call, repairs))
    return prepareBytes(input, repairs, cap);
  return prepareObject(input, vendor, repairs, cap);
}

type Member = { readonly name: string; readonly value: number };

/**
 * The key's cap as a member of the body, where the caller names no maximum itself: or else the longest answers would be those
 * of callers who leave it out. A default of the deployment that is lower stays.
 */
function outputCap({ call, state, outputCap: cap }: PrepareInput): Member | undefined {
  // The last is the name that every server knows, or refuses by naming the other.
  const name = call.operation.outputLimits.at(-1);
  if (cap === undefined || name === undefined || call.outputLimit !== undefined) return undefined;
  if (call.match.endpoint.kind !== 'create') return undefined;
  const { defaults } = state.record;
  const own = outputLimitMembers.map((limit) => defaults[limit]);
  return { name, value: Math.min(cap, ...own.filter((value) => typeof value === 'number')) };
}

function concerns({ body, scan }: Call, repairs: readonly Repair[]): boolean {
  return (
    repairs.length > 0 &&
    mayNeedRepairs(scan.text ?? body.toString('latin1'), scan.members, repairs)
  );
}

function rootOf(param: string): string {
  const end = param.search(/[.[]/);
  return end === -1 ? param : param.slice(0, end);
}

function prepareBytes(
  input: PrepareInput,
  repairs: readonly Repair[],
  cap: Member | undefined,
): Prepared {
  const { call } = input;
  const changes: string[] = [];
  const edit = new BodyEdit(call.body, call.scan);
  for (const name of call.extras.strip) {
    edit.remove(name);
    changes.push(`-${name}`);
  }
  if (setsModel(input) && modelIn(call) !== input.deployment) {
    edit.set('model', JSON.stringify(input.deployment));
    changes.push('model');
  }
  const capName = cap === undefined ? undefined : nameAfter(repairs, cap.name);
  if (cap !== undefined && capName !== undefined) {
    edit.set(capName, String(cap.value));
    changes.push(`+${capName}`);
  }
  for (const [name, value] of Object.entries(defaultsFor(input, repairs))) {
    if (call.scan.members.has(name)) continue;
    if (hasLimit(call, cap) && outputLimitMembers.includes(name)) continue;
    edit.set(name, JSON.stringify(value));
    changes.push(`+${name}`);
  }
  if (asksForUsage(call.operation, call, repairs) && !call.wantsUsage) {
    const options = memberValue(call.body, call.scan, 'stream_options');
    edit.set(
      'stream_options',
      JSON.stringify({ ...(options as object | undefined), include_usage: true }),
    );
    changes.push('+stream_options.include_usage');
  }
  return { body: edit.bytes(), upstream: call.operation, bridge: undefined, changes };
}

const noDefaults: JsonObject = {};

/** A deployment's defaults shape answers: a count of tokens has none, and refuses what would shape it. */
function defaultsFor(
  { call, state, capability }: PrepareInput,
  repairs: readonly Repair[],
): JsonObject {
  if (!call.match.endpoint.metered) return noDefaults;
  const defaults = defaultsOn(operationOf(capability), state.record.defaults);
  if (repairs.length === 0 || Object.keys(defaults).length === 0) return defaults;
  const repaired = structuredClone(defaults);
  applyRepairs(repaired, repairs);
  return repaired;
}

/** Of two limits by two names, upstreams refuse one: the deployment's default stands back. */
function hasLimit(call: Call, cap: Member | undefined): boolean {
  return cap !== undefined || call.outputLimit !== undefined;
}

/** What a member is called upstream; undefined when it is not taken there. */
function nameAfter(repairs: readonly Repair[], name: string): string | undefined {
  const repair = repairs.find(({ param }) => param === name);
  if (repair === undefined) return name;
  return repair.action === 'rename' ? repair.to : undefined;
}

function prepareObject(
  input: PrepareInput,
  vendor: readonly Repair[],
  repairs: readonly Repair[],
  cap: Member | undefined,
): Prepared {
  const { call, bridge } = input;
  const changes: string[] = [];
  let body: JsonObject = { ...(input.translated ?? parseCallBody(call)) };
  for (const name of call.extras.strip) {
    delete body[name];
    changes.push(`-${name}`);
  }
  changes.push(...applyRepairs(body, vendor));
  if (cap !== undefined) {
    body[cap.name] = cap.value;
    changes.push(`+${cap.name}`);
  }
  let bridged: Prepared['bridge'];
  if (bridge !== undefined) {
    const context = contextOf(input, { ...body });
    const request = bridge.request(body, context);
    body = request.body;
    bridged = { bridge, context };
    changes.push(`${bridge.from}>${bridge.to}`, ...request.dropped.map((name) => `-${name}`));
  }
  changes.push(...applyRepairs(body, repairs));
  for (const [name, value] of Object.entries(defaultsFor(input, repairs))) {
    if (Object.hasOwn(body, name)) continue;
    if (hasLimit(call, cap) && outputLimitMembers.includes(name)) continue;
    body[name] = value;
    changes.push(`+${name}`);
  }
  const upstream = operations[operationOf(input.capability)];
  if (setsModel(input)) {
    if (bridge === undefined && body['model'] !== input.deployment) changes.push('model');
    body['model'] = input.deployment;
  }
  if (asksForUsage(upstream, call, repairs)) {
    const options = body['stream_options'];
    const isAsked = typeof options === 'object' && options !== null && 'include_usage' in options;
    if (!isAsked) {
      body['stream_options'] = { ...(options as JsonObject | undefined), include_usage: true };
      if (bridge === undefined) changes.push('+stream_options.include_usage');
    }
  }
  return { body: Buffer.from(JSON.stringify(body)), upstream, bridge: bridged, changes };
}

function contextOf({ call, model, state }: PrepareInput, request: JsonObject): BridgeContext {
  return {
    model,
    request,
    createdAt: Math.floor(call.startedAt / 1000),
    requestId: call.requestId.replaceAll('-', ''),
    deployment: state.record,
  };
}

/** On classic deployment paths the path decides, and the body's `model` is not looked at. */
function setsModel({ state, capability }: PrepareInput): boolean {
  return setsModelInBody(state.record.dialect, operationOf(capability));
}

function modelIn(call: Call): unknown {
  return memberValue(call.body, call.scan, 'model');
}

/** Usage of a chat stream comes only on request; a deployment that refused the request is not asked again. */
function asksForUsage(operation: OperationFacts, call: Call, repairs: readonly Repair[]): boolean {
  return (
    call.stream &&
    operation.usageOnRequest &&
    !repairs.some(({ param }) => rootOf(param) === 'stream_options')
  );
}

/** @throws GatewayError `invalid_body` */
export function parseCallBody(call: { body: Buffer; scan: Scan }): JsonObject {
  const body = parseBody(call.body);
  if (body === undefined) {
    throw new GatewayError('invalid_body', {
      values: { reason: 'its body is not valid JSON inside' },
    });
  }
  return body;
}
