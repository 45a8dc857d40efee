import type { LedgerEvent, UsageRecord } from '@aigateway/contract/usage';

export type { LedgerEvent } from '@aigateway/contract/usage';

/**
 * What spend is looked up and reported by. `member` is a user within a team, `key_model` a model of a key; their ids are made by
 * `pairId`. `all` has one id, `all`.
 */
export type Dimension =
  | 'key'
  | 'user'
  | 'team'
  | 'organization'
  | 'customer'
  | 'model'
  | 'deployment'
  | 'tag'
  | 'member'
  | 'key_model'
  | 'all';

/** Sums over some stretch of time. Money in nano-USD. */
export type LedgerSums = {
  requests: number;
  /** Requests that did not end as `completed`. */
  failed: number;
  inputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  outputTokens: number;
  reasoningTokens: number;
  costNanoUsd: number;
};

export type SpendQuery = {
  readonly dimension: Dimension;
  readonly ids: readonly string[];
  /** Hours: milliseconds since the epoch, rounded down to the hour. Absent = since the beginning. */
  readonly fromMs?: number;
};

export type ActivityQuery = {
  readonly dimension: Dimension;
  /** Absent = every id of the dimension. */
  readonly ids?: readonly string[];
  /** UTC days `YYYY-MM-DD`, both included. */
  readonly fromDay: string;
  readonly toDay: string;
  /** Break each day down by this as well: owners (user, team, organization, customer, tag) by key, model or deployment, a key by model or deployment, a model by deployment. */
  readonly by?: Dimension;
  /** Only this id of `by`. */
  readonly byId?: string;
  /** Adds up the days of each id, or the ids of each day; parts by `by` stay apart. */
  readonly over?: 'days' | 'ids';
  /** So many rows: those of the highest cost, the highest first. Absent = all of them, by day, id and part, which also decides between equal costs. */
  readonly highest?: number;
};

export type ActivityRow = {
  /** The first one, where days were added up. */
  readonly day: string;
  /** The first one, where ids were added up. */
  readonly id: string;
  /** Set when `by` was asked for. */
  readonly byId?: string;
  readonly sums: LedgerSums;
};

export type LogQuery = {
  readonly limit: number;
  /** Page on from here: `next` of the page before. */
  readonly after?: string;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly requestId?: string;
  readonly keyId?: string;
  readonly userId?: string;
  readonly teamId?: string;
  readonly customerId?: string;
  readonly model?: string;
  readonly status?: 'success' | 'failure';
};

/**
 * What a ledger holds, in lines: each says how something is, not what is added. Texts are in the form of columns, of long ones their
 * beginning and a digest.
 */
export type LedgerLine =
  | {
      readonly is: 'usage';
      readonly producer: string;
      readonly sequence: number;
      readonly record: UsageRecord;
    }
  /** Sums of an id on a day; `by` and `byId` are empty for all in all. */
  | {
      readonly is: 'day';
      readonly dimension: Dimension;
      readonly id: string;
      readonly day: string;
      readonly by: Dimension | '';
      readonly byId: string;
      readonly sums: LedgerSums;
    }
  /** Sums of an id in an hour, milliseconds since the epoch. Every kind of store keeps their cost; Cosmos DB no more than that. */
  | {
      readonly is: 'hour';
      readonly dimension: Dimension;
      readonly id: string;
      readonly hour: number;
      readonly sums: LedgerSums;
    }
  /** What was corrected, and is not to be corrected again. */
  | { readonly is: 'correction'; readonly id: string }
  | { readonly is: 'mark'; readonly producer: string; readonly sequence: number };

/**
 * What was used: single records by day, and sums by hour and day. Every event counts exactly once, however often it is given. A
 * request belongs to the hour and day, in UTC, that it started in.
 *
 * Where a database has no transaction over records, sums and mark (Cosmos DB), each document of sums has the producer's mark in it
 * beside the sums, and the ledger's own is written last: a repetition then adds to those only that have not had it.
 *
 * Ids are any text. Of one above 1,200 bytes its beginning and a digest are kept, and it is found by the whole.
 *
 * @throws {RangeError} for what no store could answer: a day, a page or a breakdown that is none
 * @throws {StoreUnavailableError} from every method
 */
export interface Ledger {
  /**
   * Takes in events of one producer, in the order of their sequence. Those at or before the producer's mark were counted before
   * and are passed over; records, sums and mark change together or not at all. One that does not follow the mark is not taken, nor is
   * any after it: what lies between would never be counted. The mark that comes back is then below the last sequence given.
   *
   * A sum counts in the dimensions that it names, and is no single record.
   *
   * A correction is no request: it adds its differences to the sums of the hour and day of what it corrects, and only if none with
   * the same `corrects` was counted before, by whichever producer.
   *
   * @param floor - nothing is to come up to this sequence: a mark below it is raised to it first, and what lies between is never counted
   * @returns the producer's mark: every event up to it is counted, or was given up by a floor
   * @throws {RangeError} for an amount or a time that is none; no event was taken
   */
  append(producer: string, events: readonly LedgerEvent[], floor?: number): Promise<number>;
  /** 0 for a producer that is not known. */
  mark(producer: string): Promise<number>;
  /** Nano-USD by id; ids without spend are left out. */
  spend(query: SpendQuery): Promise<ReadonlyMap<string, number>>;
  activity(query: ActivityQuery): Promise<readonly ActivityRow[]>;
  /** The beginning of the hour that each id's last request started in, milliseconds since the epoch; ids without any are left out. */
  lastUse(dimension: Dimension, ids: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Single records, the newest first. */
  logs(query: LogQuery): Promise<{ rows: readonly UsageRecord[]; next?: string }>;
  /**
   * Drops the single records of one UTC day, the oldest before this one; sums, corrections and marks stay, so what comes late for that day
   * still counts once, and makes the day anew. Nobody who counts or reads in other days is kept waiting for long. One that broke off is
   * gone on with by the next.
   *
   * @param before - `YYYY-MM-DD`
   * @returns the day, or undefined where none is left
   * @throws {StoreUnavailableError} also where somebody reads records meanwhile, a backup for example, and PostgreSQL cannot take them from it
   */
  dropOldestLogs(before: string): Promise<string | undefined>;
  /**
   * All of it, each thing once; marks last.
   *
   * @throws {StoreChangedError} where an append is seen half done
   */
  all(): AsyncIterable<LedgerLine>;
  /** Makes things as the lines say, however often. Nobody appends meanwhile. */
  load(lines: readonly LedgerLine[]): Promise<void>;
}
