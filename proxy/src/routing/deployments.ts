import type {
  DeploymentRecord,
  FailureClass,
  Records,
  RouterRecord,
} from '@aigateway/contract/records';
import type { Clock } from '../ports.ts';
import { newLearned, type Learned } from './capability.ts';
import {
  newHealth,
  recordFailure,
  recordNothing,
  recordProbe,
  recordStart,
  recordSuccess,
  standing,
  type FailureRules,
  type Health,
} from './health.ts';
import { LatencyWindow } from './latency-window.ts';
import { newMinuteWindow, rollMinute, type MinuteWindow } from './minute-window.ts';

/**
 * How long remaining quota is believed when the answer names no reset: Azure counts requests over slices of up to ten seconds,
 * and erring short costs one refused call at most.
 */
const quotaBeliefMs = 10_000;

/** Failures after which the backend is known to have read the request: its refusal shows that it works. */
const answeringFailures: ReadonlySet<FailureClass> = new Set([
  'BadRequestError',
  'ContentPolicyViolationError',
  'NotFoundError',
]);

/** A timeout's latency in LiteLLM's latency-based routing: 1000 s. */
const timeoutLatencyMs = 1_000_000;

/** What an answer's `x-ratelimit-*` headers said. */
export type UpstreamRateLimit = {
  remainingRequests?: number | undefined;
  remainingTokens?: number | undefined;
  resetMs?: number | undefined;
};

/** What an upstream said about its own quota, lowered by what was sent since. */
export type UpstreamQuota = {
  remainingRequests: number;
  remainingTokens: number;
  /** Share of a provisioned deployment in use, 1 = full. */
  utilisation: number;
  /** Until when to believe it, milliseconds since the epoch. */
  until: number;
};

/** The living side of one deployment. `record` is replaced by a newer one on a snapshot change; the rest stays. */
export type DeploymentState = {
  record: DeploymentRecord;
  /** What the `*` of the deployment's name stands for, behind a wildcard. */
  readonly filled: string | undefined;
  inFlight: number;
  readonly health: Health;
  readonly latencies: {
    /** Milliseconds per output token of whole answers. */
    readonly perToken: LatencyWindow;
    /** Milliseconds to the first output of streams. */
    readonly firstOutput: LatencyWindow;
  };
  readonly minuteWindow: MinuteWindow;
  readonly quota: UpstreamQuota;
  readonly learned: Learned;
  /** Grows with every turn that round-robin gave it. */
  turn: number;
};

/** The deployment as LiteLLM writes it, e.g. `azure/gpt-4o`; behind a wildcard with the name that was asked for. */
export function litellmModelOf({ record, filled }: DeploymentState): string {
  return filled === undefined
    ? record.litellmModel
    : record.litellmModel.replace('*', () => filled);
}

/** How one attempt at a deployment ended. A member that does not apply is absent or undefined. */
export type AttemptEnd = {
  ok: boolean;
  /** Absent when there was none to name: a success, or the caller left. */
  failureClass?: FailureClass | undefined;
  /** True when the backend is at fault (429, 5xx, timeout, no connection), never for a mistake of the caller. */
  blame: boolean;
  /** The longest wait the upstream announced. */
  waitMs?: number | undefined;
  /** Input plus output tokens really used. */
  tokens?: number | undefined;
  /** What `started` was told. Without it, the estimate stays counted. */
  estimateTokens?: number | undefined;
  /** Output tokens; makes `latencyMs` comparable between short and long answers. */
  outputTokens?: number | undefined;
  /** Duration of a whole answer. */
  latencyMs?: number | undefined;
  /** Time to the first output of a stream. */
  firstOutputMs?: number | undefined;
  /** The upstream's `x-ratelimit-*` headers. */
  rateLimit?: UpstreamRateLimit | undefined;
  /** Use of a provisioned deployment, 1 = full. */
  utilisation?: number | undefined;
};

/** Names are the callers' to choose: what is remembered of them is bounded. */
const maxNamed = 2_000;

const noStates: readonly DeploymentState[] = Object.freeze([]);

