import type { IncomingHttpHeaders } from 'node:http';
import type { Limits, LimitScope } from '@aigateway/contract/limits';
import type { DeploymentRecord } from '@aigateway/contract/records';
import type { AttemptRecord } from '@aigateway/contract/usage';
import { costEstimate } from '../accounting/cost.ts';
import type { RequestEnd } from '../accounting/meter.ts';
import { callersParameter } from '../bridge/callers-parameter.ts';
import { bridgeFor } from '../bridge/index.ts';
import { suffixOf, type Capability } from '../operations/capability.ts';
import type { Reservation } from '../ports.ts';
import { storedResponses } from '../operations/responses.ts';
import type { DeploymentState } from '../routing/deployments.ts';
import { upstreamName, type ResolvedModel } from '../routing/models.ts';
import type { Cause } from '../telemetry/logger.ts';
import type { Credential } from '../upstream/credential.ts';
import { upstreamPath } from '../upstream/dialect.ts';
import {
  apiVersionChange,
  classifyFailure,
  classifyStreamError,
  failureOfTransport,
  type FailureContext,
  type UpstreamFailure,
} from '../upstream/failure.ts';
import { upstreamHeaders, type Header } from '../upstream/headers.ts';
import { Attempt, type AttemptResult } from './attempt.ts';
import { attemptCause, isOwnFault, upstreamRequestId } from './attempt-cause.ts';
import type { Grant } from './authorize.ts';
import type { Gateway } from './gateway.ts';
import type { Admitted } from './limit.ts';
import { prepare, type Prepared } from './prepare.ts';
import type { Reply } from './reply.ts';
import { respond, type Answered, type Delivered } from './respond.ts';
import type { StatefulBody } from './state.ts';
import { quotaReport } from './upstream-quota.ts';

const noChanges: readonly string[] = [];

/** How soon to look again at a deployment that has as many calls running as it may. */
const busyPollMs = 50;

/** By how much an attempt may outlast the request's deadline. */
const deadlineSlackMs = 1_000;

export type DialInput = {
  readonly grant: Grant;
  readonly admitted: Admitted;
  readonly reply: Reply;
  readonly gateway: Gateway;
  readonly callerHeaders: IncomingHttpHeaders;
};

/** One deployment, and how it is spoken to. */
export type Destination = {
  readonly state: DeploymentState;
  readonly model: ResolvedModel;
  readonly capability: Capability;
  readonly stateful: StatefulBody | undefined;
  /** Models that were tried before this one. */
  readonly fallbacks: number;
};

export type DialResult =
  | Delivered
  | { readonly kind: 'failed'; readonly failure: UpstreamFailure }
  /** Its own limits have no room; nothing was sent. */
  | { readonly kind: 'busy'; readonly waitMs: number };

/** Puts one request to one deployment after another; which, and whether another is needed, is decided by who calls it. */
export class Dial {
  /** Every try so far, in order. */
  attempts: readonly AttemptRecord[] = [];
  readonly #input: DialInput;
  readonly #grant: Grant;
  readonly #admitted: Admitted;
  readonly #gateway: Gateway;
  /** Milliseconds since the epoch. */
  readonly #deadline: number;
  /** Credentials that were asked for a new token. */
  #renewed: readonly object[] = [];
  #current: Attempt | undefined;
  #gone = false;

  constructor(input: DialInput, deadline: number) {
    this.#input = input;
    this.#grant = input.grant;
    this.#admitted = input.admitted;
    this.#gateway = input.gateway;
    this.#deadline = deadline;
  }

  /** The caller has left, or nobody waits any more: what runs is ended, and nothing new is sent. */
  abort(): void {
    this.#gone = true;
    this.#current?.abort();
  }

