import type { UsageRecord } from '@aigateway/contract/usage';
import type { RecordedRequest } from '@aigateway/smoke/simulator/recorder';
import { holders, type Holder } from './plan.ts';

/** What the store holds of one call. */
export type Entry = {
  readonly producer: string;
  readonly sequence: number;
  readonly record: UsageRecord;
};

/** What is compared. */
export type Books = {
  readonly entries: readonly Entry[];
  /** The store's own sums by key: requests and nano-USD. */
  readonly sums: ReadonlyMap<string, { readonly requests: number; readonly costNanoUsd: number }>;
  /** Calls as the simulator saw them. */
  readonly upstream: readonly RecordedRequest[];
  /** Request ids of the answers that callers got whole. */
  readonly whole: readonly string[];
  /** Key ids by holder. */
  readonly keyIds: ReadonlyMap<Holder, string>;
  /** Minutes of the clock that the load touched. */
  readonly minutes: number;
  /** Processes of proxies that were killed. */
  readonly kills: number;
  readonly callers: number;
};

/** One line of the ledger: what was counted, and what it may be. */
export type Line = {
  readonly name: string;
  readonly counted: number;
  /** `exactly`: must be the same; `most`: must not be exceeded; absent: for information. */
  readonly exactly?: number;
  readonly most?: number;
};

/** Whether a line holds. */
export function holds({ counted, exactly, most }: Line): boolean {
  return (exactly === undefined || counted === exactly) && (most === undefined || counted <= most);
}

/** Compares what the store says with what the simulator and the callers saw. */
export function balance(books: Books): Line[] {
  const { entries, upstream, whole, kills, callers } = books;
  const records = new Map(entries.map(({ record }) => [record.requestId, record]));
  const calls = new Map(upstream.map((call) => [requestIdOf(call), call]));
  const measured = entries.filter(({ record }) => record.usageSource === 'measured');
  const estimated = entries.filter(({ record }) => record.usageSource === 'estimated');
  const interrupted = estimated.filter(({ record }) => record.status === 0);
  const measuredCalls = measured.map(({ record }) => calls.get(record.requestId));
  const estimatedAndSeen = estimated.flatMap(({ record }) => {
    const call = calls.get(record.requestId);
    return call === undefined ? [] : [{ record, call }];
  });
  return [
    { name: 'calls that the simulator saw', counted: upstream.length },
    { name: 'calls that it saw twice', counted: upstream.length - calls.size, exactly: 0 },
    { name: 'records in the store', counted: entries.length },
    { name: 'records that stand twice', counted: entries.length - records.size, exactly: 0 },
    { name: 'gaps in the sequences of producers', counted: gaps(entries), exactly: 0 },
    {
      // A line is written at the end of the turn in which a call begins: what a kill can hide.
      name: 'calls without a record',
      counted: [...calls.keys()].filter((id) => !records.has(id)).length,
      most: kills,
    },
    {
      name: 'whole answers without a record',
      counted: whole.filter((id) => !records.has(id)).length,
      exactly: 0,
    },
    {
      name: 'calls of which nothing was written but the beginning',
      counted: interrupted.length,
      most: kills * callers,
    },
    { name: 'records with the upstream’s own figures', counted: measured.length },
    {
      name: '… prompt tokens',
      counted: sum(measured, ({ record }) => record.tokens.input),
      exactly: sum(measuredCalls, (call) => call?.usage?.promptTokens ?? Number.NaN),
    },
    {
      name: '… output tokens',
      counted: sum(measured, ({ record }) => record.tokens.output),
      exactly: sum(measuredCalls, (call) => call?.usage?.completionTokens ?? Number.NaN),
    },
    {
      name: '… that differ from the simulator’s',
      counted: measured.filter(({ record }) => !isSame(record, calls.get(record.requestId))).length,
      exactly: 0,
    },
    {
      name: 'whole answers charged as nothing',
      counted: whole.filter((id) => records.get(id)?.usageSource === 'none').length,
      exactly: 0,
    },
    { name: 'records by estimate', counted: estimated.length },
    {
      name: '… tokens beyond the simulator’s',
      counted: sum(estimatedAndSeen, ({ record, call }) => tokensOf(record) - usedBy(call)),
    },
    ...[...books.keyIds].flatMap(([holder, keyId]) => linesOf(holder, keyId, books)),
  ];
}

function linesOf(holder: Holder, keyId: string, books: Books): Line[] {
  const own = books.entries.flatMap(({ record }) => (record.keyId === keyId ? [record] : []));
  const sums = books.sums.get(keyId) ?? { requests: 0, costNanoUsd: 0 };
  const cost = sum(own, (record) => record.costNanoUsd);
  const lines: Line[] = [
    {
      name: `${holder}: requests in the store’s sums`,
      counted: sums.requests,
      exactly: own.length,
    },
    { name: `${holder}: nano-USD in the store’s sums`, counted: sums.costNanoUsd, exactly: cost },
  ];
  switch (holder) {
    case 'free':
      return lines;
    case 'requests': {
      const most = holders.requests.rpm_limit * books.minutes;
      return [...lines, { name: 'requests: granted', counted: own.length, most }];
    }
    case 'tokens': {
      const most = holders.tokens.tpm_limit * books.minutes;
      return [...lines, { name: 'tokens: granted', counted: sum(own, tokensOf), most }];
    }
    case 'budget': {
      const most = holders.budget.max_budget * 1e9;
      return [...lines, { name: 'budget: nano-USD granted', counted: cost, most }];
    }
    case 'parallel': {
      const ids = new Set(own.map(({ requestId }) => requestId));
      const calls = books.upstream.filter((call) => isWhole(call) && ids.has(requestIdOf(call)));
      const most = holders.parallel.max_parallel_requests;
      return [...lines, { name: 'parallel: at one time', counted: atOneTime(calls), most }];
    }
  }
}

/** The gateway tells the upstream its own id of a request. */
function requestIdOf({ headers }: RecordedRequest): string {
  return headers['x-ms-client-request-id'] ?? '';
}

function isWhole({ status, aborted, finished }: RecordedRequest): boolean {
  return finished && !aborted && status === 200;
}

function isSame({ tokens }: UsageRecord, call: RecordedRequest | undefined): boolean {
  const { usage } = call ?? {};
  return tokens.input === usage?.promptTokens && tokens.output === usage.completionTokens;
}

function tokensOf({ tokens }: UsageRecord): number {
  return tokens.input + tokens.output;
}

function usedBy({ usage }: RecordedRequest): number {
  return usage === undefined ? 0 : usage.promptTokens + usage.completionTokens;
}

/** Sequences that a producer gave, or must have given, and the store does not have. */
function gaps(entries: readonly Entry[]): number {
  let missing = 0;
  for (const own of Map.groupBy(entries, ({ producer }) => producer).values()) {
    missing += Math.max(...own.map(({ sequence }) => sequence)) - own.length;
  }
  return missing;
}

function atOneTime(calls: readonly RecordedRequest[]): number {
  // An end makes room for what begins in the same millisecond.
  const steps = calls
    .flatMap(({ at, endedAt = at }) => [
      { at, by: 1 },
      { at: endedAt, by: -1 },
    ])
    .toSorted((a, b) => a.at - b.at || a.by - b.by);
  let now = 0;
  let most = 0;
  for (const { by } of steps) {
    now += by;
    most = Math.max(most, now);
  }
  return most;
}

function sum<Item>(items: readonly Item[], amount: (item: Item) => number): number {
  return items.reduce((total, item) => total + amount(item), 0);
}