/** Every deployment's living state: what the strategies, the health rules and the metrics read. One per proxy. */
export class Deployments {
  readonly #clock: Clock;
  #router: RouterRecord | undefined;
  #states = new Map<string, DeploymentState>();
  #groups = new Map<string, DeploymentState[]>();
  /** Behind wildcards: by id and name, the longest unused first. */
  #named = new Map<string, DeploymentState>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Takes over a new snapshot. A deployment that still points to the same upstream keeps its state, so that a
   * configuration change forgets no cool-down; one that points elsewhere starts anew.
   */
  update(records: Pick<Records, 'deployments' | 'router'>): void {
    const states = new Map<string, DeploymentState>();
    const groups = new Map<string, DeploymentState[]>();
    for (const record of records.deployments) {
      const previous = this.#states.get(record.id);
      const state =
        previous !== undefined && isSameUpstream(previous.record, record)
          ? previous
          : newState(record);
      state.record = record;
      states.set(record.id, state);
      const group = groups.get(record.model);
      if (group === undefined) groups.set(record.model, [state]);
      else group.push(state);
    }
    for (const [key, state] of this.#named) {
      const record = states.get(state.record.id)?.record;
      if (record !== undefined && isSameUpstream(state.record, record)) state.record = record;
      else this.#named.delete(key);
    }
    this.#router = records.router;
    this.#states = states;
    this.#groups = groups;
  }

  get(id: string): DeploymentState | undefined {
    return this.#states.get(id);
  }

  /** The deployments of a model group, in the order of the configuration; empty for an unknown name. */
  group(name: string): readonly DeploymentState[] {
    return this.#groups.get(name) ?? noStates;
  }

