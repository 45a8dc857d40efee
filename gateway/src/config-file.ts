import { hash } from 'node:crypto';
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type ConfigPath, formatPath } from '@aigateway/contract/config-problems';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLError } from 'yaml';

export type Position = { readonly file: string; readonly line: number };

/** A configuration file as plain data, its includes merged in. */
export type ConfigFile = {
  readonly raw: { readonly [key: string]: unknown };
  /** Every file that was read, by the path that named it, the main one first. */
  readonly files: readonly string[];
  /** `digestOf` the files as they were when they were read. */
  readonly digest: string;
  /** Where a value stands, or the nearest value around it that is known. Reads the files once more when first asked. */
  positionOf(path: ConfigPath): Position | undefined;
};

/** The file cannot be used at all. The message says why and where, and holds nothing of its content. */
export class ConfigFileError extends Error {
  override readonly name = 'ConfigFileError';
}

/** Twenty thousand keys with everything that can be said about each. */
const largestFile = 16_777_216;
const mostFiles = 64;

/** Guards against a few lines that expand to gigabytes. */
const mostAliases = 1000;

type Raw = { [key: string]: unknown };
type Loaded = { raw: Raw; positions: Map<string, Position> };

/** Positions of every value weigh many times what the values do, and only problems need them. */
type Wanted = 'values' | 'values and positions';

/**
 * Reads a YAML (or JSON) configuration file with everything it includes. Includes are relative to the file that names
 * them; lists are appended, maps merged, and of two values for one key the included one counts, as in LiteLLM.
 *
 * @throws {ConfigFileError} if a file is missing, too large, not UTF-8, not YAML, or includes itself
 */
export function readConfigFile(path: string): ConfigFile {
  const read: FilesRead = { files: [], digests: [] };
  const { raw } = load(resolve(path), [], read, 'values');
  let positions: ReadonlyMap<string, Position> | undefined;
  return {
    raw,
    files: read.files,
    digest: read.digests.join(),
    positionOf: (wanted) => {
      positions ??= readPositions(path);
      return nearestPosition(positions, wanted);
    },
  };
}

function nearestPosition(
  positions: ReadonlyMap<string, Position>,
  wanted: ConfigPath,
): Position | undefined {
  for (let length = wanted.length; length > 0; length -= 1) {
    const position = positions.get(formatPath(wanted.slice(0, length)));
    if (position !== undefined) return position;
  }
  return undefined;
}

/**
 * Reads a configuration that is a text rather than a file, for platforms where a variable is versioned with what runs and a file is not.
 *
 * @param name - stands for the file in problems
 * @throws {ConfigFileError} if it is too large, not YAML, or includes files: there is no folder that they could be relative to
 */
export function readConfigText(text: string, name: string): ConfigFile {
  if (Buffer.byteLength(text) > largestFile)
    throw new ConfigFileError(`${name} is larger than ${largestFile} bytes`);
  const { raw } = parse(text, name, 'values');
  if (raw['include'] !== undefined && raw['include'] !== null)
    throw new ConfigFileError(`${name}: include needs a configuration that is a file`);
  let positions: ReadonlyMap<string, Position> | undefined;
  return {
    raw,
    files: [],
    digest: '',
    positionOf: (wanted) => {
      positions ??= parse(text, name, 'values and positions').positions;
      return nearestPosition(positions, wanted);
    },
  };
}

/** Tells whether the content of files is what it was; a file that is missing, as in the middle of a replacement, has none. */
export function digestOf(files: readonly string[]): string {
  const digests = files.map((file) => {
    try {
      return hash('sha256', readFileSync(file));
    } catch {
      return '';
    }
  });
  return digests.join();
}

function readPositions(path: string): ReadonlyMap<string, Position> {
  try {
    const read: FilesRead = { files: [], digests: [] };
    return load(resolve(path), [], read, 'values and positions').positions;
  } catch {
    // The files have changed since: what is said about them goes without a line.
    return new Map();
  }
}

/** Grows as files are read. */
type FilesRead = { readonly files: string[]; readonly digests: string[] };

function load(path: string, including: readonly string[], read: FilesRead, wanted: Wanted): Loaded {
  const file = realPath(path);
  if (including.includes(file)) throw new ConfigFileError(`${file} includes itself`);
  if (read.files.length >= mostFiles)
    throw new ConfigFileError(`more than ${mostFiles} files are included`);
  const bytes = readBytes(file);
  read.files.push(path);
  read.digests.push(hash('sha256', bytes));
  const loaded = parse(textOf(bytes, file), file, wanted);
  const { include } = loaded.raw;
  if (include === undefined || include === null) return loaded;

  const names: unknown = typeof include === 'string' ? [include] : include;
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) {
    throw new ConfigFileError(`${file}: include must be a list of file names`);
  }
  for (const name of names) {
    mergeInto(loaded, load(resolve(dirname(file), name), [...including, file], read, wanted));
  }
  return loaded;
}

