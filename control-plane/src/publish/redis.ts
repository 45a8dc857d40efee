import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  snapshotCatalogueKey,
  snapshotHashesKey,
  snapshotHeadKey,
  snapshotKeysKey,
  snapshotLockKey,
  snapshotLogKey,
} from '@aigateway/contract/channels';
import { schemaVersion, type HolderRecord, type KeyRecord } from '@aigateway/contract/records';
import {
  SnapshotDigest,
  SnapshotSigner,
  type RecordKind,
  type RootSecrets,
  type SnapshotHead,
} from '@aigateway/contract/signing';
import {
  OvertakenError,
  published,
  RepublishNeededError,
  type Catalogue,
  type PublishedChange,
  type SingleRecord,
  type SnapshotPublisher,
} from '@aigateway/contract/snapshot';
import type { Cluster, Redis } from 'ioredis';
import * as scripts from './redis-scripts.ts';

export type RedisPublisherOptions = {
  /** Not closed with the publisher. */
  readonly redis: Redis | Cluster;
  readonly secret: RootSecrets;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** How often the head is renewed; 0 = only when {@link RedisPublisher.renew} is called. Default 10 s. */
  readonly renewMs?: number;
  /** What is in Redis is gone, older than what this publisher wrote, or not ours: it asks to be told everything anew. */
  readonly onLost?: () => void;
  /** The head could not be renewed. */
  readonly onError?: (error: unknown) => void;
};

export interface RedisPublisher extends SnapshotPublisher {
  /** Vouches anew for what is there, so that proxies know how current they are. */
  renew(): Promise<void>;
}

/** Steps that the log keeps; a proxy that is further behind reads everything. */
const logLength = 10_000;
/** How long a half-written generation stays when its publisher is gone. */
const unfinishedSeconds = 3600;
const lockMs = 30_000;
const lockPollMs = 100;
const batchSize = 500;
/** Publishers that get ahead of one another within one step. More means that something else writes the head. */
const maxTries = 50;

type Seen = {
  readonly sealed: string;
  /** None when it is not ours, or older than what this publisher wrote. */
  readonly head: SnapshotHead | undefined;
  /** Where what it vouches for lies, also when it is older. */
  readonly generation: number | undefined;
};

/** One record to write or remove, as the scripts take it. */
type Write = {
  kind: RecordKind;
  id: string;
  text: string;
  /** The revision of what it replaces; 0 for something new. */
  before: number;
  removedHashes: readonly string[];
  addedHashes: readonly string[];
};

/** Publishes snapshots in Redis, one atomic step at a time. Several publishers may do so at once. */
export function createRedisPublisher(options: RedisPublisherOptions): RedisPublisher {
  const publisher = new Publisher(options);
  publisher.startRenewing();
  return publisher;
}

