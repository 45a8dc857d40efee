import type { RequestEnd } from '../accounting/meter.ts';
import { GatewayError } from '../errors.ts';
import { operationOf, type Capability } from '../operations/capability.ts';
import { learnParameter, learnUnsupported, repairFromRefusal } from '../routing/capability.ts';
import type { DeploymentState } from '../routing/deployments.ts';
import type { FilterReason } from '../routing/filter.ts';
import { availableAt, isUsable } from '../routing/health.ts';
import { orderDeployments } from '../routing/index.ts';
import {
  fallbackChain,
  mayUse,
  type FallbackReason,
  type ResolvedModel,
} from '../routing/models.ts';
import type { UpstreamFailure } from '../upstream/failure.ts';
import { answerEstimate, canEstimate } from './answer-estimate.ts';
import type { Grant } from './authorize.ts';
import { candidatesOf, capabilityOn } from './candidates.ts';
import { Dial, type DialInput, type DialResult } from './dial.ts';
import type { Gateway } from './gateway.ts';
import type { Admitted } from './limit.ts';
import { stopping } from './refuse.ts';
import { answerError, type Delivered } from './respond.ts';
import { stripState, stripThoughts, type StatefulBody } from './state.ts';

/** Changes learned from refusals and tried at once, within one request. */
const maxRepairs = 8;

/** How soon a stored object that was made a moment ago is looked for again. */
const visibilityWaitMs = 250;

/** What a caller is told at least whose deployments are all at their own limits. */
const busyRetryMs = 1000;

/** Why a model group could not serve the request. */
type Problem =
  | { kind: 'failure'; failure: UpstreamFailure; state: DeploymentState }
  | { kind: 'none'; reason: FilterReason; model: string }
  | { kind: 'cooling'; model: string; waitMs: number }
  | { kind: 'error'; error: GatewayError };

export type SendInput = DialInput & { readonly stateful: StatefulBody | undefined };

/**
 * Gets one admitted call answered: by one deployment after another, then by fallback models, until output has begun.
 *
 * Always answers the caller in some form and never throws; what it gives back is for the meter.
 */
export function send(input: SendInput): Promise<RequestEnd> {
  return new Delivery(input).run();
}

class Delivery {
  readonly #grant: Grant;
  readonly #admitted: Admitted;
  readonly #gateway: Gateway;
  readonly #input: SendInput;
  readonly #dial: Dial;
  readonly #deadline: number;
  #stateful: StatefulBody | undefined;
  #wake: (() => void) | undefined;
  #gone = false;
  #fallbacks = 0;
  #repairs = 0;
  #lookedAgain = false;
  /** Models that were tried, the one asked for among them; made when another is thought of. */
  #visitedModels: Set<string> | undefined;
  /** A group that rests was left for a fallback model where it could have been waited for. */
  #leftResting = false;
  /** Nothing else is left: deployments that rest for failures are asked all the same. */
  #asksResting = false;
  /** Milliseconds that the request has waited for deployments to come back. */
  #waited = 0;

  constructor(input: SendInput) {
    this.#input = input;
    this.#grant = input.grant;
    this.#admitted = input.admitted;
    this.#gateway = input.gateway;
    this.#stateful = input.stateful;
    const { router } = input.grant.snapshot.records;
    const totalMs = input.grant.call.extras.timeoutMs ?? router.totalTimeoutMs;
    this.#deadline = input.grant.call.startedAt + totalMs;
    this.#dial = new Dial(input, this.#deadline);
    input.reply.onGone = () => this.#leave();
    input.reply.onInterrupt = () => this.#leave();
    if (input.reply.closed !== undefined || input.reply.interrupted) this.#leave();
  }

  /** Never throws. */
  async run(): Promise<RequestEnd> {
    const { model } = this.#grant;
    try {
      const outcome = await this.#group(model);
      return outcome.kind === 'delivered' ? outcome.end : await this.#fallBack(model, outcome);
    } catch (error) {
      return this.#fail(error);
    }
  }