  /**
   * Tries a deployment: prepares the body for it, reserves its own limits, signs, dials, and where it answers, responds.
   *
   * @throws GatewayError where the request cannot be put to this deployment at all
   */
  async try(to: Destination): Promise<DialResult> {
    const { state, model, capability, stateful } = to;
    const { call, snapshot, key, asked } = this.#grant;
    const gateway = this.#gateway;
    const started = gateway.clock.now();
    const { record } = state;
    const bridge =
      capability === call.capability ? undefined : bridgeFor(call.capability, capability);
    const deployment = upstreamName(record, model);
    const prepared = prepare({
      call,
      translated: stateful?.body,
      state,
      deployment,
      model: asked,
      capability,
      bridge,
      settings: snapshot.records.settings,
      now: started,
      outputCap: key.maxOutputTokens,
    });
    const { endpoint, id } = call.match;
    const path = upstreamPath(record, deployment, {
      operation: prepared.upstream.name,
      suffix:
        bridge === undefined
          ? endpoint.suffix.replace(':id', id ?? '')
          : (suffixOf(capability) ?? ''),
      query: call.query,
    });
    const reserved = this.#reserve(state);
    const held = reserved instanceof Promise ? await reserved : reserved;
    if (typeof held === 'number') return { kind: 'busy', waitMs: held };
    // From here to `finished` nothing may throw: the deployment counts the call as running.
    let attempt: Attempt | undefined;
    let result: AttemptResult;
    gateway.deploymentLog.observe(state);
    gateway.deployments.started(state, this.#admitted.estimate.total);
    const credential = this.#credential(record, key.credential);
    const given = credential === undefined ? undefined : headerOf(credential);
    const header = given instanceof Promise ? await given.catch(() => undefined) : given;
    if (this.#gone) {
      // While a token was fetched.
      result = left;
    } else if (header === undefined) {
      result = noCredential;
    } else {
      attempt = this.#dispatch(record, path, prepared, header, started);
      result = await attempt.result;
      if (result.kind === 'lost' && result.error.reusedSocket && !this.#gone) {
        // A kept connection died before a byte of the answer: nothing of the deployment's doing, a fresh one decides.
        attempt = this.#dispatch(record, path, prepared, header, started);
        result = await attempt.result;
      }
    }
    if (attempt !== undefined && (result.kind === 'stream' || result.kind === 'whole')) {
      this.#noteAttempt(record, result.status, 'answered', started);
      gateway.deployments.answered(state);
      gateway.deploymentLog.observe(state);
      let delivered: Delivered;
      try {
        // Written out: an object that another is spread into takes twice the room.
        delivered = await respond({
          grant: this.#grant,
          admitted: this.#admitted,
          reply: this.#input.reply,
          gateway,
          attempt,
          result,
          prepared,
          state,
          model,
          attempts: this.attempts,
          fallbacks: to.fallbacks,
          stateChanges: stateful?.changes ?? noChanges,
        });
      } catch (error) {
        // It never should; if it does, neither a slot nor a reservation may stay behind.
        held?.settle({ tokens: 0, costNanoUsd: 0 });
        gateway.deployments.finished(state, { ok: false, blame: false });
        gateway.deploymentLog.observe(state);
        throw error;
      }
      this.#finish(state, delivered.end, result, held, started);
      return delivered;
    }
    held?.settle({ tokens: 0, costNanoUsd: 0 });
    const failed = result as Exclude<AttemptResult, Answered>;
    const failure: UpstreamFailure = {
      ...this.#classify(failed, record, deployment, capability, model),
      ...('headers' in failed && { answerHeaders: failed.headers }),
    };
    this.#noteAttempt(record, failure.status, failure.kind, started);
    const renewable =
      failure.kind === 'auth' && failure.renew === true && credential?.renewable === true
        ? credential
        : undefined;
    const mayRenew = renewable !== undefined && !this.#renewed.includes(renewable);
    const isTheirs = !mayRenew && !this.#gone && !(failure.kind === 'timeout' && this.#isHurried());
    gateway.deployments.finished(state, {
      ok: false,
      blame: failure.blame && isTheirs,
      failureClass: isTheirs ? failure.failureClass : undefined,
      waitMs: failure.waitMs ?? undefined,
      tokens: 0,
      estimateTokens: this.#admitted.estimate.total,
      ...('headers' in failed && quotaReport(failed.headers)),
    });
    const isConcern = failure.blame || failure.kind === 'api_version' || isOwnFault(failed);
    if (isConcern && isTheirs) {
      gateway.deploymentLog.failed(state, {
        requestId: call.requestId,
        status: failure.status,
        reason: failure.kind,
        upstreamRequestId: upstreamRequestId(failure.answerHeaders),
        change: failure.kind === 'api_version' ? apiVersionChange : undefined,
        cause: failed === noCredential ? nothingToSend : attemptCause(failed, failure),
      });
    }
    gateway.deploymentLog.observe(state);
    if (mayRenew) {
      // A token that ended early is no fault of the deployment: a new one, and once more.
      this.#renewed = [...this.#renewed, renewable];
      await renewable.renew();
      return this.try(to);
    }
    return { kind: 'failed', failure: inCallersNames(failure, prepared.bridge) };
  }

  /** A deployment has answered: its limits, its health and its statistics hear how it went. */
  #finish(
    state: DeploymentState,
    end: RequestEnd,
    result: Answered,
    held: Reservation | undefined,
    started: number,
  ): void {
    const used = end.usage?.tokens;
    const tokens = used === undefined ? 0 : used.input + used.output;
    const isBroken =
      (end.outcome === 'interrupted' || end.outcome === 'failed') && !this.#input.reply.interrupted;
    held?.settle({ tokens, costNanoUsd: end.costNanoUsd ?? 0 });
    const { rateLimit, utilisation } = quotaReport(result.headers);
    this.#gateway.deployments.finished(state, {
      ok: end.outcome === 'completed',
      blame: isBroken && !this.#isHurried(),
      failureClass: isBroken ? 'InternalServerError' : undefined,
      tokens,
      estimateTokens: this.#admitted.estimate.total,
      outputTokens: used?.output,
      latencyMs: this.#gateway.clock.now() - started,
      firstOutputMs:
        this.#grant.call.stream && end.firstOutputAt !== undefined
          ? end.firstOutputAt - started
          : undefined,
      rateLimit,
      utilisation,
    });
    this.#gateway.deploymentLog.observe(state);
  }

  /** The time that the caller itself allowed is over. What was too slow for it says nothing to others about a deployment. */
  #isHurried(): boolean {
    const { timeoutMs } = this.#grant.call.extras;
    return timeoutMs !== undefined && this.#gateway.clock.now() >= this.#deadline - deadlineSlackMs;
  }

  #dispatch(
    record: DeploymentRecord,
    path: string,
    prepared: Prepared,
    header: Header | null,
    started: number,
  ): Attempt {
    const { call, snapshot } = this.#grant;
    const { endpoint } = call.match;
    const { router, settings } = snapshot.records;
    const remaining = Math.max(1, this.#deadline - started);
    const limitMs = call.stream
      ? (record.streamTimeoutMs ?? router.streamTimeoutMs)
      : (record.timeoutMs ?? router.timeoutMs);
    // The transport keeps one timer per connection as long as its delay stays the same: only a deadline that is near changes it.
    const headersTimeoutMs = remaining < limitMs - deadlineSlackMs ? remaining : limitMs;
    const collectAll = prepared.bridge !== undefined || prepared.upstream.name === 'responses';
    const attempt = new Attempt(
      endpoint.kind === 'stored' ? storedResponses : prepared.upstream,
      collectAll,
      headersTimeoutMs,
    );
    this.#current = attempt;
    const controls = this.#gateway.transport.dispatch(
      record.resource.origin,
      {
        method: endpoint.method,
        path,
        headers: upstreamHeaders(settings, {
          caller: this.#input.callerHeaders,
          deployment: record,
          credential: header,
          requestId: call.requestId,
          hasBody: prepared.body !== null,
        }),
        body: prepared.body,
        headersTimeoutMs,
        bodyTimeoutMs: call.stream ? this.#gateway.options.bodyIdleMs : headersTimeoutMs,
      },
      attempt,
    );
    attempt.attach(controls);
    return attempt;
  }

  /** The one credential for this deployment; undefined when it may not be used there. */
  #credential(record: DeploymentRecord, ofKey: string | undefined): Credential | undefined {
    const found = this.#grant.snapshot.credential(ofKey ?? record.credential);
    try {
      return found === undefined
        ? undefined
        : this.#gateway.credentials.get(found, record.resource.origin, record.dialect);
    } catch (error) {
      this.#gateway.logger.warn({ error, deployment: record.id }, 'no upstream credential');
      return undefined;
    }
  }

  /** The deployment's own limits, where they are hard; a number is the wait in milliseconds until they have room. */
  #reserve(
    state: DeploymentState,
  ): Reservation | undefined | number | Promise<Reservation | number> {
    const { router } = this.#grant.snapshot.records;
    const { record } = state;
    const scopes = deploymentScopes(record, router.enforceRateLimits);
    if (scopes.length === 0) return undefined;
    const answer = this.#gateway.limiter.reserve({
      scopes,
      tokens: this.#admitted.estimate.total,
      costNanoUsd: costEstimate(this.#admitted.estimate, [record.prices]),
    });
    const held = (outcome: Awaited<typeof answer>): Reservation | number => {
      if (!('refused' in outcome)) return outcome;
      this.#gateway.deploymentLog.limited(state, outcome);
      // Nobody knows when a running call ends: it is looked for soon.
      return outcome.limitType === 'max_parallel_requests' ? busyPollMs : outcome.retryAfterMs;
    };
    return answer instanceof Promise ? answer.then(held) : held(answer);
  }

  #classify(
    result: Exclude<AttemptResult, Answered>,
    record: DeploymentRecord,
    deployment: string,
    capability: Capability,
    model: ResolvedModel,
  ): UpstreamFailure {
    if (result.kind === 'lost') return failureOfTransport(result.error);
    const context: FailureContext = {
      capability,
      capacity: record.capacity,
      names: { deployment, model: this.#grant.asked },
      isWildcard: model.filled !== undefined,
      now: this.#gateway.clock.now(),
    };
    if (result.kind === 'refused') {
      return classifyFailure(result.status, result.headers, result.body.toString('utf8'), context);
    }
    const understood = result.data === undefined ? null : classifyStreamError(result.data, context);
    return understood ?? classifyFailure(502, result.headers, '', context);
  }

  #noteAttempt(record: DeploymentRecord, status: number, reason: string, started: number): void {
    const durationMs = this.#gateway.clock.now() - started;
    const attempt = { deploymentId: record.id, status, reason, durationMs };
    this.attempts = this.attempts.length === 0 ? [attempt] : [...this.attempts, attempt];
  }
}

