import { createReadStream } from 'node:fs';
import { appendFile, mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import type { SnapshotSigner } from '@aigateway/contract/signing';
import {
  openHead,
  SnapshotAssembly,
  type CompleteSnapshot,
  type ReadRecord,
} from '../snapshot-state.ts';

/** Lines written or read without letting anything else have a turn. */
const sliceLines = 500;

type Line = ReadRecord | { readonly sealed: string };

/**
 * The last good snapshot on disk: signed records as they were read, each group of changes closed by its head. Changes are
 * appended; what is behind the last head was never whole and does not count. It is as trustworthy as Redis: signatures decide.
 */
export class SnapshotFile {
  readonly #path: string;
  #lines = 0;
  /** Whether the file holds what this process last took in. */
  #isCurrent = false;
  /** What the next addition begins with: an end for a line that may have been cut off. */
  #separator = '\n';

  constructor(path: string) {
    this.#path = path;
  }

  /** Whether the file is behind, or holds more that is outdated than what is valid. */
  needsRewrite(records: number): boolean {
    return !this.#isCurrent || this.#lines > 2 * records + sliceLines;
  }

  /**
   * What was kept; undefined when nothing was.
   *
   * @throws {SnapshotRefusedError} when what was kept is not ours or not whole
   */
  async read(signer: SnapshotSigner): Promise<CompleteSnapshot | undefined> {
    let sealed: string | undefined;
    let closed = 0;
    for await (const line of this.#read()) {
      this.#lines += 1;
      if (!('sealed' in line)) continue;
      sealed = line.sealed;
      closed = this.#lines;
    }
    if (sealed === undefined) return undefined;
    const head = openHead(signer, sealed);
    // A group may be as large as everything, and counts only once it is closed: the file is read again rather than held.
    const assembly = new SnapshotAssembly(signer);
    for await (const line of this.#read()) {
      if (!('sealed' in line)) assembly.put(line);
      closed -= 1;
      if (closed === 0) break;
      if (closed % sliceLines === 0) await setImmediate();
    }
    const complete = assembly.complete(head);
    this.#isCurrent = true;
    return complete;
  }

  async *#read(): AsyncGenerator<Line> {
    try {
      for await (const text of createInterface({ input: createReadStream(this.#path, 'utf8') })) {
        const line = parseLine(text);
        if (line !== undefined) yield line;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** Begins to write a whole snapshot beside the one that is kept. */
  async rewrite(): Promise<SnapshotDraft> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const draft = `${this.#path}.${process.pid}.new`;
    const file = await open(draft, 'w', 0o600);
    return new SnapshotDraft(file, draft, async (lines) => {
      await rename(draft, this.#path);
      this.#lines = lines;
      this.#isCurrent = true;
      this.#separator = '';
    });
  }

  /** Adds what changed up to a head. A file that is behind is left as it is: what it has is still whole. */
  async append(records: readonly ReadRecord[], sealed: string): Promise<void> {
    if (!this.#isCurrent) return;
    const lines = [...records, { sealed }];
    try {
      await appendFile(this.#path, this.#separator + lines.map(formatLine).join(''));
    } catch (error) {
      this.#isCurrent = false;
      throw error;
    }
    this.#separator = '';
    this.#lines += lines.length;
  }
}

/** A whole snapshot that is being written. */
export class SnapshotDraft {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #use: (lines: number) => Promise<void>;
  #isOpen = true;
  #lines = 0;

  constructor(file: FileHandle, path: string, use: (lines: number) => Promise<void>) {
    this.#file = file;
    this.#path = path;
    this.#use = use;
  }

  async put(lines: readonly Line[]): Promise<void> {
    this.#lines += lines.length;
    await this.#file.appendFile(lines.map(formatLine).join(''));
  }

  /** Puts it in the place of what was kept before. */
  async commit(sealed: string): Promise<void> {
    await this.put([{ sealed }]);
    await this.#file.sync();
    await this.#file.close();
    this.#isOpen = false;
    await this.#use(this.#lines);
  }

  /** Leaves nothing behind of what was not put in place. */
  async discard(): Promise<void> {
    if (this.#isOpen) await this.#file.close();
    this.#isOpen = false;
    await rm(this.#path, { force: true });
  }
}

function formatLine(line: Line): string {
  return `${JSON.stringify('sealed' in line ? ['head', line.sealed] : [line.kind, line.id, line.text ?? null])}\n`;
}

function parseLine(text: string): Line | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    // The process or the machine stopped in the middle of this line.
    return undefined;
  }
  if (!Array.isArray(fields)) return undefined;
  const [kind, id, value] = fields as unknown[];
  if (kind === 'head' && typeof id === 'string') return { sealed: id };
  if (typeof kind !== 'string' || typeof id !== 'string') return undefined;
  return { kind, id, text: typeof value === 'string' ? value : undefined };
}
