import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { LoginThrottle } from '@aigateway/contract/login-throttle';
import type { StandingChange } from '@aigateway/contract/standing-changes';
import { requestIdOf } from '@aigateway/contract/request-id';
import { type Actor, anonymousActor } from '../auth/actor.ts';
import { authenticate } from '../auth/authenticate.ts';
import { auditStates } from '../audit/entry.ts';
import { ApiError, detailError, proxyError } from '../errors.ts';
import type { AuditEntry } from '../store/audit.ts';
import type { Kind } from '../store/documents.ts';
import {
  ConflictError,
  StoreUnavailableError,
  UniqueError,
  type Written,
} from '../store/entities.ts';
import type { Store } from '../store/store.ts';
import { SpendResets } from '../spend/resets.ts';
import type { Call, ManagementSettings, Outcome, Sealer, TellSpend } from './call.ts';
import { earlierAnswer, forgetOldAnswers, remembered, repeatableOf } from './idempotency.ts';
import { entityTag, isKnown } from './preconditions.ts';
import { readInput } from './read-input.ts';
import { authorize, type Route } from './route.ts';
import { type Replaced, View } from './view.ts';

/** What a control plane needs from outside. */
export type ControlPlanePorts = {
  readonly store: Store;
  readonly clock: { now(): number };
  /** Lower-case hex SHA-256 of the master key; undefined = there is none. */
  readonly masterKeyHash: () => string | undefined;
  /** Asked for each request, as is the hash: a configuration may be read again. */
  readonly settings: () => ManagementSettings;
  readonly sealer: Sealer;
  /** Told of spend that was set, before the call is answered. */
  readonly tellSpend: TellSpend;
  /** Told of every write before it is answered, so that what was made works at once. Must not fail for long: it holds the answer up. */
  readonly onChange: (written: readonly Written[]) => void | Promise<void>;
  /** For the log. Never holds a secret. */
  readonly onFault: (message: string, cause: unknown) => void;
  /** Told of every call once it is answered, for the log and metrics. */
  readonly onAnswered?: (call: AnsweredCall) => void;
  /** Address of a caller; that of its connection unless given. */
  readonly clientAddress?: (request: IncomingMessage) => string;
  /** How deployments fared, as all proxies saw it, the newest last; nothing unless given. */
  readonly standingChanges?: () => Promise<readonly StandingChange[]>;
  /** Slows down who guesses keys. */
  readonly logins?: LoginThrottle;
  /** True from the moment that the process is to end: it is not ready any more. */
  readonly isStopping?: () => boolean;
};

/** What may be logged of a call. */
export type AnsweredCall = {
  readonly requestId: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly durationMs: number;
  /** Address of the caller. */
  readonly client: string;
  readonly method: string;
  /** The declared path: the one that was called may hold ids and keys. `unknown` where there is none. */
  readonly endpoint: string;
  readonly status: number;
  /** Who called, where that is known. */
  readonly keyId?: string | undefined;
  readonly userId?: string | undefined;
  readonly role?: string | undefined;
};

/** A request as the framework hands it over. `readBody` is called only for callers who may use the route. */
export type ApiRequest = {
  /** Address of the caller. */
  readonly client: string;
  readonly headers: IncomingHttpHeaders;
  /** The declared path that matched. */
  readonly path: string;
  readonly params: { [name: string]: string };
  readonly query: object;
  readonly readBody: () => Promise<unknown>;
};

export type ApiAnswer = {
  readonly status: number;
  readonly body: unknown;
  readonly headers: { readonly [name: string]: string };
  readonly contentType?: string;
  /** Undefined where nobody was recognised. */
  readonly actor?: Actor | undefined;
};

const nothingSeen = () => Promise.resolve([]);

/** How often a call is decided anew because something it read was written meanwhile. */
const mostTries = 5;

/**
 * Checks declarations: a route without a policy, a writing route without an audit rule and a path declared twice are faults of
 * the program, found at the start.
 */
export function checkRoutes(routes: readonly Route[]): void {
  const seen = new Set<string>();
  for (const route of routes) {
    const name = `${route.method} ${route.paths.join(' ')}`;
    const { policy, effect } = route as Partial<Route>;
    if (policy === undefined) throw new TypeError(`${name} has no policy`);
    if (effect === undefined) throw new TypeError(`${name} does not say whether it writes`);
    if (route.method === 'get' && effect !== 'read') throw new TypeError(`${name} must not write`);
    if (route.paths.length === 0) throw new TypeError(`${name} has no path`);
    for (const path of route.paths) {
      const place = `${route.method} ${path.replaceAll(/:\w+/g, ':')}`;
      if (seen.has(place)) throw new TypeError(`${place} is declared twice`);
      seen.add(place);
    }
  }
}

