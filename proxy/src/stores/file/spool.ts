import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { poll } from '@aigateway/contract/poll';
import type {
  LedgerEvent,
  UsageRecord,
  UsageStanding,
  UsageTransport,
} from '@aigateway/contract/usage';
import { GatewayError } from '../../errors.ts';
import type { OpenedCall, UsageSink } from '../../ports.ts';
import { lockDirectory } from './directory-lock.ts';
import { endLine, openLine } from './spool-lines.ts';
import { SpoolSegments } from './spool-segments.ts';

export type UsageSpoolOptions = {
  /** Its own for each process. */
  readonly directory: string;
  /** Takes events to where they are counted. */
  readonly transport: UsageTransport;
  /** Told when something fails, and again when it does not any more: `undefined`. */
  readonly onTrouble?: (error: unknown) => void;
  /** Above this nothing more is let in. Default 1 GiB: about a million calls. */
  readonly maxBytes?: number;
  /** Size that a new file is begun at. Default 8 MiB. */
  readonly segmentBytes?: number;
  /** How often events are taken on. Default 250 ms. */
  readonly shipMs?: number;
};

/** How far a spool is. */
export type SpoolStanding = {
  readonly producer: string;
  /** The sequence that was given last. */
  readonly last: number;
  /** Every event up to it is counted. */
  readonly mark: number;
  /** On the disk. */
  readonly bytes: number;
  /** Whether calls are refused, because there is no room or the disk does not take them. */
  readonly isFull: boolean;
};

/** Usage on its way to the ledger, safe from the end of the process. */
export interface UsageSpool extends UsageSink {
  standing(): SpoolStanding;
  /** Takes on now what can be. Resolves when that was tried; failures are told to `onTrouble`. */
  ship(): Promise<void>;
  /** Takes on what can be, then lets go of the directory. What is left is taken on by the next process. */
  close(): Promise<void>;
}

const defaultMaxBytes = 1024 ** 3;
const defaultSegmentBytes = 8 * 1024 ** 2;
/** Events in one go: what one transaction of a ledger takes well. */
const batchSize = 500;
/** Events kept in memory until they are taken on; older ones are read from the disk again. */
const mostRecent = 2_000;
const longestWaitMs = 5_000;

/**
 * Opens the spool of a directory and finishes what an earlier process left there: a call whose end was never written becomes an
 * event by estimate, once.
 *
 * @throws {Error} if another process uses the directory, or it cannot be written
 */
export async function openUsageSpool(options: UsageSpoolOptions): Promise<UsageSpool> {
  const directory = join(options.directory, 'usage');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const unlock = lockDirectory(directory);
  try {
    const spool = new Spool(options, directory, new SpoolSegments(directory), unlock);
    await spool.recover();
    spool.startShipping();
    return spool;
  } catch (error) {
    unlock();
    throw error;
  }
}

/** Tells whether a process has written to the spool of a directory since a time: it has, or had, calls of its own. */
export function wasUsedSince(directory: string, sinceMs: number): boolean {
  const spool = join(directory, 'usage');
  if (!existsSync(spool)) return false;
  return readdirSync(spool).some((name) => statSync(join(spool, name)).mtimeMs >= sinceMs);
}