/** An error about a bridged request names the parameter that the caller sent. */
function inCallersNames(failure: UpstreamFailure, bridge: Prepared['bridge']): UpstreamFailure {
  const theirs = failure.param;
  if (bridge === undefined || theirs === null) return failure;
  const param = callersParameter(theirs, bridge.bridge.tables, bridge.context.request);
  return { ...failure, param, message: failure.message.replaceAll(`'${theirs}'`, `'${param}'`) };
}

/** The header to send; undefined when there is none to be had. What failed is told by the credential's own events. */
function headerOf(credential: Credential): Header | null | undefined | Promise<Header | null> {
  try {
    return credential.header();
  } catch {
    return undefined;
  }
}

/** Without a credential the upstream is not asked: its answer is known. */
const noCredential: AttemptResult = {
  kind: 'refused',
  status: 401,
  headers: {},
  body: Buffer.alloc(0),
};

/** What failed then is told by the credential's own lines. */
const nothingToSend: Cause = { name: 'no_credential', message: 'the gateway has none to send' };

/** Nor is it for a caller who is not there any more. */
const left: AttemptResult = { kind: 'lost', error: { kind: 'aborted', reusedSocket: false } };

const limitScopes = new WeakMap<DeploymentRecord, readonly LimitScope[]>();

/** What an attempt must pass at the deployment: its budgets and its provider's, and its own limits where they are hard. */
function deploymentScopes(record: DeploymentRecord, enforced: boolean): readonly LimitScope[] {
  let scopes = limitScopes.get(record);
  if (scopes === undefined) {
    const { parallelRequests, requestsPerMinute, tokensPerMinute } = record;
    const limits: Limits = {
      ...(parallelRequests !== undefined && { parallelRequests }),
      ...(enforced && requestsPerMinute !== undefined && { requestsPerMinute }),
      ...(enforced && tokensPerMinute !== undefined && { tokensPerMinute }),
    };
    const own: LimitScope = { kind: 'deployment', id: record.id, label: record.id, limits };
    scopes = [...(record.scopes ?? []), ...(Object.keys(limits).length > 0 ? [own] : [])];
    limitScopes.set(record, scopes);
  }
  return scopes;
}