/** Answers one request of one route: who, may they, what; decided, written, recorded, told. Never throws. */
export async function answer(
  route: Route,
  request: ApiRequest,
  ports: ControlPlanePorts,
): Promise<ApiAnswer> {
  const requestId = requestIdOf(request.headers);
  let actor: Actor | undefined;
  try {
    const login = new View(ports.store.entities);
    actor = await identify(route, request, ports, login);
    return { ...(await serve(route, request, ports, requestId, actor, login)), actor };
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal.status >= 500) ports.onFault(`${route.method} ${request.path}`, error);
    return {
      status: refusal.status,
      body: refusal.body,
      headers: { ...idHeaders(requestId), ...refusal.headers },
      actor,
    };
  }
}

function idHeaders(requestId: string) {
  return { 'x-request-id': requestId, 'x-litellm-call-id': requestId };
}

async function identify(
  route: Route,
  { headers, client }: ApiRequest,
  { clock, masterKeyHash, settings, logins }: ControlPlanePorts,
  view: View,
): Promise<Actor> {
  if (route.policy.isPublic) return anonymousActor;
  return authenticate(headers, {
    masterKeyHash: masterKeyHash(),
    keyHeader: settings().keyHeader,
    view,
    now: clock.now(),
    client,
    logins,
  });
}

async function serve(
  route: Route,
  request: ApiRequest,
  ports: ControlPlanePorts,
  requestId: string,
  caller: Actor,
  firstLogin: View,
): Promise<ApiAnswer> {
  const { store, clock } = ports;
  const now = clock.now();
  authorize(route, request.path, caller);
  const body = route.body === undefined ? undefined : await request.readBody();
  const input = readInput(route, { params: request.params, query: request.query, body });

  const repeatable = repeatableOf(route, request, caller, input);
  let actor = caller;
  let login = firstLogin;
  let view = firstLogin;
  const decide = async (): Promise<Decided> => {
    if (view !== firstLogin) {
      // Decided anew because something was written meanwhile: it may be the caller's rights that were.
      login = new View(store.entities, view);
      actor = await identify(route, request, ports, login);
      authorize(route, request.path, actor);
    }
    view = new View(store.entities, view, login);
    const earlier = repeatable && (await earlierAnswer(view, repeatable, now));
    if (earlier !== undefined) return { outcome: earlier, replaced: [], isReplay: true };
    const spend = new SpendResets();
    const call: Call = {
      actor,
      view,
      ledger: store.ledger,
      audit: store.audit,
      now,
      settings: ports.settings(),
      sealer: ports.sealer,
      spend,
      standingChanges: ports.standingChanges ?? nothingSeen,
      route: request.path,
      ifMatch: header(request.headers, 'if-match', longestHeader),
    };
    const outcome = await route.handle(input, call);
    const { effect } = route;
    if (effect === 'read') {
      if (outcome.changes === undefined) return { outcome, replaced: [], version: outcome.version };
      throw new TypeError(`${route.method} ${request.path} writes and is declared to read`);
    }
    const changes = [...(outcome.changes ?? []), ...(await spend.changes(call))];
    if (repeatable !== undefined) {
      changes.push(remembered(repeatable, outcome.answerAgain ?? outcome.answer, actor, now));
    }
    const { replaced, versions } = await view.write(changes, (changed) =>
      auditEntry(effect, request, requestId, actor, now, outcome, changed.filter(isOfOthers)),
    );
    return { outcome, replaced: replaced.filter(isOfOthers), version: versions[0], spend };
  };
  const { outcome, replaced, version, isReplay, spend } = await repeatOnConflict(decide);
  await tellSpend(spend, ports);
  if (replaced.length > 0) await publish(replaced, ports);
  if (repeatable !== undefined && isReplay !== true) await forget(ports, now);
  const ignored = [...input.ignored, ...(outcome.ignored ?? [])];
  const etag = route.own === true ? etagOf(route, outcome, version) : undefined;
  const ifNoneMatch = header(request.headers, 'if-none-match', longestHeader);
  const isUnchanged = etag !== undefined && route.effect === 'read' && isKnown(ifNoneMatch, etag);
  return {
    status: isUnchanged ? 304 : (route.status ?? 200),
    body: isUnchanged ? undefined : outcome.answer,
    headers: {
      ...idHeaders(requestId),
      ...(ignored.length > 0 && { 'x-aigateway-ignored': ignoredHeader(ignored) }),
      ...(etag !== undefined && { etag }),
      ...(isReplay && { 'idempotency-replayed': 'true' }),
    },
    ...(outcome.contentType !== undefined && { contentType: outcome.contentType }),
  };
}

/** Longer ones hold more than tags and dates. */
const longestHeader = 4096;

