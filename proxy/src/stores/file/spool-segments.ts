import {
  closeSync,
  createReadStream,
  fdatasync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { LedgerEvent } from '@aigateway/contract/usage';
import { parseLine, segmentLine, type SpoolLine } from './spool-lines.ts';

const sync = promisify(fdatasync);
const namePattern = /^(\d{10})\.jsonl$/;

/** One file. `last` is the highest sequence in it, `next - 1` when it has none. */
type Segment = { readonly path: string; readonly next: number; last: number; bytes: number };

/** The spool's files: written at the end, cut at the beginning. */
export class SpoolSegments {
  readonly #directory: string;
  /** The oldest first; the last one is written to. */
  readonly #segments: Segment[] = [];
  #bytes = 0;
  #index = 0;
  #current: number | undefined;
  /** Files that were written to since they were last on the disk for sure. */
  readonly #unsynced = new Set<number>();
  /** What the disk did not take, and goes before everything else. */
  #left = Buffer.alloc(0);

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The sequence before the first that the files hold or will hold. */
  get floor(): number {
    return (this.#segments[0]?.next ?? 1) - 1;
  }

  /** Whether the disk refuses what should be written. */
  get isStuck(): boolean {
    return this.#left.length > 0;
  }

  /** Bytes of the file that is written to. */
  get currentBytes(): number {
    return this.#segments.at(-1)?.bytes ?? 0;
  }

  /** Takes up what an earlier process left, giving each line in order. */
  async load(take: (line: SpoolLine) => void): Promise<void> {
    const names = readdirSync(this.#directory).filter((name) => namePattern.test(name));
    let next = 1;
    for (const name of names.toSorted()) {
      const path = join(this.#directory, name);
      let segment: Segment | undefined;
      for await (const line of linesOf(path)) {
        if (line.kind === 'segment') next = Math.max(next, line.next);
        segment ??= { path, next, last: next - 1, bytes: statSync(path).size };
        if (line.kind === 'end') {
          segment.last = Math.max(segment.last, line.event.sequence);
          next = segment.last + 1;
        }
        take(line);
      }
      if (segment === undefined) {
        unlinkSync(path);
      } else {
        this.#segments.push(segment);
        this.#bytes += segment.bytes;
      }
      this.#index = Number(namePattern.exec(name)?.[1]);
    }
  }

  /** Begins a new file, unless the disk still refuses the end of the one before. */
  rotate(next: number): void {
    if (this.isStuck) return;
    this.#index += 1;
    const path = join(this.#directory, `${String(this.#index).padStart(10, '0')}.jsonl`);
    const file = openSync(path, 'wx', 0o600);
    // The one before is closed when it is on the disk.
    if (this.#current !== undefined) this.#unsynced.add(this.#current);
    this.#current = file;
    this.#segments.push({ path, next, last: next - 1, bytes: 0 });
    this.append(segmentLine(next), next - 1);
  }

  /**
   * Writes at the end. What the disk does not take is kept, and tried again with the next.
   *
   * @param last - the highest sequence in the text, or before it
   * @throws what the disk says
   */
  append(text: string, last: number): void {
    const segment = this.#segments.at(-1);
    const file = this.#current;
    if (segment === undefined || file === undefined) throw new Error('no segment is open');
    segment.last = Math.max(segment.last, last);
    const added = Buffer.from(text);
    this.#left = this.#left.length === 0 ? added : Buffer.concat([this.#left, added]);
    this.#unsynced.add(file);
    while (this.#left.length > 0) {
      const written = writeSync(file, this.#left);
      segment.bytes += written;
      this.#bytes += written;
      this.#left = this.#left.subarray(written);
    }
  }

  /** Resolves when all that was written before would survive a loss of power. */
  async sync(): Promise<void> {
    // What is written meanwhile is the next one's to sync.
    const files = Array.from(this.#unsynced);
    for (const file of files) {
      this.#unsynced.delete(file);
      try {
        await sync(file);
      } catch (error) {
        this.#unsynced.add(file);
        throw error;
      }
      if (file !== this.#current && !this.#unsynced.has(file)) closeSync(file);
    }
  }

  /** Drops files whose events are all counted. Calls that are still open stand in a later one too. */
  cut(mark: number): void {
    while (this.#segments.length > 1 && (this.#segments[0]?.last ?? mark) <= mark) {
      const segment = this.#segments.shift();
      if (segment === undefined) return;
      unlinkSync(segment.path);
      this.#bytes -= segment.bytes;
    }
  }

  /** Events after a sequence up to another, in order, so many at most. */
  async read(after: number, upTo: number, most: number): Promise<LedgerEvent[]> {
    const events: LedgerEvent[] = [];
    for (const { path, last } of this.#segments) {
      if (last <= after) continue;
      for await (const line of linesOf(path)) {
        if (line.kind !== 'end') continue;
        const { sequence } = line.event;
        if (sequence <= after) continue;
        if (sequence > upTo || events.length >= most) return events;
        events.push(line.event);
      }
    }
    return events;
  }

  async close(): Promise<void> {
    await this.sync();
    if (this.#current !== undefined) closeSync(this.#current);
    this.#current = undefined;
  }
}

async function* linesOf(path: string): AsyncGenerator<SpoolLine> {
  for await (const text of createInterface({ input: createReadStream(path, 'utf8') })) {
    const line = parseLine(text);
    if (line !== undefined) yield line;
  }
}
