import { randomUUID } from 'node:crypto';
import { canonicalJson, hashOf, rootHash, type AuditEntry, type AuditRecord } from '../audit.ts';
import { toColumn } from '../sql/text.ts';
import { forEach, pack, pause, unpack, type Item, type Items, type Read } from './items.ts';

/** The partition of all entities: what changes together is read together, as of one time. */
export const entityPartition = 'management';

/** What one item is to be after a commit: its members, or null when it is to go; and its tag, where one was seen. */
export type Cell = {
  readonly pk: string;
  readonly id: string;
  readonly item: object | null;
  readonly tag?: string | undefined;
};

/** An item that a commit has written. Of one that is gone only this is left, so that nobody who is late makes it again. */
export type CommittedItem = Item & { readonly commit: number };

/** The newest commit, whole: who finds it not yet made makes it. */
type Head = Item & {
  readonly commit: number;
  /** The audit's newest place. */
  readonly sequence: number;
  readonly hash: string;
  /** The cells, packed. */
  readonly cells: string;
  /** Of the newest commits: who does not know whether its own was made looks here. */
  readonly recent: readonly string[];
};

/** What a commit is to write, and the audit's newest place after it. */
type Step = {
  readonly cells: readonly Cell[];
  readonly sequence: number;
  readonly hash: string;
};

const headId = 'head';
const keptIds = 20;
/** What a removed item is kept for, in seconds: longer than any request takes. */
const goneSeconds = 86_400;
/** The largest head: an item has 2 MB at most. */
const mostPacked = 1_900_000;

/** Records of the audit in one partition: far less than the 20 GB that it holds. */
const recordsInPartition = 100_000;

export function auditPartition(sequence: number): string {
  return `audit-${Math.floor(sequence / recordsInPartition)}`;
}

export function auditId(sequence: number): string {
  return String(sequence).padStart(15, '0');
}

/**
 * Writes of several items that happen as one, with nothing but conditional writes of single items: the head holds the newest commit
 * as a whole, and replacing it on the condition that it is as it was read is what commits. The items are written after it, by whoever
 * comes first: the one that committed, or the next writer or reader who finds it not done. Every item has the number of the commit that
 * wrote it and is only replaced by a later one, so being late, or twice, changes nothing.
 */
export class Commits {
  readonly #items: Items;
  /** Every commit up to this one is in the items. */
  #done = -1;
  #last: Promise<unknown> = Promise.resolve();

  constructor(items: Items) {
    this.#items = items;
  }

  /**
   * @param decide - looks at what is there and tells what is to be; asked again when others were faster
   * @throws what `decide` throws; nothing is written then
   */
  commit(decide: () => Promise<readonly Cell[]>, entry: AuditEntry | undefined): Promise<void> {
    return this.#inTurn(async ({ sequence, hash }) => {
      const decided = await decide();
      if (!entry) return { cells: decided, sequence, hash };
      const next = { sequence: sequence + 1, hash: hashOf(hash, entry) };
      return { ...next, cells: [...decided, await auditCell(next.sequence, next.hash, entry)] };
    });
  }

  #inTurn(decide: (head: Head) => Promise<Step | undefined>): Promise<void> {
    // One after the other within a process: they would only get in each other's way.
    const result = this.#last.then(() => this.#commit(decide));
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Makes records of another store's chain this one's, as they are. Those that are there already are passed over. */
  adopt(records: readonly AuditRecord[]): Promise<void> {
    return this.#inTurn(async (head) => {
      const fresh = records.filter(({ sequence }) => sequence > head.sequence);
      const newest = fresh.at(-1);
      if (!newest) return undefined;
      const cells = await Promise.all(
        fresh.map(({ sequence, hash, ...entry }) => auditCell(sequence, hash, entry)),
      );
      return { cells, sequence: newest.sequence, hash: newest.hash };
    });
  }

  /** Makes what others have committed and not written. @returns the newest commit, and the audit's newest place */
  async recover(): Promise<{ commit: number; sequence: number }> {
    return (await this.#current()).item;
  }

  /** Waits for what is under way. */
  async settled(): Promise<void> {
    await this.#last;
  }

  async #commit(decide: (head: Head) => Promise<Step | undefined>): Promise<void> {
    const own = randomUUID();
    for (let tries = 0; ; tries += 1) {
      const { item: head, tag } = await this.#current();
      // Written before, by a request whose answer was lost.
      if (head.recent.includes(own)) return;
      const step = await decide(head);
      if (!step) return;
      const { cells, sequence, hash } = step;
      const next: Head = {
        ...head,
        commit: head.commit + 1,
        sequence,
        hash,
        cells: await packed(cells),
        recent: [...head.recent, own].slice(-keptIds),
      };
      if ((await this.#items.replace(next, tag)) !== undefined) {
        await this.#write(next.commit, cells);
        return;
      }
      await pause(tries);
    }
  }

  /** The head, all of whose commit is written. */
  async #current(): Promise<Read<Head>> {
    for (;;) {
      const read = await this.#items.read<Head>(entityPartition, headId);
      if (read) {
        const { commit, cells } = read.item;
        if (commit > this.#done) {
          await this.#write(commit, JSON.parse(await unpack(cells)) as Cell[]);
        }
        return read;
      }
      await this.#items.create({
        pk: entityPartition,
        id: headId,
        commit: 0,
        sequence: 0,
        hash: rootHash,
        cells: await packed([]),
        recent: [],
      } satisfies Head as Item);
    }
  }

  async #write(commit: number, cells: readonly Cell[]): Promise<void> {
    await forEach(cells, (cell) => this.#put(commit, cell));
    this.#done = Math.max(this.#done, commit);
  }

  async #put(commit: number, { pk, id, item, tag }: Cell): Promise<void> {
    const next = { ...(item ?? { ttl: goneSeconds }), pk, id, commit };
    // Mostly nobody has been here, and this is all.
    const first = tag === undefined ? this.#items.create(next) : this.#items.replace(next, tag);
    if ((await first) !== undefined) return;
    for (let tries = 0; ; tries += 1) {
      const read = await this.#items.read<CommittedItem>(pk, id);
      if (read && read.item.commit >= commit) return;
      const written = read
        ? await this.#items.replace(next, read.tag)
        : await this.#items.create(next);
      if (written !== undefined) return;
      await pause(tries);
    }
  }
}

async function packed(cells: readonly Cell[]): Promise<string> {
  const text = await pack(JSON.stringify(cells));
  if (text.length <= mostPacked) return text;
  throw new RangeError('Cosmos DB holds no change of so many entities at once: make it in parts');
}

async function auditCell(sequence: number, hash: string, entry: AuditEntry): Promise<Cell> {
  const audit = {
    actor: toColumn(entry.actor),
    action: toColumn(entry.action),
    objectKind: toColumn(entry.objectKind),
    objectId: toColumn(entry.objectId),
    atMs: entry.at,
  };
  const text = await pack(canonicalJson(entry));
  return {
    pk: auditPartition(sequence),
    id: auditId(sequence),
    item: { kind: 'audit', sequence, hash, audit, entry: text },
  };
}
