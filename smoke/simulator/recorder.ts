import type { Usage } from './tokens.ts';

/** Calls and tokens of one deployment and operation. */
export type Counter = {
  calls: number;
  /** Calls by HTTP status; 0 for calls whose connection was reset before the status line. */
  statuses: Record<string, number>;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  reasoningTokens: number;
  /** Calls whose caller left, or whose connection a fault cut, before the end of the answer. */
  aborted: number;
};

/** Everything counted since the start or the last reset. */
export type Counters = {
  total: Counter;
  /** By `resource/deployment/operation`; the deployment is `-` where there is none. */
  by: Record<string, Counter>;
  /** Requests that are being answered at this moment. */
  inFlight: number;
  /** The most there ever were at once. */
  maxInFlight: number;
};

/** A request as it arrived, and how it was answered. */
export type RecordedRequest = {
  /** Number of the request since the start, from 1. */
  sequence: number;
  /** Arrival by the simulator's clock, in milliseconds. */
  at: number;
  method: string;
  /** Path and query, as sent. */
  url: string;
  headers: Record<string, string>;
  /** The JSON body, or its text when it is not JSON. */
  body: unknown;
  resource?: string;
  /** Deployment that answered; differs from the one asked for after a spill-over. */
  deployment?: string;
  operation?: string;
  /** Kind of the fault that hit the call. */
  fault?: string;
  status?: number;
  /** Tokens sent to the caller; less than the whole answer when it was cut. */
  usage?: Usage;
  aborted: boolean;
  finished: boolean;
  /** When it was answered or lost, by the simulator's clock; absent while it is not. */
  endedAt?: number;
};

/** Remembers what passed. */
export interface Recorder {
  begin(request: Pick<RecordedRequest, 'at' | 'method' | 'url' | 'headers'>): RecordedRequest;
  /** Counts a request once it is answered or lost. */
  end(request: RecordedRequest, at: number): void;
  counters(): Counters;
  requests(): readonly RecordedRequest[];
  reset(): void;
}

/**
 * Starts counting.
 *
 * @param remembered - how many requests are kept; older ones are only counted
 */
export function createRecorder(remembered: number): Recorder {
  let sequence = 0;
  let inFlight = 0;
  let maxInFlight = 0;
  let total = emptyCounter();
  let by = new Map<string, Counter>();
  let kept: RecordedRequest[] = [];

  return {
    begin: (request) => {
      sequence += 1;
      inFlight += 1;
      maxInFlight = Math.max(maxInFlight, inFlight);
      const recorded: RecordedRequest = {
        ...request,
        sequence,
        body: undefined,
        aborted: false,
        finished: false,
      };
      kept.push(recorded);
      if (kept.length > remembered * 2) kept = kept.slice(-remembered);
      return recorded;
    },
    end: (request, at) => {
      if (request.finished) return;
      request.finished = true;
      request.endedAt = at;
      inFlight -= 1;
      const key = `${request.resource ?? '-'}/${request.deployment ?? '-'}/${request.operation ?? '-'}`;
      let counter = by.get(key);
      if (counter === undefined) by.set(key, (counter = emptyCounter()));
      add(counter, request);
      add(total, request);
    },
    counters: () => ({
      total: structuredClone(total),
      by: structuredClone(Object.fromEntries(by)),
      inFlight,
      maxInFlight,
    }),
    requests: () => (remembered === 0 ? [] : kept.slice(-remembered)),
    reset: () => {
      total = emptyCounter();
      by = new Map();
      kept = [];
      maxInFlight = inFlight;
    },
  };
}

function emptyCounter(): Counter {
  return {
    calls: 0,
    statuses: {},
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    reasoningTokens: 0,
    aborted: 0,
  };
}

function add(counter: Counter, request: RecordedRequest): void {
  counter.calls += 1;
  const status = String(request.status ?? 0);
  counter.statuses[status] = (counter.statuses[status] ?? 0) + 1;
  if (request.aborted) counter.aborted += 1;
  if (request.usage === undefined) return;
  counter.promptTokens += request.usage.promptTokens;
  counter.cachedTokens += request.usage.cachedTokens;
  counter.completionTokens += request.usage.completionTokens;
  counter.reasoningTokens += request.usage.reasoningTokens;
}
