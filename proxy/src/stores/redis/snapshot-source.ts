import { join } from 'node:path';
import type { KeyRecord } from '@aigateway/contract/records';
import { poll } from '@aigateway/contract/poll';
import { SnapshotSigner, type RootSecrets } from '@aigateway/contract/signing';
import {
  SnapshotUnavailableError,
  type FoundKey,
  type SnapshotListener,
  type SnapshotSource,
  type SnapshotStanding,
} from '@aigateway/contract/snapshot';
import type { Cluster, Redis } from 'ioredis';
import { SnapshotFile } from '../file/snapshot-file.ts';
import {
  openRecord,
  SnapshotRefusedError,
  type CompleteSnapshot,
  type RefusalReason,
  type SnapshotState,
} from '../snapshot-state.ts';
import { SnapshotReader } from './snapshot-reader.ts';

/** What an operator should know of. Told once, until it is over or something else happens. */
export type SnapshotEvent =
  /** Somebody wrote to Redis or the data directory who does not hold the root secret, or Redis went back in time. */
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly subject: string }
  /** Redis or the disk does not answer; what is held stays in force. */
  | { readonly kind: 'failed'; readonly place: 'redis' | 'file'; readonly error: unknown }
  | { readonly kind: 'recovered' };

export type RedisSourceOptions = {
  /** With a `commandTimeout`, or a dead server is noticed late. Not closed with the source. */
  readonly redis: Redis | Cluster;
  readonly secret: RootSecrets;
  /** Keeps the last good snapshot there, for a start while Redis is away. */
  readonly dataDirectory?: string;
  readonly onEvent?: (event: SnapshotEvent) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** How often changes are asked for: one script call, however many keys there are. Default 200 ms. */
  readonly pollMs?: number;
};

/** Longest wait between tries while Redis does not answer or has nothing to be believed. */
const longestWaitMs = 5_000;
/** A file that could not be written is not tried again before. */
const fileRetryMs = 60_000;
/** Keys that were not found are not asked for again before; a new key arrives by itself long before. */
const unknownMs = 5_000;
const mostUnknown = 10_000;
/** Look-ups at one time; more come from somebody who guesses. */
const mostLookUps = 64;

/** Records from Redis: everything at first, then what changes, each checked against its signature and the head. */
export function createRedisSource(options: RedisSourceOptions): SnapshotSource {
  return new RedisSource(options);
}

class RedisSource implements SnapshotSource {
  readonly #options: RedisSourceOptions;
  readonly #signer: SnapshotSigner;
  readonly #reader: SnapshotReader;
  readonly #file: SnapshotFile | undefined;
  readonly #now: () => number;
  readonly #end = new AbortController();
  readonly #told = Promise.withResolvers<void>();
  readonly #unknown = new Map<string, number>();
  readonly #lookUps = new Map<string, Promise<FoundKey | undefined>>();
  #listener: SnapshotListener | undefined;
  #state: SnapshotState | undefined;
  #mustReadAll = false;
  #fileTriedAt = -Infinity;
  #connected = false;
  #refused = 0;
  #trouble = '';
  #running: Promise<void> | undefined;

  constructor(options: RedisSourceOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#signer = new SnapshotSigner(options.secret);
    this.#reader = new SnapshotReader(options.redis, this.#signer);
    if (options.dataDirectory !== undefined) {
      this.#file = new SnapshotFile(join(options.dataDirectory, 'snapshot.jsonl'));
    }
  }

  start(listener: SnapshotListener): Promise<void> {
    this.#listener = listener;
    this.#running ??= this.#run();
    return this.#told.promise;
  }

  standing(): SnapshotStanding {
    return {
      revision: this.#state?.head.revision ?? 0,
      asOfMs: this.#state?.head.at ?? 0,
      connected: this.#connected,
      refused: this.#refused,
    };
  }