  get #visited(): Set<string> {
    return (this.#visitedModels ??= new Set([this.#grant.model.name]));
  }

  /** The model asked for could not answer: others may, by the reason of each failure. */
  async #fallBack(model: ResolvedModel, problem: Problem): Promise<RequestEnd> {
    let last = problem;
    let failed = model;
    let chain: readonly string[] | undefined;
    let chainReason: FallbackReason | undefined;
    while (!this.#gone) {
      // LiteLLM's counter never fails: whatever kept an upstream from counting, there is an estimate.
      const isCounter = this.#grant.call.capability === 'token_counter';
      if ((isCounter || isUnable(last)) && this.#mayEstimate()) {
        return answerEstimate({ ...this.#input, attempts: this.#dial.attempts });
      }
      const reason = this.#fallbackReason(last);
      if (reason === undefined) break;
      if (chain === undefined || reason !== chainReason) {
        chain = this.#chain(failed, reason);
      }
      chainReason = reason;
      const next = this.#firstUnvisited(chain);
      if (next === undefined) break;
      this.#fallbacks += 1;
      const outcome = await this.#group(next);
      if (outcome.kind === 'delivered') return outcome.end;
      last = outcome;
      failed = next;
    }
    // What went wrong with the model that was asked for is what the caller can make something of.
    const rests = problem.kind === 'cooling' || this.#leftResting;
    if (!rests || this.#gone) return this.#refuse(problem);
    this.#asksResting = true;
    const outcome = await this.#group(model);
    if (outcome.kind === 'delivered') return outcome.end;
    // Any other problem, as that all attempts are used up, is not what kept the model from answering.
    return this.#refuse(outcome.kind === 'failure' ? outcome : problem);
  }

  #firstUnvisited(chain: readonly string[]): ResolvedModel | undefined {
    for (const name of chain) {
      if (this.#visited.has(name)) continue;
      this.#visited.add(name);
      const model = this.#grant.snapshot.models.resolve(name);
      if (model === undefined) continue;
      this.#visited.add(model.name);
      return model;
    }
    return undefined;
  }

  #fail(error: unknown): Promise<RequestEnd> {
    this.#dial.abort();
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
    let tried: readonly DeploymentState[] = [];
    let last: { failure: UpstreamFailure; state: DeploymentState } | undefined;
    let again = 0;
    // Those that were found at their own limits since the last wait, and the shortest wait that they named.
    let busy: readonly DeploymentState[] = [];
    let busyMs = Infinity;
    let sticky: DeploymentState | undefined;
    /** Those whose bridge cannot carry the request, and what the first of them said. */
    let unfit: readonly DeploymentState[] = [];
    let unfitError: GatewayError | undefined;
    for (;;) {
      if (this.#gone) return aborted;
      const filtered = this.#filter(model);
      if (filtered.reason === 'home' && this.#strip()) continue;
      if (filtered.reason !== undefined) {
        return last === undefined
          ? { kind: 'none', reason: filtered.reason, model: model.name }
          : { kind: 'failure', ...last };
      }
      if (this.#dial.attempts.length >= router.maxAttempts)
        return last === undefined ? aborted : { kind: 'failure', ...last };
      const fit =
        unfit.length === 0
          ? filtered.candidates
          : filtered.candidates.filter((state) => !unfit.includes(state));
      if (unfitError !== undefined && fit.length === 0) {
        return last === undefined
          ? { kind: 'error', error: unfitError }
          : { kind: 'failure', ...last };
      }
      const now = this.#gateway.clock.now();
      const order = sticky === undefined ? this.#order(fit, model, now) : [sticky];
      sticky = undefined;
      const untried = mayRetry(last, tried.length, model, this.#grant) ? without(order, tried) : [];
      // At last even one that rests for failures: that it still fails is a guess, while the others just did.
      const state =
        untried.find((candidate) => isUsable(candidate, now)) ??
        (last === undefined && !this.#asksResting
          ? undefined
          : untried.find((candidate) => candidate.health.reason === 'failures'));
      if (state === undefined) {
        if (this.#goesElsewhere(order, model, now)) continue;
        const isAgain = untried.length === 0;
        const wait = isAgain
          ? this.#wait(model, last, again, untilFree(order, busy, busyMs, now), now)
          : this.#wait(model, undefined, again, untilFree(untried, busy, busyMs, now), now);
        const hasHome = this.#stateful !== undefined && this.#stateful.homes.size > 0;
        if (wait === undefined && hasHome && isLost(order, last, now) && this.#strip()) continue;
        const problem: Problem =
          last === undefined
            ? {
                kind: 'cooling',
                model: model.name,
                waitMs: untilFree(order, busy, Math.max(busyMs, busyRetryMs), now),
              }
            : { kind: 'failure', ...last };
        if (wait === undefined) return problem;
        const rests = soonest(isAgain ? order : untried, now) > 0;
        if (rests && this.#hasFallback(model, problem, now)) {
          this.#leftResting = true;
          return problem;
        }
        this.#waited += wait;
        tried = isAgain ? [] : without(tried, busy);
        if (isAgain && last !== undefined) again += 1;
        busy = [];
        busyMs = Infinity;
        await this.#sleep(wait);
        continue;
      }
      const capability =
        capabilityOn(state, this.#grant, this.#gateway.clock.now()) ?? this.#grant.call.capability;
      let outcome: DialResult;
      try {
        outcome = await this.#dial.try({
          state,
          model,
          capability,
          stateful: this.#stateful,
          fallbacks: this.#fallbacks,
        });
      } catch (error) {
        // One that needs no bridge may take what this one's cannot carry.
        if (!(error instanceof GatewayError) || error.code !== 'bridge_unsupported') throw error;
        unfit = [...unfit, state];
        unfitError ??= error;
        continue;
      }
      if (outcome.kind === 'delivered') return outcome;
      if (outcome.kind === 'busy') {
        tried = [...tried, state];
        busy = [...busy, state];
        busyMs = Math.min(busyMs, outcome.waitMs);
        continue;
      }
      const { failure } = outcome;
      if (this.#gone) return aborted;
      switch (await this.#react(state, capability, failure)) {
        case 'same':
          sticky = state;
          tried = without(tried, [state]);
          continue;
        case 'next':
          tried = [...tried, state];
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
    return filtered.reason === 'operation' && !this.#mayEstimate()
      ? this.#filterAt(model, Infinity)
      : filtered;
  }

  /** Where no deployment counts, the gateway does: nobody needs to be asked in vain. */
  #mayEstimate(): boolean {
    const { call, snapshot } = this.#grant;
    return canEstimate(call, snapshot.records.settings);
  }

  #filterAt(model: ResolvedModel, now: number) {
    const { estimate } = this.#admitted;
    const homes = this.#stateful?.homes;
    return candidatesOf(model, this.#grant, this.#gateway, estimate.input, homes, now);
  }

  #order(
    candidates: readonly DeploymentState[],
    model: ResolvedModel,
    now: number,
  ): readonly DeploymentState[] {
    const { call, snapshot, key } = this.#grant;
    if (candidates.length < 2) return candidates;
    return orderDeployments(candidates, {
      now,
      random: this.#gateway.random,
      estimateTokens: this.#admitted.estimate.total,
      stream: call.stream,
      router: snapshot.records.router,
      strategy: model.strategy,
      latency: model.latency,
      sessionKey: call.sessionKey === undefined ? undefined : `${key.ownerId}:${call.sessionKey}`,
    });
  }

  /**
   * Milliseconds until another try makes sense within this request; undefined when none does.
   *
   * @param freeMs - until a deployment can take it
   */
  #wait(
    model: ResolvedModel,
    last: { failure: UpstreamFailure } | undefined,
    again: number,
    freeMs: number,
    now: number,
  ): number | undefined {
    const { router } = this.#grant.snapshot.records;
    let wait = freeMs;
    if (last !== undefined) {
      if (last.failure.retry !== 'same-or-other') return undefined;
      if (again >= allowedRetries(last.failure, model, this.#grant)) return undefined;
      const ceiling = Math.min(8000, 500 * 2 ** again);
      wait = Math.max(
        freeMs,
        last.failure.waitMs ?? 0,
        router.retryAfterMs,
        this.#gateway.random() * ceiling,
      );
    }
    const isTooLong = this.#waited + wait > this.#gateway.options.longestWaitMs;
    return isTooLong || now + wait >= this.#deadline ? undefined : wait;
  }

  /** What to do after a failure, having learned from it. */
  async #react(
    state: DeploymentState,
    capability: Capability,
    failure: UpstreamFailure,
  ): Promise<'same' | 'next' | 'stop'> {
    const { call, snapshot } = this.#grant;
    const now = this.#gateway.clock.now();
    const last = this.#dial.attempts.at(-1);
    if (this.#repairs < maxRepairs) {
      this.#repairs += 1;
      if (failure.kind === 'operation_unsupported') {
        // Of a stored object it says nothing but that this object cannot be had.
        if (call.match.endpoint.kind === 'stored') return 'next';
        learnUnsupported(state, capability, now);
        return capabilityOn(state, this.#grant, now) === undefined ? 'next' : 'same';
      }
      if (failure.refused !== undefined && snapshot.records.settings.repairParameters) {
        const repair = repairFromRefusal(operationOf(capability), failure.refused);
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

  /**
   * Nobody knows how long a home rests that failed. Where another deployment takes the call meanwhile, and the conversation loses
   * no word by it, waiting for the home would only make the caller wait.
   */
  #goesElsewhere(homes: readonly DeploymentState[], model: ResolvedModel, now: number): boolean {
    const ids = this.#stateful?.homes;
    if (ids === undefined || ids.size === 0 || !isLost(homes, undefined, now)) return false;
    const isOpen = this.#gateway.deployments
      .serving(model)
      .some((state) => !ids.has(state.record.resource.id) && isUsable(state, now));
    const stripped = isOpen ? stripThoughts(this.#grant.call, this.#stateful) : undefined;
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

  /**
   * Whether a fallback model can take the call now. Only callers who have nothing else wait for a group that rests: LiteLLM does
   * not retry a 429 either once no healthy deployment is left and there are fallbacks.
   */
  #hasFallback(model: ResolvedModel, problem: Problem, now: number): boolean {
    const reason = this.#asksResting ? undefined : this.#fallbackReason(problem);
    if (reason === undefined) return false;
    return this.#chain(model, reason).some((name) => {
      const next = this.#grant.snapshot.models.resolve(name);
      if (next === undefined || this.#visited.has(next.name)) return false;
      return this.#filterAt(next, now).candidates.some((state) => isUsable(state, now));
    });
  }

  #chain(model: ResolvedModel, reason: FallbackReason): readonly string[] {
    const { call, snapshot, key, customer } = this.#grant;
    const asked = call.extras.fallbacks.filter((name) => {
      const fallback = snapshot.models.resolve(name, key);
      if (fallback === undefined || !mayUse(key, fallback)) return false;
      return customer === undefined || mayUse(customer, fallback);
    });
    return asked.length > 0
      ? asked
      : fallbackChain(
          snapshot.records.router,
          model.name,
          reason,
          this.#visited,
          this.#namesOf(model),
        );
  }

  /** As LiteLLM, an alias of the router has fallbacks of its own. A key's alias is the model that it means. */
  #namesOf(model: ResolvedModel): readonly string[] {
    const { asked, key, model: first } = this.#grant;
    const names = model.filled === undefined ? [model.name] : [model.name, model.group];
    const isAlias = model === first && !Object.hasOwn(key.aliases, asked);
    return isAlias ? [asked, ...names] : names;
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
    this.#dial.abort();
    this.#wake?.();
  }

  #refuse(problem: Problem | undefined): Promise<RequestEnd> {
    return answerError({
      ...this.#input,
      attempts: this.#dial.attempts,
      gone: this.#gone && !this.#input.reply.interrupted,
      error: this.#errorOf(problem),
    });
  }

  #errorOf(problem: Problem | undefined): GatewayError | UpstreamFailure {
    if (this.#input.reply.interrupted) return stopping();
    if (this.#gone || problem === undefined) return new GatewayError('client_closed');
    switch (problem.kind) {
      case 'error':
        return problem.error;
      case 'cooling':
        if (!Number.isFinite(problem.waitMs)) return noDeployment('spent', this.#grant.asked);
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
        const rest = soonest(group, now);
        if (rest > 0) return { ...failure, waitMs: rest };
        // Nobody rests, and what one deployment announced says nothing of the others.
        return group.length > 1 ? { ...failure, waitMs: null } : failure;
      }
    }
  }
}

function without(
  states: readonly DeploymentState[],
  others: readonly DeploymentState[],
): readonly DeploymentState[] {
  return others.length === 0 ? states : states.filter((state) => !others.includes(state));
}

/** No deployment of the group does what was asked for. */
function isUnable(problem: Problem): boolean {
  return problem.kind === 'none'
    ? problem.reason === 'operation'
    : problem.kind === 'failure' && problem.failure.kind === 'operation_unsupported';
}

const aborted: Problem = { kind: 'error', error: new GatewayError('client_closed') };

function soonest(order: readonly DeploymentState[], now: number): number {
  let wait = Number.POSITIVE_INFINITY;
  for (const state of order) wait = Math.min(wait, availableAt(state, now) - now);
  return Number.isFinite(wait) ? Math.max(0, wait) : 0;
}

/** The wait for the first that can take a call: of those that rest, or of the `busy` ones, which are at their own limits. */
function untilFree(
  order: readonly DeploymentState[],
  busy: readonly DeploymentState[],
  busyMs: number,
  now: number,
): number {
  const others = without(order, busy);
  return others.length === 0 ? busyMs : Math.min(busyMs, soonest(others, now));
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

/** What LiteLLM's policy for the kind of failure, the model's before the router's, or else the request says of retries. */
function statedRetries(
  failure: UpstreamFailure,
  model: ResolvedModel,
  grant: Grant,
): number | undefined {
  const policy = model.retryPolicy ?? grant.snapshot.records.router.retryPolicy;
  return policy[failure.failureClass] ?? grant.call.extras.retries;
}

function allowedRetries(failure: UpstreamFailure, model: ResolvedModel, grant: Grant): number {
  return (
    statedRetries(failure, model, grant) ?? model.retries ?? grant.snapshot.records.router.retries
  );
}

/**
 * Another deployment that was not tried yet costs no retry: what one cannot serve, another may. Only a policy that names the
 * kind of failure, or the caller, can forbid it.
 */
function mayRetry(
  last: { failure: UpstreamFailure } | undefined,
  tried: number,
  model: ResolvedModel,
  grant: Grant,
): boolean {
  if (last === undefined) return true;
  const policy = statedRetries(last.failure, model, grant);
  return policy === undefined || tried <= policy;
}

/** Which rule left none. An administrator must act on it, unless it is one that the request can be made to fit. */
export function noDeployment(reason: FilterReason | 'spent', model: string): GatewayError {
  if (reason === 'context_window') {
    return new GatewayError('context_length_exceeded', { values: { model } });
  }
  if (reason === 'operation') {
    return new GatewayError('operation_unsupported', { values: { model }, param: 'model' });
  }
  const texts = {
    no_member: 'it has none',
    blocked: 'it is paused',
    region: "none lies in a region that this key's data may go to",
    credential: "none is reachable with the credential of this key's project",
    home: 'the resource that holds the objects it refers to is not among them',
    spent: 'their max_budget is spent, and it has no budget_duration after which it begins anew',
    tags: 'none carries the tags of the request',
  };
  return new GatewayError('no_deployment', {
    values: { model, reason: texts[reason] },
    retryAfterMs: Infinity,
  });
}
