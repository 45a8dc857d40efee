import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { schemaNumber } from '../migrations/schema.ts';
import type { StoreKind, StoreSnapshot } from '../store.ts';
import { TransferError } from './fill.ts';
import { linesOf, LineTally, type StoreLine, type Tally } from './lines.ts';

/** The first line of a backup. */
export type BackupHeader = {
  readonly is: 'backup';
  /** Of the file, see `docs/operations/backup.md`. */
  readonly format: number;
  /** Of the store: the number of its newest migration. */
  readonly schema: number;
  /** The gateway that wrote it. */
  readonly release: string;
  /** What it is of. */
  readonly kind: StoreKind;
  /** ISO 8601 in UTC. */
  readonly begunAt: string;
};

/** The last line. */
type BackupEnd = { readonly is: 'end'; readonly sha256: string } & Tally;

/** A backup that was read through: it is whole. */
export type BackupContent = {
  readonly header: BackupHeader;
  readonly tally: Tally;
  /** Lower-case hex SHA-256 of all lines but the last. */
  readonly sha256: string;
};

const format = 1;

/**
 * Writes all of a store into one file: JSON, a line for each thing, compressed by gzip, and at its end what they add up to. It holds hashes
 * of keys and sealed secrets, so only its owner may read it. It has its name once it is whole.
 *
 * @param finish - done when all is written, before the file gets its name
 * @throws {StoreChangedError} as the snapshot does
 */
export async function writeBackup(
  snapshot: StoreSnapshot,
  path: string,
  release: string,
  finish: (content: BackupContent) => Promise<void>,
): Promise<BackupContent> {
  const header: BackupHeader = {
    is: 'backup',
    format,
    schema: schemaNumber,
    release,
    kind: snapshot.kind,
    begunAt: new Date().toISOString(),
  };
  const tally = new LineTally();
  const hash = createHash('sha256');
  let sha256 = '';
  async function* text(): AsyncGenerator<string> {
    const hashed = (line: object): string => {
      const one = lineOf(line);
      hash.update(one);
      return one;
    };
    yield hashed(header);
    for await (const line of linesOf(snapshot)) {
      tally.add(line);
      yield hashed(line);
    }
    await snapshot.confirm();
    sha256 = hash.digest('hex');
    yield lineOf({ is: 'end', ...tally.result(), sha256 } satisfies BackupEnd);
  }
  const unfinished = `${path}.part`;
  try {
    // One of before may be another's to read.
    await rm(unfinished, { force: true });
    await pipeline(
      Readable.from(text()),
      createGzip(),
      createWriteStream(unfinished, { mode: 0o600, flags: 'wx', flush: true }),
    );
    const content = { header, tally: tally.result(), sha256 };
    await finish(content);
    await rename(unfinished, path);
    await syncDirectory(path);
    return content;
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

/**
 * Reads a backup through.
 *
 * @param each - sees every line, of which nothing is known to be right before the end
 * @throws {TransferError} when it is no backup, not whole, or of another format or schema
 */
export async function readBackup(
  path: string,
  each: (line: StoreLine) => void = () => undefined,
): Promise<BackupContent> {
  let content: BackupContent | undefined;
  const lines = backupLines(path, (found) => {
    content = found;
  });
  for await (const line of lines) each(line);
  if (!content) throw new TransferError('the backup is not whole: it was cut');
  return content;
}

/** What a backup holds. @param end - told when all of it was read, and is right @throws as `readBackup` does */
export async function* backupLines(
  path: string,
  end: (content: BackupContent) => void = () => undefined,
): AsyncGenerator<StoreLine> {
  const tally = new LineTally();
  const hash = createHash('sha256');
  let header: BackupHeader | undefined;
  let ended = false;
  try {
    for await (const text of textLines(path)) {
      const line = parse(text);
      if (!header) {
        header = headerOf(line);
      } else if (!line || ended) {
        throw new TransferError('the backup has lines that belong to no store: it was changed');
      } else if (line.is === 'end') {
        ended = true;
        checkEnd(line, tally.result(), hash.digest('hex'));
        end({ header, tally: tally.result(), sha256: line.sha256 });
        continue;
      } else {
        tally.add(line as StoreLine);
        yield line as StoreLine;
      }
      hash.update(`${text}\n`);
    }
  } catch (error) {
    if (isCompressionError(error)) {
      throw new TransferError('the backup cannot be unpacked: it is no backup, or was cut', {
        cause: error,
      });
    }
    throw error;
  }
  if (!ended) throw new TransferError('the backup is not whole: it was cut');
}

function headerOf(line: Line | undefined): BackupHeader {
  if (line?.is !== 'backup') throw new TransferError('the file is no backup of a store');
  if (line.format !== format) {
    throw new TransferError(
      `the backup is of format ${line.format}, this release knows ${format}: restore it with release ${line.release}`,
    );
  }
  if (line.schema !== schemaNumber) {
    throw new TransferError(
      `the backup is of schema ${line.schema}, this release has ${schemaNumber}: restore it with release ${line.release}`,
    );
  }
  return line;
}

function checkEnd({ is: _is, sha256, ...said }: BackupEnd, read: Tally, hash: string): void {
  if (sha256 !== hash || said.digest !== read.digest) {
    throw new TransferError('the backup is not what was written: it was changed');
  }
}

type Line = StoreLine | BackupHeader | BackupEnd;

/** Ends of lines are line feeds alone: texts in JSON may have whatever else ends a line elsewhere. */
async function* textLines(path: string): AsyncGenerator<string> {
  const file = createReadStream(path);
  const unpacked = createGunzip().setEncoding('utf8');
  // A file that cannot be read ends the reading as one that cannot be unpacked does.
  file.on('error', (error) => unpacked.destroy(error));
  let rest = '';
  for await (const chunk of file.pipe(unpacked) as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}

function isCompressionError(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && code.startsWith('Z_');
}

function lineOf(line: object): string {
  return `${JSON.stringify(line)}\n`;
}

function parse(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}

/** The new name is on the disk as well. Windows has no such thing. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
