import { createHash } from 'node:crypto';
import { canonicalJson, type AuditRecord } from '../audit.ts';
import type { Documents, Kind } from '../documents.ts';
import { indexes } from '../entities.ts';
import type { LedgerLine } from '../ledger.ts';
import type { Store } from '../store.ts';
import { transferKind } from './unfinished.ts';

type EntityLine = {
  readonly [K in Kind]: {
    readonly is: 'entity';
    readonly kind: K;
    readonly id: string;
    readonly document: Documents[K];
  };
}[Kind];

/** What a store holds, in lines that a store of any kind can take in. Each says how one thing is. */
export type StoreLine =
  | EntityLine
  | { readonly is: 'audit'; readonly record: AuditRecord }
  | LedgerLine;

const kinds = (Object.keys(indexes) as Kind[]).filter((kind) => kind !== transferKind);
const auditPage = 500;

/** Everything: entities, the chain of the audit, usage. Little of it is in memory at a time. */
export async function* linesOf({
  entities,
  audit,
  ledger,
}: Pick<Store, 'entities' | 'audit' | 'ledger'>): AsyncGenerator<StoreLine> {
  for (const kind of kinds) {
    for await (const { id, document } of entities.all(kind)) {
      yield { is: 'entity', kind, id, document } as EntityLine;
    }
  }
  for (let next = 1; ;) {
    const records = await audit.from(next, auditPage);
    for (const record of records) yield { is: 'audit', record };
    const newest = records.at(-1);
    if (!newest) break;
    next = newest.sequence + 1;
  }
  yield* ledger.all();
}

/** What lines add up to. */
export type Tally = {
  /** Lines by kind of entity, and `audit`, `usage`, `day`, `hour`, `correction`, `mark`. */
  readonly counts: { readonly [name: string]: number };
  /** Requests and nano-USD of all sums of days. */
  readonly requests: number;
  readonly costNanoUsd: number;
  /** Of all lines in any order: the sum of their SHA-256, 64 hexadecimal digits. */
  readonly digest: string;
};

/** Adds up lines as they pass. */
export class LineTally {
  readonly #counts = new Map<string, number>();
  #digest = 0n;
  #requests = 0;
  #costNanoUsd = 0;

  add(line: StoreLine): void {
    const name = line.is === 'entity' ? line.kind : line.is;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    const hash = createHash('sha256')
      .update(canonicalJson(comparable(line)))
      .digest('hex');
    this.#digest = BigInt.asUintN(256, this.#digest + BigInt(`0x${hash}`));
    if (line.is !== 'day' || line.dimension !== 'all') return;
    this.#requests += line.sums.requests;
    this.#costNanoUsd += line.sums.costNanoUsd;
  }

  result(): Tally {
    return {
      counts: Object.fromEntries([...this.#counts].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      requests: this.#requests,
      costNanoUsd: this.#costNanoUsd,
      digest: this.#digest.toString(16).padStart(64, '0'),
    };
  }
}

/** What stores of all kinds keep of a line: of an hour its cost. */
function comparable(line: StoreLine): unknown {
  if (line.is !== 'hour') return line;
  const { sums, ...rest } = line;
  return { ...rest, costNanoUsd: sums.costNanoUsd };
}

/** Adds up all of a store. */
export async function tallyOf(lines: AsyncIterable<StoreLine>): Promise<Tally> {
  const tally = new LineTally();
  for await (const line of lines) tally.add(line);
  return tally.result();
}
