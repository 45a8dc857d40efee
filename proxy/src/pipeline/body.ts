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
    return removed.size === 0 ? this.#splice(set) : this.#rebuild(set, removed);
  }

  #begun(): { set: Map<string, string>; removed: Set<string> } {
    return (this.#edits ??= { set: new Map(), removed: new Set() });
  }

  /** Values change and members come: those go before all others, and every byte that came stays as it is, white space included. */
  #splice(set: ReadonlyMap<string, string>): Buffer {
    const { members, open } = this.#scan;
    const replaced: { member: Member; json: string }[] = [];
    let added = '';
    for (const [name, json] of set) {
      const member = members.get(name);
      if (member !== undefined) replaced.push({ member, json });
      else added += `${added === '' ? '' : ','}${JSON.stringify(name)}:${json}`;
    }
    replaced.sort((a, b) => a.member.valueStart - b.member.valueStart);
    const parts: Buffer[] = [];
    let from = 0;
    if (added !== '') {
      parts.push(
        this.#bytes.subarray(0, open),
        Buffer.from(members.size > 0 ? `${added},` : added),
      );
      from = open;
    }
    for (const { member, json } of replaced) {
      parts.push(this.#bytes.subarray(from, member.valueStart), Buffer.from(json));
      from = member.end;
    }
    parts.push(this.#bytes.subarray(from));
    return Buffer.concat(parts);
  }

  /** Members go: the others are put together anew from their bytes, in their order. */
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