/** What names this directory's events for ever. */
function keptProducer(directory: string): string {
  const file = producerFile(directory);
  try {
    writeFileSync(file, randomUUID(), { flag: 'wx', mode: 0o600, flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const producer = readFileSync(file, 'utf8').trim();
  if (!/^[\w-]{8,64}$/.test(producer)) throw new Error(`${file} holds no name of a producer`);
  return producer;
}

function producerFile(directory: string): string {
  return join(directory, 'producer');
}

type OpenCall = { readonly call: OpenedCall; readonly startedAt: number };

/** What waits to be written: the beginning of a call, or its end. */
type Pending =
  | (OpenCall & { readonly account: number; readonly event?: undefined })
  | { readonly account: number; readonly event: LedgerEvent };

class Spool implements UsageSpool {
  readonly #options: UsageSpoolOptions;
  readonly #directory: string;
  readonly #segments: SpoolSegments;
  readonly #unlock: () => void;
  readonly #maxBytes: number;
  readonly #segmentBytes: number;
  readonly #openCalls = new Map<number, OpenCall>();
  #producer: string;
  /** The last event that earlier processes gave a sequence. */
  #inherited = 0;
  #hasMet = false;
  #account = 0;
  #last = 0;
  #pending: Pending[] = [];
  #flush: NodeJS.Immediate | undefined;
  /** The newest events, without a gap up to `#last`. */
  #recent: LedgerEvent[] = [];
  /** Events up to here are on the disk for sure. */
  #synced = 0;
  #taken = 0;
  #mark = 0;
  #shipping: Promise<void> | undefined;
  readonly #end = new AbortController();
  #ticking: Promise<void> | undefined;
  #waitMs = 0;
  #retryAt = 0;
  #hasTrouble = false;
  #isClosed = false;

  constructor(
    options: UsageSpoolOptions,
    directory: string,
    segments: SpoolSegments,
    unlock: () => void,
  ) {
    this.#options = options;
    this.#directory = directory;
    this.#producer = keptProducer(directory);
    this.#segments = segments;
    this.#unlock = unlock;
    this.#maxBytes = options.maxBytes ?? defaultMaxBytes;
    this.#segmentBytes = options.segmentBytes ?? defaultSegmentBytes;
  }

  async recover(): Promise<void> {
    const open = new Map<number, UsageRecord>();
    await this.#segments.load((line) => {
      if (line.kind === 'open') open.set(line.account, line.record);
      else if (line.kind === 'end') open.delete(line.account);
      this.#last = Math.max(
        this.#last,
        line.kind === 'segment' ? line.next - 1 : line.kind === 'end' ? line.event.sequence : 0,
      );
    });
    this.#inherited = this.#last;
    this.#segments.rotate(this.#last + 1);
    for (const [account, record] of open) {
      this.#last += 1;
      this.#segments.append(endLine(account, { sequence: this.#last, record }), this.#last);
    }
    this.#mark = this.#segments.floor;
    this.#taken = this.#mark;
  }

  startShipping(): void {
    const { shipMs = 250 } = this.#options;
    this.#ticking = poll(() => this.#tick(), {
      signal: this.#end.signal,
      everyMs: shipMs,
      firstAfterMs: shipMs,
    });
  }

  /** What is written is brought to the disk each time, also while nothing can be taken on. */
  async #tick(): Promise<void> {
    if (performance.now() >= this.#retryAt) return this.ship();
    await this.#sync().catch((error: unknown) => this.#report(error));
  }

  open(call: OpenedCall, startedAt: number): number {
    if (this.#isFull) throw new GatewayError('accounting_unavailable', { retryAfterMs: 1000 });
    this.#account += 1;
    const account = this.#account;
    this.#openCalls.set(account, { call, startedAt });
    this.#write({ account, call, startedAt });
    return account;
  }

  settle(record: UsageRecord, account: number): void {
    this.#last += 1;
    const event = { sequence: this.#last, record };
    this.#openCalls.delete(account);
    this.#recent.push(event);
    if (this.#recent.length > 2 * mostRecent) this.#recent = this.#recent.slice(-mostRecent);
    this.#write({ account, event });
  }

  standing(): SpoolStanding {
    return {
      producer: this.#producer,
      last: this.#last,
      mark: this.#mark,
      bytes: this.#segments.bytes,
      isFull: this.#isFull,
    };
  }

  ship(): Promise<void> {
    this.#shipping ??= this.#ship().finally(() => (this.#shipping = undefined));
    return this.#shipping;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#end.abort();
    await this.#ticking;
    await this.#shipping;
    await this.ship();
    clearImmediate(this.#flush);
    this.#flush = undefined;
    await this.#segments.close();
    this.#unlock();
  }

  get #isFull(): boolean {
    return this.#isClosed || this.#segments.isStuck || this.#segments.bytes >= this.#maxBytes;
  }

  /**
   * Everything of one turn of the event loop is written at its end, in one system call: before anything that was sent meanwhile
   * can have been answered.
   */
  #write(line: Pending): void {
    this.#pending.push(line);
    this.#flush ??= setImmediate(() => this.#tryToFlush());
  }

  #tryToFlush(): void {
    try {
      this.#flushNow();
    } catch (error) {
      this.#report(error);
    }
  }

  #flushNow(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    const lines = this.#pending;
    if (lines.length === 0 && !this.#segments.isStuck) return;
    this.#pending = [];
    let text = '';
    for (const line of lines) {
      text +=
        line.event === undefined
          ? openLine(line.account, line.call, line.startedAt)
          : endLine(line.account, line.event);
    }
    this.#segments.append(text, this.#last);
    if (this.#segments.currentBytes < this.#segmentBytes) return;
    this.#segments.rotate(this.#last + 1);
    // Calls that are still open stand in the new file too, so that the old one can go.
    const open = [...this.#openCalls].map(([account, { call, startedAt }]) =>
      openLine(account, call, startedAt),
    );
    this.#segments.append(open.join(''), this.#last);
  }

  async #ship(): Promise<void> {
    try {
      // A sequence that others know of must never be given again: it is on the disk before it is told.
      const last = await this.#sync();
      while (this.#mark < last && (await this.#shipBatch()));
      this.#waitMs = 0;
      this.#report(undefined);
    } catch (error) {
      this.#waitMs = Math.min(longestWaitMs, Math.max(250, this.#waitMs * 2));
      this.#retryAt = performance.now() + this.#waitMs;
      this.#report(error);
    }
  }

  /** @returns the last sequence that is on the disk for sure */
  async #sync(): Promise<number> {
    this.#flushNow();
    const last = this.#last;
    await this.#segments.sync();
    this.#synced = last;
    return last;
  }

  /** @returns whether there is more to do at once */
  async #shipBatch(): Promise<boolean> {
    if (!this.#hasMet) await this.#meet();
    const before = this.#taken;
    const events = await this.#eventsAfter(before);
    // Nobody can wait for what is not on the disk.
    const first = events[0]?.sequence ?? 0;
    this.#note(
      await this.#options.transport.append(
        this.#producer,
        events,
        first > before + 1 ? first - 1 : this.#segments.floor,
      ),
    );
    return this.#taken !== before;
  }

  /**
   * The ledger may know events of this producer that are not here: the directory was put back to an earlier state. What begins
   * now would have their sequences and count as theirs, so it gets another producer.
   */
  async #meet(): Promise<void> {
    const standing = await this.#options.transport.append(this.#producer, [], this.#segments.floor);
    if (Math.max(standing.mark, standing.taken) > this.#inherited) {
      // The files of before are the other one's, who has given what is in them: it must never come again under this name.
      this.#segments.cut(this.#inherited);
      this.#producer = randomUUID();
      writeFileSync(producerFile(this.#directory), this.#producer, { flush: true });
      this.#mark = this.#inherited;
      this.#taken = this.#inherited;
    } else {
      this.#note(standing);
    }
    this.#hasMet = true;
  }

  #note({ taken, mark }: UsageStanding): void {
    // Believed, it would have events dropped that nobody has counted.
    if (taken > this.#last) throw new Error('events of this producer are known that it never gave');
    this.#taken = taken;
    const counted = this.#recent.findIndex(({ sequence }) => sequence > taken);
    this.#recent = counted === -1 ? [] : this.#recent.slice(counted);
    if (mark <= this.#mark) return;
    this.#mark = mark;
    this.#segments.cut(mark);
  }

  async #eventsAfter(sequence: number): Promise<readonly LedgerEvent[]> {
    const first = this.#recent[0]?.sequence ?? this.#last + 1;
    if (first > sequence + 1) {
      return this.#segments.read(sequence, this.#synced, batchSize);
    }
    const from = sequence + 1 - first;
    return this.#recent.slice(from, Math.min(from + batchSize, this.#synced + 1 - first));
  }

  #report(error: unknown): void {
    if (error === undefined && !this.#hasTrouble) return;
    if (error !== undefined && this.#hasTrouble) return;
    this.#hasTrouble = error !== undefined;
    this.#options.onTrouble?.(error);
  }
}
