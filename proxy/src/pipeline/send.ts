import type { IncomingHttpHeaders } from 'node:http';
import type { Limits, LimitScope } from '@aigateway/contract/limits';
import type { DeploymentRecord } from '@aigateway/contract/records';
import type { AttemptRecord } from '@aigateway/contract/usage';
import { bridgeFor, reachable } from '../bridge/index.ts';
import { costEstimate, costNanoUsd } from '../accounting/cost.ts';
import type { RequestEnd } from '../accounting/meter.ts';
import { GatewayError } from '../errors.ts';
import { operationOf, type Capability } from '../operations/capability.ts';
import type { Reservation } from '../ports.ts';
import {
  capabilityFor,
  learnParameter,
  learnUnsupported,
  repairFromRefusal,
} from '../routing/capability.ts';
import type { DeploymentState } from '../routing/deployments.ts';
import { filterDeployments, type FilterReason } from '../routing/filter.ts';
import { availableAt, isUsable } from '../routing/health.ts';
import { orderDeployments } from '../routing/index.ts';
import {
  fallbackChain,
  mayUse,
  upstreamName,
  type FallbackReason,
  type ResolvedModel,
} from '../routing/models.ts';
import type { Credential } from '../upstream/credential.ts';
import type { Header } from '../upstream/headers.ts';
import { upstreamPath } from '../upstream/dialect.ts';
import {
  classifyFailure,
  classifyStreamError,
  failureOfTransport,
  type FailureContext,
  type UpstreamFailure,
} from '../upstream/failure.ts';
import { upstreamHeaders } from '../upstream/headers.ts';
import { answerEstimate, canEstimate } from './answer-estimate.ts';
import { Attempt, type AttemptResult } from './attempt.ts';
import type { Grant } from './authorize.ts';
import type { Gateway } from './gateway.ts';
import type { Admitted } from './limit.ts';
import { prepare, type Prepared } from './prepare.ts';
import type { Reply } from './reply.ts';
import { answerError, respond, type Answered, type Delivered } from './respond.ts';
import { stripState, type StatefulBody } from './state.ts';
import { quotaReport } from './upstream-quota.ts';

/** Changes learned from refusals and tried at once, within one request. */
const maxRepairs = 8;

/** By how much an attempt may outlast the request's deadline. */
const deadlineSlackMs = 1_000;

/** How soon a stored object that was made a moment ago is looked for again. */
const visibilityWaitMs = 250;

/** How soon to look again at deployments that are all at their own limits, and what a caller is told who cannot wait. */
const busyPollMs = 50;
const busyRetryMs = 1000;

/** Why a model group could not serve the request. */
type Problem =
  | { kind: 'failure'; failure: UpstreamFailure; state: DeploymentState }
  | { kind: 'none'; reason: FilterReason; model: string }
  | { kind: 'cooling'; model: string; waitMs: number }
  | { kind: 'error'; error: GatewayError };

export type SendInput = {
  readonly grant: Grant;
  readonly admitted: Admitted;
  readonly reply: Reply;
  readonly gateway: Gateway;
  readonly callerHeaders: IncomingHttpHeaders;
  readonly stateful: StatefulBody | undefined;
};

/**
 * Gets one admitted call answered: by one deployment after another, then by fallback models, until output has begun.
 *
 * Always answers the caller in some form and never throws; what it gives back is for the meter.
 */
export async function send(input: SendInput): Promise<RequestEnd> {
  const delivery = new Delivery(input);
  try {
    return await delivery.run();
  } catch (error) {
    return delivery.fail(error);
  }
}

class Delivery {
  readonly #grant: Grant;
  readonly #admitted: Admitted;
  readonly #gateway: Gateway;
  readonly #input: SendInput;
  readonly #attempts: AttemptRecord[] = [];
  readonly #deadline: number;
  #stateful: StatefulBody | undefined;
  #current: Attempt | undefined;
  #wake: (() => void) | undefined;
  #gone = false;
  #fallbacks = 0;
  #repairs = 0;
  #lookedAgain = false;
  /** Milliseconds that the request has waited for deployments to come back. */
  #waited = 0;
  readonly #renewed = new Set<object>();