  /**
   * The deployments that serve a model. Behind a wildcard each name that is asked for has a state of its own: quota, faults
   * and abilities are those of Azure's deployment of that name, not of the pattern.
   */
  serving(model: { group: string; filled?: string }): readonly DeploymentState[] {
    const group = this.group(model.group);
    const { filled } = model;
    if (filled === undefined || !group.some(isPattern)) return group;
    return group.map((state) => (isPattern(state) ? this.#namedState(state, filled) : state));
  }

  /** Every configured deployment, then those that were asked for behind wildcards. */
  *all(): Generator<DeploymentState> {
    yield* this.#states.values();
    yield* this.#named.values();
  }

  /** An attempt leaves for the upstream. Every call is followed by exactly one `finished`. */
  started(state: DeploymentState, estimateTokens: number): void {
    const now = this.#clock.now();
    state.inFlight += 1;
    const window = rollMinute(state.minuteWindow, now);
    window.requests += 1;
    window.tokens += estimateTokens;
    state.quota.remainingRequests -= 1;
    state.quota.remainingTokens -= estimateTokens;
    recordStart(state.health, now);
  }

  /** The upstream's first output is there: a half-open circuit need not wait for the end of a long stream. */
  answered(state: DeploymentState): void {
    if (state.health.open) recordSuccess(state.health, this.#clock.now());
  }

  finished(state: DeploymentState, result: AttemptEnd): void {
    const now = this.#clock.now();
    state.inFlight = Math.max(0, state.inFlight - 1);
    this.#recordHealth(state, result, now);
    recordUse(state, result, now);
    recordLatency(state, result, now);
    recordQuota(state, result, now);
  }

  /** Result of a probe that costs no tokens, e.g. a list of models. */
  recordProbe(state: DeploymentState, ok: boolean): void {
    const coolDownMs = state.record.coolDownMs ?? this.#router?.coolDownMs ?? 0;
    recordProbe(state.health, ok, coolDownMs, this.#clock.now());
  }

  #namedState({ record }: DeploymentState, filled: string): DeploymentState {
    const key = `${record.id}\n${filled}`;
    const known = this.#named.get(key);
    if (known !== undefined) this.#named.delete(key);
    const state = known ?? newState(record, filled);
    this.#named.set(key, state);
    if (this.#named.size > maxNamed) {
      const unused = this.#named.entries().find(([, { inFlight }]) => inFlight === 0);
      if (unused !== undefined && unused[1] !== state) this.#named.delete(unused[0]);
    }
    return state;
  }

  #recordHealth(state: DeploymentState, result: AttemptEnd, now: number): void {
    const { health } = state;
    if (result.ok) {
      recordSuccess(health, now);
      return;
    }
    if (!result.blame || this.#router === undefined) {
      const answered =
        result.failureClass !== undefined && answeringFailures.has(result.failureClass);
      if (answered) recordSuccess(health, now);
      else recordNothing(health);
      return;
    }
    const { filled } = state;
    const others = this.serving({
      group: state.record.model,
      ...(filled !== undefined && { filled }),
    });
    recordFailure(
      health,
      {
        failureClass: result.failureClass ?? 'InternalServerError',
        ...(result.waitMs !== undefined && { waitMs: result.waitMs }),
      },
      {
        router: failsRules(this.#router, state.record),
        coolDownMs: state.record.coolDownMs,
        lastUsable: !others.some((other) => other !== state && isServing(other, now)),
      },
      now,
    );
  }
}

/** A deployment's own counts stand before the router's; where it has any, the router's other kind says nothing about it. */
function failsRules(router: RouterRecord, record: DeploymentRecord): FailureRules['router'] {
  const { allowedFails, allowedFailsPolicy } = record;
  if (allowedFails === undefined && allowedFailsPolicy === undefined) return router;
  return {
    coolDownMs: router.coolDownMs,
    allowedFailsPolicy: allowedFailsPolicy ?? {},
    ...(allowedFails !== undefined && { allowedFails }),
  };
}

/** A half-open deployment does not count: while its trial is under way it takes nothing else. */
function isServing(state: DeploymentState, now: number): boolean {
  return state.record.blocked !== true && standing(state, now) === 'healthy';
}

function isSameUpstream(a: DeploymentRecord, b: DeploymentRecord): boolean {
  return a.resource.id === b.resource.id && a.deployment === b.deployment;
}

function isPattern({ record }: DeploymentState): boolean {
  return record.deployment.includes('*');
}

function newState(record: DeploymentRecord, filled?: string): DeploymentState {
  return {
    record,
    filled,
    inFlight: 0,
    health: newHealth(),
    latencies: { perToken: new LatencyWindow(), firstOutput: new LatencyWindow() },
    minuteWindow: newMinuteWindow(),
    quota: { remainingRequests: 0, remainingTokens: 0, utilisation: 0, until: 0 },
    learned: newLearned(),
    turn: 0,
  };
}

function recordUse(state: DeploymentState, result: AttemptEnd, now: number): void {
  if (result.tokens === undefined || result.estimateTokens === undefined) return;
  const window = rollMinute(state.minuteWindow, now);
  // A call may end in a later minute than the one its estimate was counted in.
  window.tokens = Math.max(0, window.tokens + result.tokens - result.estimateTokens);
}

function recordLatency(state: DeploymentState, result: AttemptEnd, now: number): void {
  const { perToken, firstOutput } = state.latencies;
  if (!result.ok) {
    if (!result.blame || result.failureClass !== 'TimeoutError') return;
    perToken.add(timeoutLatencyMs, now);
    firstOutput.add(timeoutLatencyMs, now);
    return;
  }
  if (result.firstOutputMs !== undefined) firstOutput.add(result.firstOutputMs, now);
  else if (result.latencyMs !== undefined) {
    perToken.add(result.latencyMs / Math.max(1, result.outputTokens ?? 1), now);
  }
}

function recordQuota({ quota }: DeploymentState, result: AttemptEnd, now: number): void {
  if (result.rateLimit === undefined && result.utilisation === undefined) return;
  quota.remainingRequests = result.rateLimit?.remainingRequests ?? Infinity;
  quota.remainingTokens = result.rateLimit?.remainingTokens ?? Infinity;
  quota.utilisation = result.utilisation ?? 0;
  quota.until = now + (result.rateLimit?.resetMs ?? quotaBeliefMs);
}