class Publisher implements RedisPublisher {
  readonly #options: RedisPublisherOptions;
  readonly #redis: Redis | Cluster;
  readonly #signer: SnapshotSigner;
  readonly #now: () => number;
  #last = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RedisPublisherOptions) {
    this.#options = options;
    this.#redis = options.redis;
    this.#signer = new SnapshotSigner(options.secret);
    this.#now = options.now ?? Date.now;
  }

  startRenewing(): void {
    const { renewMs = 10_000, onError } = this.#options;
    if (renewMs === 0) return;
    this.#timer = setInterval(() => {
      this.renew().catch((error: unknown) => onError?.(error));
    }, renewMs);
    this.#timer.unref();
  }

  async revision(): Promise<number> {
    const { head } = await this.#seen();
    // What the previous secret signed is published anew while that is still known.
    return head?.signedBy === this.#signer.fingerprint ? head.revision : 0;
  }

  publish(changes: readonly PublishedChange[], since?: number): Promise<number> {
    return this.#inTurn(() => this.#publish(changes, since));
  }

  republish(records: AsyncIterable<SingleRecord>, catalogue: Catalogue): Promise<number> {
    return this.#inTurn(() => this.#republish(records, catalogue));
  }

  renew(): Promise<void> {
    return this.#inTurn(async () => {
      const seen = await this.#seen();
      if (seen.head === undefined) this.#options.onLost?.();
      // Another publisher that was faster has renewed it.
      else await this.#swap(seen, { ...seen.head, at: this.#after(seen.head) }, []);
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#queue;
  }

  /** One after another: steps of one publisher keep their order, and do not get into each other's way. */
  #inTurn<Result>(step: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(step);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  async #seen(): Promise<Seen> {
    const sealed = (await this.#redis.hget(snapshotHeadKey, 'sealed')) ?? '';
    const head = sealed === '' ? undefined : this.#signer.open(sealed);
    const isCurrent = head !== undefined && head.revision >= this.#last;
    return { sealed, head: isCurrent ? head : undefined, generation: head?.generation };
  }

  async #publish(changes: readonly PublishedChange[], since?: number): Promise<number> {
    const latest = new Map(changes.map((change) => [`${change.kind} ${idOf(change)}`, change]));
    for (let attempt = 0; attempt < maxTries; attempt += 1) {
      const seen = await this.#seen();
      if (seen.head === undefined) throw new RepublishNeededError();
      if (since !== undefined && (await this.#isOvertaken(seen.head, since, latest)))
        throw new OvertakenError();
      const head = await this.#step(seen, seen.head, [...latest.values()]);
      if (head !== undefined) return head.revision;
    }
    throw new Error('the head of the snapshot changes all the time: nothing could be published');
  }

  /** Whether one of the records was published after a revision, or may have been. What comes later still fails the step. */
  async #isOvertaken(
    { revision, generation }: SnapshotHead,
    since: number,
    places: ReadonlyMap<string, PublishedChange>,
  ): Promise<boolean> {
    if (revision === since) return false;
    if (generation > since) return true;
    const entries = await this.#redis.xrange(snapshotLogKey, `${since + 1}-0`, '+');
    if (entries[0]?.[0] !== `${since + 1}-0`) return true;
    return entries.some(([, [, kind = '', , id = '']]) => places.has(`${kind} ${id}`));
  }

  /** Undefined when another publisher came first. */
  async #step(
    seen: Seen,
    before: SnapshotHead,
    changes: readonly PublishedChange[],
  ): Promise<SnapshotHead | undefined> {
    const revision = before.revision + 1;
    const digest = SnapshotDigest.of(before);
    let { count } = before;
    const writes: Write[] = [];
    for (const change of changes) {
      const { kind } = change;
      const id = idOf(change);
      const old = await this.#read(kind, id, before.generation);
      if (old === 'forged') throw new RepublishNeededError();
      if (old !== undefined) digest.toggle(kind, id, old.revision);
      const body = bodyOf(change);
      if (body === undefined && old === undefined) continue;
      if (body !== undefined) digest.toggle(kind, id, revision);
      if (kind !== 'catalogue') count += (body === undefined ? 0 : 1) - (old === undefined ? 0 : 1);
      writes.push({
        kind,
        id,
        text:
          body === undefined ? '' : this.#signer.sign(kind, id, { schemaVersion, revision, body }),
        before: old?.revision ?? 0,
        removedHashes: kind === 'key' && old !== undefined ? hashesOf(old.body) : [],
        addedHashes: kind === 'key' && change.key !== undefined ? hashesIn(change.key) : [],
      });
    }
    if (writes.length === 0) return before;
    const head = {
      ...before,
      schemaVersion,
      revision,
      count,
      digest: digest.toString(),
      at: this.#after(before),
    };
    return (await this.#swap(seen, head, writes)) ? head : undefined;
  }

  async #read(kind: RecordKind, id: string, generation: number) {
    const text =
      kind === 'catalogue'
        ? await this.#redis.get(snapshotCatalogueKey(generation))
        : await this.#redis.hget(snapshotKeysKey(generation), id);
    return text === null ? undefined : (this.#signer.verify(kind, id, text) ?? 'forged');
  }

  /** Writes records and head together if the head is still as it was seen. */
  async #swap(seen: Seen, head: SnapshotHead, writes: readonly Write[]): Promise<boolean> {
    const { generation, revision } = head;
    const swapped = await scripts.publish(
      this.#redis,
      [snapshotHeadKey, snapshotLogKey, ...partsOf(generation)],
      [
        seen.sealed,
        this.#signer.seal(head),
        revision,
        generation,
        logLength,
        ...writes.flatMap(asArguments),
      ],
    );
    if (swapped === 1) this.#last = Math.max(this.#last, revision);
    return swapped === 1;
  }

  async #republish(records: AsyncIterable<SingleRecord>, catalogue: Catalogue): Promise<number> {
    const token = randomUUID();
    while ((await this.#redis.set(snapshotLockKey, token, 'PX', lockMs, 'NX')) === null) {
      await delay(lockPollMs);
    }
    try {
      return await this.#writeGeneration(records, catalogue, token);
    } finally {
      await scripts.unlock(this.#redis, [snapshotLockKey], [token]);
    }
  }

  async #writeGeneration(
    records: AsyncIterable<SingleRecord>,
    catalogue: Catalogue,
    token: string,
  ): Promise<number> {
    const first = await this.#seen();
    // The time makes revisions grow even when Redis has forgotten all of them, and needs no other memory.
    const generation = Math.max(this.#now(), (first.head?.revision ?? 0) + 1, this.#last + 1);
    const draft = new Draft(generation, this.#signer);
    const flush = async (): Promise<void> => {
      const written = await scripts.write(
        this.#redis,
        [snapshotLockKey, ...partsOf(generation)],
        [token, lockMs, unfinishedSeconds, ...draft.take().flatMap(asArguments)],
      );
      if (written !== 1) throw new Error('republishing took too long: another publisher has begun');
    };

    draft.put({ kind: 'catalogue', catalogue }, undefined);
    for await (const record of records) {
      draft.put(published(record), undefined);
      if (draft.pending >= batchSize) await flush();
    }
    await flush();

    let seen = first;
    for (let attempt = 0; attempt < maxTries; attempt += 1) {
      // What others published meanwhile is newer than what was read.
      const since = await this.#seen();
      if (since.head !== undefined && seen.head !== undefined) {
        await this.#carryOver(draft, seen.head, since.head);
        await flush();
      }
      seen = since;
      const revision = Math.max(generation, (seen.head?.revision ?? 0) + 1);
      const head = { ...draft.head(), revision, at: this.#after(seen.head) };
      const switched = await scripts.switchGeneration(
        this.#redis,
        [
          snapshotLockKey,
          snapshotHeadKey,
          snapshotLogKey,
          ...partsOf(generation),
          ...partsOf(seen.generation ?? generation),
        ],
        [token, seen.sealed, this.#signer.seal(head), revision, generation],
      );
      if (switched === 1) {
        this.#last = revision;
        return revision;
      }
    }
    throw new Error('the head of the snapshot changes all the time: nothing could be republished');
  }

  /** Takes what was published between two heads over into a new generation. */
  async #carryOver(draft: Draft, from: SnapshotHead, to: SnapshotHead): Promise<void> {
    if (to.revision === from.revision) return;
    const entries = await this.#redis.xrange(snapshotLogKey, `${from.revision + 1}-0`, '+');
    const isWhole = entries[0]?.[0].startsWith(`${from.revision + 1}-`) === true;
    if (!isWhole) throw new Error('the log does not reach back to where republishing began');
    for (const [, [, kind, , id = '']] of entries) {
      if (kind !== 'key' && kind !== 'holder' && kind !== 'catalogue') continue;
      const old = await this.#read(kind, id, to.generation);
      if (old === 'forged') throw new RepublishNeededError();
      if (kind === 'catalogue') {
        if (old === undefined) continue;
        draft.put({ kind, catalogue: JSON.parse(old.body) as Catalogue }, undefined);
        continue;
      }
      if (kind === 'holder') {
        const holder = old === undefined ? undefined : (JSON.parse(old.body) as HolderRecord);
        draft.put({ kind, name: id, holder }, undefined);
        continue;
      }
      const key = old === undefined ? undefined : (JSON.parse(old.body) as KeyRecord);
      const written = await this.#read(kind, id, draft.generation);
      const known = written === undefined || written === 'forged' ? undefined : written.body;
      draft.put({ kind, keyId: id, key }, known);
    }
  }

  /** A time after the head's, whatever the clocks of several publishers say. */
  #after(head: SnapshotHead | undefined): number {
    return Math.max(this.#now(), (head?.at ?? 0) + 1);
  }
}

/** A generation that is being written. */
class Draft {
  readonly generation: number;
  readonly #signer: SnapshotSigner;
  readonly #digest = SnapshotDigest.create();
  readonly #ids = new Set<string>();
  #hasCatalogue = false;
  #writes: Write[] = [];

  constructor(generation: number, signer: SnapshotSigner) {
    this.generation = generation;
    this.#signer = signer;
  }

  get pending(): number {
    return this.#writes.length;
  }

  /** @param old - a key as it was written to this generation before */
  put(change: PublishedChange, old: string | undefined): void {
    const { kind } = change;
    const id = idOf(change);
    const body = bodyOf(change);
    const revision = this.generation;
    if (kind !== 'catalogue') {
      if (this.#ids.has(id) !== (body !== undefined)) this.#digest.toggle(kind, id, revision);
      if (body === undefined) this.#ids.delete(id);
      else this.#ids.add(id);
    } else if (!this.#hasCatalogue) {
      this.#digest.toggle(kind, id, revision);
      this.#hasCatalogue = true;
    }
    this.#writes.push({
      kind,
      id,
      text:
        body === undefined ? '' : this.#signer.sign(kind, id, { schemaVersion, revision, body }),
      before: 0,
      removedHashes: old === undefined ? [] : hashesOf(old),
      addedHashes: kind === 'key' && change.key !== undefined ? hashesIn(change.key) : [],
    });
  }

  take(): Write[] {
    const writes = this.#writes;
    this.#writes = [];
    return writes;
  }

  head(): Omit<SnapshotHead, 'revision' | 'at'> {
    return {
      schemaVersion,
      generation: this.generation,
      count: this.#ids.size,
      digest: this.#digest.toString(),
      digestKey: this.#digest.key,
      signedBy: this.#signer.fingerprint,
    };
  }
}

function partsOf(generation: number): [string, string, string] {
  return [
    snapshotKeysKey(generation),
    snapshotHashesKey(generation),
    snapshotCatalogueKey(generation),
  ];
}

/** @throws {RangeError} for a catalogue with a secret in the clear: those never leave a process */
function bodyOf(change: PublishedChange): string | undefined {
  if (change.kind !== 'catalogue') {
    const record = change.kind === 'key' ? change.key : change.holder;
    return record === undefined ? undefined : JSON.stringify(record);
  }
  return JSON.stringify(change.catalogue, (_name, value: unknown) => {
    if (isInlineSecret(value)) {
      throw new RangeError('a credential holds its secret in the clear: give it by reference');
    }
    return value;
  });
}

function isInlineSecret(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'inline';
}

/** What a record is called among those of its kind. */
function idOf(change: PublishedChange): string {
  if (change.kind === 'catalogue') return '';
  return change.kind === 'key' ? change.keyId : change.name;
}

function hashesIn({ secrets }: KeyRecord): string[] {
  return secrets.map(({ hash }) => hash);
}

function hashesOf(body: string): string[] {
  return hashesIn(JSON.parse(body) as KeyRecord);
}

function asArguments(write: Write): (string | number)[] {
  const { kind, id, text, before, removedHashes: removed, addedHashes: added } = write;
  return [kind, id, text, before, removed.length, ...removed, added.length, ...added];
}