function mergeInto(target: Loaded, included: Loaded): void {
  for (const [key, value] of Object.entries(included.raw)) {
    const own = target.raw[key];
    if (key === 'include') continue;
    if (Array.isArray(own) && Array.isArray(value)) {
      target.raw[key] = [...(own as unknown[]), ...(value as unknown[])];
      movePositions(included, target, key, own.length);
    } else {
      target.raw[key] = isPlain(own) && isPlain(value) ? { ...own, ...value } : value;
      movePositions(included, target, key, 0);
    }
  }
}

/** Takes over the positions below a section; entries of a list are counted on from `offset`. */
function movePositions(from: Loaded, to: Loaded, section: string, offset: number): void {
  for (const [path, position] of from.positions) {
    if (path !== section && !path.startsWith(`${section}.`) && !path.startsWith(`${section}[`))
      continue;
    const rest = path
      .slice(section.length)
      .replace(/^\[(\d+)\]/, (_, index) => `[${Number(index) + offset}]`);
    if (rest === '' && to.positions.has(path)) continue;
    to.positions.set(`${section}${rest}`, position);
  }
}

function parse(text: string, file: string, wanted: Wanted): Loaded {
  const positions = new Map<string, Position>();
  const json = wanted === 'values' ? parseJson(text) : undefined;
  if (json !== undefined) return { raw: json, positions };
  const lines = new LineCounter();
  const document = parseDocument(text, {
    merge: true,
    lineCounter: lines,
    // Pretty errors quote the source, which may hold keys.
    prettyErrors: false,
    uniqueKeys: true,
  });
  const error = document.errors[0] ?? document.warnings[0];
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw new ConfigFileError(`${file}:${line}:${col} is not valid YAML: ${sentenceOf(error)}`);
  }
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: mostAliases });
  } catch (cause) {
    throw new ConfigFileError(`${file} repeats itself too often through aliases`, { cause });
  }
  if (raw === null || raw === undefined) return { raw: {}, positions };
  if (!isPlain(raw))
    throw new ConfigFileError(`${file} must be a map of sections such as model_list`);
  if (wanted !== 'values') collect(document.contents, [], { file, lines, positions, document });
  return { raw, positions };
}

/** What the parser says, without what it quotes of the source: that may be a key. */
function sentenceOf({ code, message }: YAMLError): string {
  // These name what was written in the middle of the sentence.
  if (code === 'TAG_RESOLVE_FAILED' || code === 'BAD_DIRECTIVE') return code;
  return message.split(/(?<=\S): |["\\]/, 1)[0]?.trim() || code;
}

/**
 * Reads JSON natively, which costs a large file a hundredth of the time and memory.
 *
 * @returns undefined for what is no JSON object, and for one with a key twice, which `JSON.parse` would not tell
 */
function parseJson(text: string): Raw | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isPlain(value) && keysIn(value) === keysWritten(text) ? value : undefined;
  } catch {
    return undefined;
  }
}

function keysIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const values: unknown[] = Object.values(value);
  return values.reduce(
    (count: number, item) => count + keysIn(item),
    Array.isArray(value) ? 0 : values.length,
  );
}

/** Keys in a JSON text: strings before a colon. */
function keysWritten(text: string): number {
  const texts = /"[^"\\]*(?:\\.[^"\\]*)*"\s*(:?)/g;
  let count = 0;
  for (let found = texts.exec(text); found !== null; found = texts.exec(text)) {
    if (found[1] === ':') count += 1;
  }
  return count;
}

type Collected = {
  file: string;
  lines: LineCounter;
  positions: Map<string, Position>;
  document: ReturnType<typeof parseDocument>;
};

/** Notes where every key and list entry begins. Values that come through a merge key have the place of their map. */
function collect(node: unknown, path: ConfigPath, into: Collected): void {
  const target = isAlias(node) ? node.resolve(into.document) : node;
  if (isMap(target)) {
    for (const pair of target.items) {
      if (!isScalar(pair.key) || typeof pair.key.value === 'symbol') continue;
      const key = String(pair.key.value);
      if (key === '<<') continue;
      note([...path, key], pair.key, into);
      collect(pair.value, [...path, key], into);
    }
  } else if (isSeq(target)) {
    target.items.forEach((item, index) => {
      note([...path, index], item, into);
      collect(item, [...path, index], into);
    });
  }
}

function note(path: ConfigPath, node: unknown, into: Collected): void {
  const range = (node as { range?: readonly [number, number, number] | null } | null)?.range;
  if (!range) return;
  into.positions.set(formatPath(path), {
    file: into.file,
    line: into.lines.linePos(range[0]).line,
  });
}

function readBytes(file: string): Buffer {
  const stats = statSync(file);
  if (stats.isDirectory()) throw new ConfigFileError(`${file} is a folder, not a file`);
  if (stats.size > largestFile)
    throw new ConfigFileError(`${file} is larger than ${largestFile} bytes`);
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new ConfigFileError(`${file} cannot be read`, { cause });
  }
}

function textOf(bytes: Buffer, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ConfigFileError(`${file} cannot be read as UTF-8 text`, { cause });
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ConfigFileError(
      code === 'ENOENT' ? `${path} does not exist` : `${path} cannot be read`,
      { cause },
    );
  }
}

function isPlain(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