  findKey(hash: string): Promise<FoundKey | undefined> {
    const until = this.#unknown.get(hash);
    if (until !== undefined && this.#now() < until) return Promise.resolve(undefined);
    let lookUp = this.#lookUps.get(hash);
    if (lookUp === undefined) {
      if (this.#lookUps.size >= mostLookUps) {
        return Promise.reject(new SnapshotUnavailableError('too many unknown keys at once'));
      }
      lookUp = this.#lookUp(hash).finally(() => this.#lookUps.delete(hash));
      this.#lookUps.set(hash, lookUp);
    }
    return lookUp;
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#running;
    this.#told.resolve();
  }

  async #run(): Promise<void> {
    await this.#readFile();
    const { pollMs = 200 } = this.#options;
    await poll(() => this.#tryToStep(), {
      signal: this.#end.signal,
      everyMs: pollMs,
      longestWaitMs,
    });
  }

  async #tryToStep(): Promise<void> {
    try {
      await this.#step();
      this.#recover();
    } catch (error) {
      // What does not follow from what is held may do so from the beginning.
      this.#mustReadAll = error instanceof SnapshotRefusedError;
      this.#report(error, 'redis');
      throw error;
    }
  }

  async #readFile(): Promise<void> {
    try {
      const kept = await this.#file?.read(this.#signer);
      if (kept !== undefined) this.#takeIn(kept);
    } catch (error) {
      this.#report(error, 'file');
    }
  }

  async #step(): Promise<void> {
    const state = this.#state;
    if (state === undefined || this.#mustReadAll || this.#isFileDue(state)) {
      await this.#readAll();
      return;
    }
    const changes = await this.#reader.changes(state.head);
    this.#connected = true;
    // Redis has lost everything: a control plane will publish it anew, until then what is held is right.
    if (changes === undefined) return;
    if (changes === 'gap') {
      await this.#readAll();
      return;
    }
    const { sealed, head, changed } = changes;
    if (head.at === state.head.at) return;
    for (const change of state.advance(head, changed)) this.#listener?.change(change);
    if (changed.length > 0) await this.#toDisk(async () => this.#file?.append(changed, sealed));
  }

  async #readAll(): Promise<void> {
    const head = await this.#reader.head();
    this.#connected = true;
    if (head === undefined) return;
    this.#state?.requireLater(head);
    let draft = await this.#toDisk(async () => this.#file?.rewrite());
    this.#fileTriedAt = this.#now();
    try {
      const all = await this.#reader.all(head, async (records) => {
        const isKept = await this.#toDisk(async () => {
          await draft?.put(records);
          return true;
        });
        if (isKept === true) return;
        await this.#toDisk(async () => draft?.discard());
        draft = undefined;
      });
      if (all === 'gap') return;
      this.#takeIn(all);
      this.#mustReadAll = false;
      await this.#toDisk(async () => draft?.commit(all.sealed));
    } finally {
      await this.#toDisk(async () => draft?.discard());
    }
  }

  /** What the disk cannot take is no reason not to serve what was read. */
  async #toDisk<Result>(step: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await step();
    } catch (error) {
      this.#options.onEvent?.({ kind: 'failed', place: 'file', error });
      return undefined;
    }
  }

  #isFileDue({ head }: SnapshotState): boolean {
    return (
      this.#file?.needsRewrite(head.count) === true &&
      this.#now() - this.#fileTriedAt >= fileRetryMs
    );
  }

  #takeIn({ records, state }: CompleteSnapshot): void {
    this.#state = state;
    this.#listener?.replace(records);
    this.#told.resolve();
  }

  async #lookUp(hash: string): Promise<FoundKey | undefined> {
    try {
      const key = await this.#readKey(hash);
      if (key === undefined) this.#rememberUnknown(hash);
      return key;
    } catch (cause) {
      if (cause instanceof SnapshotRefusedError) this.#report(cause, 'redis');
      if (cause instanceof SnapshotUnavailableError) throw cause;
      throw new SnapshotUnavailableError('a key could not be looked up', { cause });
    }
  }

  async #readKey(hash: string): Promise<FoundKey | undefined> {
    const head = this.#state?.head;
    if (head === undefined) throw new SnapshotUnavailableError('there is no snapshot yet');
    const found = await this.#reader.key(head.generation, hash);
    if (found === undefined || found.head.generation !== head.generation) {
      throw new SnapshotUnavailableError('a new snapshot is being published');
    }
    const { id, text } = found;
    if (id === undefined || text === undefined) return undefined;
    const record = openRecord<KeyRecord>(this.#signer, { kind: 'key', id, text });
    if (!record.value.secrets.some((secret) => secret.hash === hash)) return undefined;
    // It is not among the records, so at their revision there was none: somebody has put it back.
    if (record.revision <= head.revision) throw new SnapshotRefusedError('older', `key ${id}`);
    return { key: record.value, revision: record.revision };
  }

  #report(error: unknown, place: 'redis' | 'file'): void {
    const isRefused = error instanceof SnapshotRefusedError;
    if (!isRefused && place === 'redis') this.#connected = false;
    const trouble = isRefused ? error.message : `${place} failed`;
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    if (isRefused) {
      this.#refused += 1;
      const { reason, subject } = error;
      this.#options.onEvent?.({ kind: 'refused', reason, subject });
      return;
    }
    this.#options.onEvent?.({ kind: 'failed', place, error });
  }

  #recover(): void {
    if (this.#trouble === '') return;
    this.#trouble = '';
    this.#options.onEvent?.({ kind: 'recovered' });
  }

  #rememberUnknown(hash: string): void {
    this.#unknown.delete(hash);
    const [oldest] = this.#unknown.keys();
    if (this.#unknown.size >= mostUnknown && oldest !== undefined) this.#unknown.delete(oldest);
    this.#unknown.set(hash, this.#now() + unknownMs);
  }
}