type Decided = {
  readonly outcome: Outcome;
  readonly replaced: readonly Replaced[];
  /** Of the entity that the answer shows. */
  readonly version?: string | undefined;
  readonly isReplay?: boolean;
  /** Was set with what was written. */
  readonly spend?: SpendResets;
};

/** What the API remembers for itself is nobody's to hear of. */
function isOfOthers({ kind }: Replaced): boolean {
  return kind !== 'idempotency';
}

/** Of what was read, how it is shown counts as well; what was written is named by its version. */
function etagOf(
  { effect }: Route,
  { answer: shown }: Outcome,
  version: string | undefined,
): string | undefined {
  if (effect === 'read') return entityTag(version, shown);
  return version === undefined ? undefined : `"${version}"`;
}

/** Nothing depends on it: what is not forgotten now is with the next request. */
async function forget(ports: ControlPlanePorts, now: number): Promise<void> {
  try {
    await forgetOldAnswers(ports.store.entities, now);
  } catch (error) {
    ports.onFault('old answers to repeated requests were not taken away', error);
  }
}

/** Resets of all spend are one change of that name, not a record as long as there are keys. */
function withoutMasses(replaced: readonly Replaced[]): readonly Replaced[] {
  const others = replaced.filter(({ kind }) => kind !== 'spend_reset');
  return replaced.length - others.length > mostResets ? others : replaced;
}

const mostResets = 100;

/** As with what is published, the store knows it, and what is counted elsewhere cannot take the write back. */
async function tellSpend(spend: SpendResets | undefined, ports: ControlPlanePorts): Promise<void> {
  try {
    for (const [dimension, id, toNanoUsd] of spend?.all() ?? []) {
      await ports.tellSpend(dimension, id, toNanoUsd);
    }
  } catch (error) {
    ports.onFault('spend was set and could not be told to those who count it', error);
  }
}

/** What is written is written: a fault here is the log's, whoever is told catches up from the store. */
async function publish(replaced: readonly Replaced[], ports: ControlPlanePorts): Promise<void> {
  try {
    await ports.onChange(replaced.map(({ kind, id }) => ({ kind, id })));
  } catch (error) {
    ports.onFault('a change was written and could not be published', error);
  }
}

async function repeatOnConflict<Result>(decide: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await decide();
    } catch (error) {
      if (!(error instanceof ConflictError) || tries === mostTries) throw error;
    }
  }
}

function auditEntry(
  rule: { action: string; kind: string },
  request: ApiRequest,
  requestId: string,
  actor: Actor,
  now: number,
  outcome: Outcome,
  replaced: readonly Replaced[],
): AuditEntry {
  return {
    at: now,
    actor: actor.id,
    actorRole: actor.kind === 'key' ? actor.role : actor.kind,
    onBehalfOf: header(request.headers, 'litellm-changed-by', 256) ?? null,
    action: rule.action,
    objectKind: rule.kind,
    objectId: outcome.subject ?? replaced[0]?.id ?? '',
    route: request.path,
    requestId,
    ...auditStates(withoutMasses(replaced)),
  };
}

function refusalOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof StoreUnavailableError) {
    return proxyError(
      503,
      'no_db_connection',
      'The store of the control plane cannot be reached. Model traffic is not affected; try again later.',
    );
  }
  if (error instanceof ConflictError) {
    return proxyError(
      409,
      'conflict_error',
      `This ${error.kind} is being changed by others at the same time. Try again.`,
    );
  }
  if (error instanceof UniqueError) return taken(error.kind, error.index);
  return proxyError(500, 'internal_server_error', 'Internal error of the gateway.');
}

/** What LiteLLM answers when a value that must be unique is taken. */
export function taken(kind: Kind, index: string): ApiError {
  if (kind === 'key' && index === 'hash') {
    return proxyError(
      400,
      'bad_request_error',
      'A key with this value exists. It is not overwritten: update or regenerate it instead.',
      'key',
    );
  }
  if (kind === 'key') {
    return proxyError(
      400,
      'bad_request_error',
      'Key with this alias already exists. Unique key aliases across all keys are required.',
      'key_alias',
    );
  }
  return detailError(409, { error: `Another ${kind} has this ${index}.` });
}

function header(headers: IncomingHttpHeaders, name: string, longest: number): string | undefined {
  const value = headers[name];
  if (typeof value !== 'string' || value === '') return undefined;
  return value.slice(0, longest);
}

/** Names that callers chose go into a header, so nothing but plain characters of them. */
function ignoredHeader(names: readonly string[]): string {
  return names
    .slice(0, 50)
    .map((name) => name.replaceAll(/[^\w.-]/g, '?').slice(0, 64))
    .join(', ');
}