  constructor(input: SendInput) {
    this.#input = input;
    this.#grant = input.grant;
    this.#admitted = input.admitted;
    this.#gateway = input.gateway;
    this.#stateful = input.stateful;
    const { router } = input.grant.snapshot.records;
    const totalMs = input.grant.call.extras.timeoutMs ?? router.totalTimeoutMs;
    this.#deadline = input.grant.call.startedAt + totalMs;
    input.reply.onGone = () => this.#leave();
  }

  async run(): Promise<RequestEnd> {
    const { call, model, snapshot } = this.#grant;
    const visited = new Set<string>();
    let next: ResolvedModel | undefined = model;
    let chain: readonly string[] | undefined;
    let chainReason: FallbackReason | undefined;
    let first: Problem | undefined;
    while (next !== undefined) {
      visited.add(next.name);
      const outcome: Delivered | Problem = await this.#group(next);
      if (outcome.kind === 'delivered') return outcome.end;
      first ??= outcome;
      if (this.#gone) break;
      if (isUnable(outcome) && snapshot.records.settings.bridge && canEstimate(call)) {
        return answerEstimate({ ...this.#input, attempts: this.#attempts });
      }
      const reason = this.#fallbackReason(outcome);
      if (reason === undefined) break;
      if (chain === undefined || reason !== chainReason) chain = this.#chain(next, reason, visited);
      chainReason = reason;
      next = undefined;
      for (const name of chain) {
        if (visited.has(name)) continue;
        next = this.#grant.snapshot.models.resolve(name);
        visited.add(name);
        if (next !== undefined) break;
      }
      if (next !== undefined) this.#fallbacks += 1;
    }
    return this.#refuse(first);
  }

  fail(error: unknown): Promise<RequestEnd> {
    this.#current?.abort();
    return this.#refuse({
      kind: 'error',
      error:
        error instanceof GatewayError
          ? error
          : new GatewayError('internal_error', { cause: error }),
    });
  }

  /** Tries the deployments of one group until one delivers, or none is left that could. */
  async #group(model: ResolvedModel): Promise<Delivered | Problem> {
    const { router } = this.#grant.snapshot.records;
    const tried = new Map<DeploymentState, number>();
    let last: { failure: UpstreamFailure; state: DeploymentState } | undefined;
    let again = 0;
    let busy = false;
    let sticky: DeploymentState | undefined;
    for (;;) {
      if (this.#gone) return aborted;
      const filtered = this.#filter(model);
      if (filtered.reason === 'home' && this.#strip()) continue;
      if (filtered.reason !== undefined) {
        return last === undefined
          ? { kind: 'none', reason: filtered.reason, model: model.name }
          : { kind: 'failure', ...last };
      }
      if (this.#attempts.length >= router.maxAttempts)
        return last === undefined ? aborted : { kind: 'failure', ...last };
      const now = this.#gateway.clock.now();
      const order = sticky === undefined ? this.#order(filtered.candidates, model, now) : [sticky];
      sticky = undefined;
      const fresh = order.find(
        (state) => isUsable(state, now) && !tried.has(state) && mayRetry(last, tried, this.#grant),
      );
      let state = fresh;
      if (state === undefined) {
        const wait = this.#wait(order, last, again, busy, now);
        if (wait === undefined) {
          const hasHome = this.#stateful !== undefined && this.#stateful.homes.size > 0;
          if (hasHome && isLost(order, last, now) && this.#strip()) continue;
          return last === undefined
            ? {
                kind: 'cooling',
                model: model.name,
                waitMs: Math.max(soonest(order, now), busy ? busyRetryMs : 0),
              }
            : { kind: 'failure', ...last };
        }
        if (last !== undefined) again += 1;
        this.#waited += wait;
        await this.#sleep(wait);
        if (this.#gone) return aborted;
        const later = this.#gateway.clock.now();
        state =
          this.#order(filtered.candidates, model, later).find((candidate) =>
            isUsable(candidate, later),
          ) ?? order[0];
        if (state === undefined) return aborted;
      }
      const outcome = await this.#try(state, model);
      if (outcome.kind === 'delivered') return outcome;
      busy = outcome.kind === 'busy';
      if (outcome.kind === 'busy') {
        tried.set(state, (tried.get(state) ?? 0) + 1);
        continue;
      }
      const { failure, capability } = outcome;
      if (this.#gone) return aborted;
      switch (await this.#react(state, capability, failure)) {
        case 'same':
          sticky = state;
          tried.delete(state);
          continue;
        case 'next':
          tried.set(state, (tried.get(state) ?? 0) + 1);
          last = { failure, state };
          continue;
        case 'stop':
          return { kind: 'failure', failure, state };
      }
    }
  }

  /**
   * The deployments that may serve the call. Where each of them has refused every way of asking, something before them has more
   * likely failed than that they answer nothing: then refusals count no longer, only what is declared.
   */
  #filter(model: ResolvedModel) {
    const filtered = this.#filterAt(model, this.#gateway.clock.now());
    return filtered.reason === 'operation' ? this.#filterAt(model, Infinity) : filtered;
  }

  #filterAt(model: ResolvedModel, now: number) {
    const { key, snapshot, tags } = this.#grant;
    const credential =
      key.credential === undefined ? undefined : snapshot.credential(key.credential);
    return filterDeployments(this.#gateway.deployments.group(model.group), {
      key,
      router: snapshot.records.router,
      ...(key.credential !== undefined && { credentialOrigins: credential?.origins ?? [] }),
      ...(this.#stateful !== undefined && { homes: this.#stateful.homes }),
      tags,
      ...(model.deploymentId !== undefined && { deploymentId: model.deploymentId }),
      estimateInputTokens: this.#admitted.estimate.input,
      canServe: (state) => this.#capability(state, now) !== undefined,
    });
  }

  /** How to ask a deployment for what the caller wants; undefined when it cannot be had there. */
  #capability(state: DeploymentState, now: number): Capability | undefined {
    const { call, snapshot } = this.#grant;
    const isBridgeable = call.match.endpoint.kind !== 'stored' && snapshot.records.settings.bridge;
    const bridges = isBridgeable ? reachable(call.capability) : [];
    return capabilityFor(state, call.capability, bridges, now);
  }

  #order(
    candidates: readonly DeploymentState[],
    model: ResolvedModel,
    now: number,
  ): readonly DeploymentState[] {
    const { call, snapshot, key } = this.#grant;
    return orderDeployments(candidates, {
      now,
      random: this.#gateway.random,
      estimateTokens: this.#admitted.estimate.total,
      stream: call.stream,
      router: snapshot.records.router,
      ...(model.strategy !== undefined && { strategy: model.strategy }),
      ...(call.sessionKey !== undefined && { sessionKey: `${key.ownerId}:${call.sessionKey}` }),
    });
  }

  /** Milliseconds until another try makes sense within this request; undefined when none does. */
  #wait(
    order: readonly DeploymentState[],
    last: { failure: UpstreamFailure } | undefined,
    again: number,
    busy: boolean,
    now: number,
  ): number | undefined {
    const { router } = this.#grant.snapshot.records;
    const available = soonest(order, now);
    let wait = busy ? Math.max(available, busyPollMs) : available;
    if (last !== undefined) {
      if (last.failure.retry !== 'same-or-other') return undefined;
      if (again >= allowedRetries(last.failure, this.#grant)) return undefined;
      const ceiling = Math.min(8000, 500 * 2 ** again);
      wait = Math.max(
        available,
        last.failure.waitMs ?? 0,
        router.retryAfterMs,
        this.#gateway.random() * ceiling,
      );
    }
    const isTooLong = this.#waited + wait > this.#gateway.options.longestWaitMs;
    return isTooLong || now + wait >= this.#deadline ? undefined : wait;
  }

  async #try(
    state: DeploymentState,
    model: ResolvedModel,
  ): Promise<
    | Delivered
    | { kind: 'failed'; failure: UpstreamFailure; capability: Capability }
    | { kind: 'busy' }
  > {
    const { call, snapshot, key, asked } = this.#grant;
    const gateway = this.#gateway;
    const started = gateway.clock.now();
    const { record } = state;
    const capability = this.#capability(state, started) ?? call.capability;
    const bridge =
      capability === call.capability ? undefined : bridgeFor(call.capability, capability);
    const deployment = upstreamName(record, model);
    const prepared = prepare({
      call,
      translated: this.#stateful?.body,
      state,
      deployment,
      model: asked,
      capability,
      bridge,
      settings: snapshot.records.settings,
      now: started,
    });
    const { endpoint, id } = call.match;
    const path = upstreamPath(record, deployment, {
      operation: prepared.upstream.name,
      suffix: bridge === undefined ? endpoint.suffix.replace(':id', id ?? '') : '',
      query: call.query,
    });
    const reserved = this.#reserve(record);
    const held = reserved instanceof Promise ? await reserved : reserved;
    if (held === 'busy') return { kind: 'busy' };
    // From here to `finished` nothing may throw: the deployment counts the call as running.
    let attempt: Attempt | undefined;
    let result: AttemptResult;
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
      const delivered = await respond({
        ...this.#input,
        attempt,
        result,
        prepared,
        state,
        model,
        attempts: this.#attempts,
        fallbacks: this.#fallbacks,
        stateChanges: this.#stateful?.changes ?? [],
      });
      this.#finish(state, delivered.end, result, held, started);
      return delivered;
    }
    held?.settle({ tokens: 0, costNanoUsd: 0 });
    const failed = result as Exclude<AttemptResult, Answered>;
    const failure = this.#classify(failed, record, deployment, capability, model);
    this.#noteAttempt(record, failure.status, failure.kind, started);
    const renewable =
      failure.kind === 'auth' && failure.renew === true && credential?.renewable === true
        ? credential
        : undefined;
    const mayRenew = renewable !== undefined && !this.#renewed.has(renewable);
    const isTheirs = !mayRenew && !this.#gone;
    gateway.deployments.finished(state, {
      ok: false,
      blame: failure.blame && isTheirs,
      ...(isTheirs && { failureClass: failure.failureClass }),
      ...(failure.waitMs !== null && { waitMs: failure.waitMs }),
      tokens: 0,
      estimateTokens: this.#admitted.estimate.total,
      ...('headers' in failed && quotaReport(failed.headers)),
    });
    if (mayRenew) {
      // A token that ended early is no fault of the deployment: a new one, and once more.
      this.#renewed.add(renewable);
      await renewable.renew();
      return this.#try(state, model);
    }
    return { kind: 'failed', failure, capability };
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
    const isBroken = end.outcome === 'interrupted' || end.outcome === 'failed';
    const cost =
      used === undefined || end.price === undefined
        ? 0
        : costNanoUsd(used, end.price, end.serviceTier);
    held?.settle({ tokens, costNanoUsd: cost });
    this.#gateway.deployments.finished(state, {
      ok: end.outcome === 'completed',
      blame: isBroken,
      ...(isBroken && { failureClass: 'InternalServerError' as const }),
      tokens,
      estimateTokens: this.#admitted.estimate.total,
      ...(used !== undefined && { outputTokens: used.output }),
      latencyMs: this.#gateway.clock.now() - started,
      ...(this.#grant.call.stream &&
        end.firstOutputAt !== undefined && { firstOutputMs: end.firstOutputAt - started }),
      ...quotaReport(result.headers),
    });
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
    const attempt = new Attempt(prepared.upstream, collectAll, headersTimeoutMs);
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
        bodyTimeoutMs: call.stream
          ? Math.min(headersTimeoutMs, this.#gateway.options.bodyIdleMs)
          : headersTimeoutMs,
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

  /** The deployment's own limits, where they are hard. */
  #reserve(
    record: DeploymentRecord,
  ): Reservation | undefined | 'busy' | Promise<Reservation | 'busy'> {
    const { router } = this.#grant.snapshot.records;
    const scopes = deploymentScopes(record, router.enforceRateLimits);
    if (scopes.length === 0) return undefined;
    const answer = this.#gateway.limiter.reserve({
      scopes,
      tokens: this.#admitted.estimate.total,
      costNanoUsd: costEstimate(this.#admitted.estimate, [record.prices]),
    });
    const held = (outcome: Awaited<typeof answer>): Reservation | 'busy' =>
      'refused' in outcome ? 'busy' : outcome;
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

