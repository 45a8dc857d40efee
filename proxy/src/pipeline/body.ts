import type { JsonObject } from '@aigateway/contract/records';
import type { Member, Scan } from '../operations/scan.ts';

/**
 * A caller's JSON body with pending edits of its top-level members.
 *
 * Nothing is parsed for an edit: the bytes between the edited members go upstream exactly as they came.
 */
export class BodyEdit {
  readonly #bytes: Buffer;
  readonly #scan: Scan;
  /** Made with the first edit: most bodies have none. */
  #edits: { set: Map<string, string>; removed: Set<string> } | undefined;

  constructor(bytes: Buffer, scan: Scan) {
    this.#bytes = bytes;
    this.#scan = scan;
  }

  /** @param json - the new value as JSON text */
  set(name: string, json: string): void {
    const { set, removed } = this.#begun();
    removed.delete(name);
    set.set(name, json);
  }

  remove(name: string): void {
    const { set, removed } = this.#begun();
    set.delete(name);
    if (this.#scan.members.has(name)) removed.add(name);
  }

  /** The body with its edits; the very same buffer when there are none. */
  bytes(): Buffer {
    if (this.#edits === undefined) return this.#bytes;
    const { set, removed } = this.#edits;
    if (set.size === 0 && removed.size === 0) return this.#bytes;
    const replaced = [...set].filter(([name]) => this.#scan.members.has(name));
    return removed.size === 0 && replaced.length === set.size
      ? this.#splice(replaced)
      : this.#rebuild(set, removed);
  }

  #begun(): { set: Map<string, string>; removed: Set<string> } {
    return (this.#edits ??= { set: new Map(), removed: new Set() });
  }

  /** Only values change: everything else, white space included, stays as it is. */
  #splice(replaced: [string, string][]): Buffer {
    const spans = replaced
      .map(([name, json]) => ({ member: this.#scan.members.get(name) as Member, json }))
      .toSorted((a, b) => a.member.valueStart - b.member.valueStart);
    const parts: Buffer[] = [];
    let from = 0;
    for (const { member, json } of spans) {
      parts.push(this.#bytes.subarray(from, member.valueStart), Buffer.from(json));
      from = member.end;
    }
    parts.push(this.#bytes.subarray(from));
    return Buffer.concat(parts);
  }

  /** Members come or go: they are put together anew from their bytes, in their order. */
  #rebuild(set: ReadonlyMap<string, string>, removed: ReadonlySet<string>): Buffer {
    const parts: Buffer[] = [Buffer.from('{')];
    const separate = () => parts.length > 1 && parts.push(Buffer.from(','));
    for (const [name, member] of this.#scan.members) {
      if (removed.has(name)) continue;
      separate();
      const json = set.get(name);
      if (json === undefined) parts.push(this.#bytes.subarray(member.start, member.end));
      else parts.push(this.#bytes.subarray(member.start, member.valueStart), Buffer.from(json));
    }
    for (const [name, json] of set) {
      if (this.#scan.members.has(name)) continue;
      separate();
      parts.push(Buffer.from(`${JSON.stringify(name)}:${json}`));
    }
    parts.push(Buffer.from('}'));
    return Buffer.concat(parts);
  }
}

/** Reads one top-level value; undefined when it is absent or not JSON. */
export function memberValue(bytes: Buffer, scan: Scan, name: string): unknown {
  const member = scan.members.get(name);
  if (member === undefined) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8', member.valueStart, member.end)) as unknown;
  } catch {
    return undefined;
  }
}

/** Parses a whole body; undefined when what lies inside it is not valid JSON. */
export function parseBody(bytes: Buffer): JsonObject | undefined {
  try {
    return JSON.parse(bytes.toString()) as JsonObject;
  } catch {
    return undefined;
  }
}