  /** What to do after a failure, having learned from it. */
  async #react(
    state: DeploymentState,
    capability: Capability,
    failure: UpstreamFailure,
  ): Promise<'same' | 'next' | 'stop'> {
    const { call, snapshot } = this.#grant;
    const now = this.#gateway.clock.now();
    const last = this.#attempts.at(-1);
    if (this.#repairs < maxRepairs) {
      this.#repairs += 1;
      if (failure.kind === 'operation_unsupported') {
        // Of a stored object it says nothing but that this object cannot be had.
        if (call.match.endpoint.kind === 'stored') return 'next';
        learnUnsupported(state, capability, now);
        return this.#capability(state, now) === undefined ? 'next' : 'same';
      }
      if (
        failure.retry === 'repaired' &&
        failure.kind !== 'encrypted_content' &&
        snapshot.records.settings.repairParameters
      ) {
        const repair = repairFromRefusal(operationOf(capability), failure);
        if (repair !== undefined && learnParameter(state, capability, repair, now)) return 'same';
        return 'stop';
      }
      this.#repairs -= 1;
    }
    switch (failure.kind) {
      case 'encrypted_content':
        return this.#strip() ? 'same' : 'stop';
      case 'item_missing':
      case 'previous_response_missing':
        // The follow-up of a turn can come before what that turn stored is visible.
        if (!this.#lookedAgain && last !== undefined) {
          this.#lookedAgain = true;
          await this.#sleep(visibilityWaitMs);
          return 'same';
        }
        return 'stop';
      default:
        return failure.retry === 'never' || failure.retry === 'repaired' ? 'stop' : 'next';
    }
  }

  /** Takes out what only the lost home could read, once; false when there is nothing or it was done already. */
  #strip(): boolean {
    const stripped = stripState(this.#grant.call, this.#stateful);
    if (stripped === undefined) return false;
    this.#stateful = stripped;
    return true;
  }

  #fallbackReason(problem: Problem): FallbackReason | undefined {
    const { call, snapshot } = this.#grant;
    if (call.extras.disableFallbacks || call.match.endpoint.kind === 'stored') return undefined;
    if (this.#stateful !== undefined && this.#stateful.homes.size > 0) return undefined;
    switch (problem.kind) {
      case 'error':
        return undefined;
      case 'none':
        return problem.reason === 'context_window' ? 'context_window' : 'general';
      case 'cooling':
        return 'general';
      case 'failure': {
        const { kind, retry } = problem.failure;
        if (kind === 'context_window' || kind === 'ptu_context_window') return 'context_window';
        // A blocked prompt goes nowhere else unless that was asked for by name.
        if (kind === 'content_filter') {
          const policy = snapshot.records.router.contentPolicyFallbacks;
          return Object.keys(policy).length > 0 ? 'content_policy' : undefined;
        }
        return retry === 'never' || retry === 'repaired' ? undefined : 'general';
      }
    }
  }

  #chain(
    model: ResolvedModel,
    reason: FallbackReason,
    visited: ReadonlySet<string>,
  ): readonly string[] {
    const { call, snapshot, key } = this.#grant;
    const asked = call.extras.fallbacks.filter((name) => {
      const fallback = snapshot.models.resolve(name, key);
      return fallback !== undefined && mayUse(key, fallback);
    });
    return asked.length > 0
      ? asked
      : fallbackChain(snapshot.records.router, model.name, reason, visited);
  }

  async #sleep(milliseconds: number): Promise<void> {
    if (milliseconds <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  #leave(): void {
    this.#gone = true;
    this.#current?.abort();
    this.#wake?.();
  }

  #noteAttempt(record: DeploymentRecord, status: number, reason: string, started: number): void {
    const durationMs = this.#gateway.clock.now() - started;
    this.#attempts.push({ deploymentId: record.id, status, reason, durationMs });
  }

  #refuse(problem: Problem | undefined): Promise<RequestEnd> {
    return answerError({
      ...this.#input,
      attempts: this.#attempts,
      gone: this.#gone,
      error: this.#errorOf(problem),
    });
  }

  #errorOf(problem: Problem | undefined): GatewayError | UpstreamFailure {
    if (this.#gone || problem === undefined) return new GatewayError('client_closed');
    switch (problem.kind) {
      case 'error':
        return problem.error;
      case 'cooling':
        return new GatewayError('all_deployments_in_cooldown', {
          values: {
            model: this.#grant.asked,
            seconds: Math.max(1, Math.ceil(problem.waitMs / 1000)),
          },
          retryAfterMs: problem.waitMs,
        });
      case 'none':
        return noDeployment(problem.reason, this.#grant.asked);
      case 'failure': {
        const { failure } = problem;
        if (failure.failureClass !== 'RateLimitError') return failure;
        const now = this.#gateway.clock.now();
        const group = this.#filter(this.#grant.model).candidates;
        return {
          ...failure,
          waitMs: group.length === 0 ? failure.waitMs : Math.max(1, soonest(group, now)),
        };
      }
    }
  }
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

/** No deployment of the group does what was asked for. */
function isUnable(problem: Problem): boolean {
  return problem.kind === 'none'
    ? problem.reason === 'operation'
    : problem.kind === 'failure' && problem.failure.kind === 'operation_unsupported';
}

/** Nor is it for a caller who is not there any more. */
const left: AttemptResult = { kind: 'lost', error: { kind: 'aborted', reusedSocket: false } };

const aborted: Problem = { kind: 'error', error: new GatewayError('client_closed') };

function soonest(order: readonly DeploymentState[], now: number): number {
  let wait = Number.POSITIVE_INFINITY;
  for (const state of order) wait = Math.min(wait, availableAt(state, now) - now);
  return Number.isFinite(wait) ? Math.max(0, wait) : 0;
}

/**
 * The home of a request's state fails by its own fault, and for nobody knows how long. One that is throttled comes back at a
 * known time, and the state with it.
 */
function isLost(
  home: readonly DeploymentState[],
  last: { failure: UpstreamFailure } | undefined,
  now: number,
): boolean {
  if (last !== undefined)
    return last.failure.blame && last.failure.failureClass !== 'RateLimitError';
  return home.every((state) => !isUsable(state, now) && state.health.reason === 'failures');
}

/** Retries by LiteLLM's policy for the kind of failure, else by the request, else by the router. */
function allowedRetries(failure: UpstreamFailure, grant: Grant): number {
  const { router } = grant.snapshot.records;
  return router.retryPolicy[failure.failureClass] ?? grant.call.extras.retries ?? router.retries;
}

/**
 * Another deployment that was not tried yet costs no retry: what one cannot serve, another may. Only a policy that names the
 * kind of failure, or the caller, can forbid it.
 */
function mayRetry(
  last: { failure: UpstreamFailure } | undefined,
  tried: ReadonlyMap<DeploymentState, number>,
  grant: Grant,
): boolean {
  if (last === undefined) return true;
  const policy =
    grant.snapshot.records.router.retryPolicy[last.failure.failureClass] ??
    grant.call.extras.retries;
  return policy === undefined || tried.size <= policy;
}

function noDeployment(reason: FilterReason, model: string): GatewayError {
  const texts: { readonly [name in FilterReason]: string } = {
    no_member: 'it has none',
    blocked: 'it is paused',
    region: "none lies in a region that this key's data may go to",
    credential: "none is reachable with the credential of this key's project",
    home: 'the resource that holds the objects it refers to is not among them',
    tags: 'none carries the tags of the request',
    operation: 'none answers this operation',
    context_window: 'ContextWindowExceededError: the request is longer than any of them takes',
  };
  const isCallers = reason === 'context_window' || reason === 'operation';
  return new GatewayError('no_deployment', {
    values: { model, reason: texts[reason] },
    ...(isCallers && { status: 400 }),
  });
}

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
