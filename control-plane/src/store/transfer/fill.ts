import { canonicalJson, verify, type AuditEntry, type AuditRecord } from '../audit.ts';
import type { StoreTransferDocument } from '../documents.ts';
import type { Change } from '../entities.ts';
import type { LedgerLine } from '../ledger.ts';
import type { Store } from '../store.ts';
import { linesOf, LineTally, tallyOf, type StoreLine, type Tally } from './lines.ts';
import { transferId, transferKind, unfinishedTransfer } from './unfinished.ts';

/** Lines that are taken in together: a transaction, or a commit of Cosmos DB, of moderate size. */
const mostLines = 200;
const mostCharacters = 300_000;
/** Of usage, which is small and in no commit. */
const mostUsageLines = 1000;

/** The target is not as it has to be, or does not hold what it was given. */
export class TransferError extends Error {
  override readonly name = 'TransferError';
}

/** What lines come from. */
export type TransferSource = {
  /** Names it without secrets: who goes on with it later must name the same. */
  readonly name: string;
  readonly lines: () => AsyncIterable<StoreLine>;
  /** Asked once all lines were taken. @throws when they are not of one time, or not all */
  readonly confirm: () => Promise<void>;
};

/** What a store was filled with. */
export type Filled = Tally & {
  /** The first record of the audit that is not what was appended: it was so in the source. */
  readonly brokenAudit?: number;
};

/**
 * Whether a store may be filled: it is empty, or an earlier run from the same source did not come to its end, and this one does all of
 * it again.
 *
 * @throws {TransferError} when it may not
 */
export async function checkTarget(to: Store, sourceName: string): Promise<void> {
  const unfinished = await unfinishedTransfer(to);
  if (unfinished?.source === sourceName) return;
  if (unfinished) {
    throw new TransferError(
      `the target is being filled from ${unfinished.source} since ${unfinished.since}: run that again, or give an empty target`,
    );
  }
  for await (const _line of linesOf(to)) {
    throw new TransferError('the target is not empty: what is there would be mixed with it');
  }
}

/**
 * Fills an empty store and holds what it then has against what it was given: how many of each kind, a digest of all, the chain of the
 * audit. Until that is done the store says that it is unfinished. Lines say how things are, so a run that broke off is repeated from the
 * start over what it left.
 *
 * @param entryOf - the audit's record of it, which ends it
 * @throws {TransferError} when the target is not empty, or does not hold what it was given
 */
export async function fillStore(
  to: Store,
  source: TransferSource,
  entryOf: (tally: Tally) => AuditEntry,
): Promise<Filled> {
  await checkTarget(to, source.name);
  await begin(to, source.name);
  const given = new LineTally();
  const batch = new Batch(to);
  for await (const line of source.lines()) {
    given.add(line);
    await batch.add(line);
  }
  await batch.flush();
  await source.confirm();
  const tally = given.result();
  compare(tally, await tallyOf(linesOf(to)));
  const verdict = await verify(to.audit);
  await to.entities.write(
    [{ kind: transferKind, id: transferId, document: undefined }],
    entryOf(tally),
  );
  return { ...tally, ...(!verdict.intact && { brokenAudit: verdict.sequence }) };
}

async function begin({ entities }: Store, source: string): Promise<void> {
  const at = new Date().toISOString();
  const document: StoreTransferDocument = {
    source,
    created_at: at,
    created_by: 'command_line',
    updated_at: at,
    updated_by: 'command_line',
  };
  await entities.write([{ kind: transferKind, id: transferId, document }]);
}

/** @throws {TransferError} with the counts that differ */
function compare(given: Tally, there: Tally): void {
  if (canonicalJson(given) === canonicalJson(there)) return;
  const names = new Set([...Object.keys(given.counts), ...Object.keys(there.counts)]);
  const differing = [...names].flatMap((name) => {
    const [wanted, found] = [given.counts[name] ?? 0, there.counts[name] ?? 0];
    return wanted === found ? [] : [`${name}: ${found} instead of ${wanted}`];
  });
  const what = differing.length === 0 ? 'the digests differ' : differing.join(', ');
  throw new TransferError(
    `the target does not hold what it was given (${what}): begin again with an empty one`,
  );
}

/** Lines on their way into a store, some at a time. */
class Batch {
  readonly #to: Store;
  #changes: Change[] = [];
  #records: AuditRecord[] = [];
  #usage: LedgerLine[] = [];
  #characters = 0;

  constructor(to: Store) {
    this.#to = to;
  }

  async add(line: StoreLine): Promise<void> {
    if (line.is === 'entity') {
      const { kind, id, document } = line;
      this.#changes.push({ kind, id, document } as Change);
      this.#characters += JSON.stringify(document).length;
    } else if (line.is === 'audit') {
      this.#records.push(line.record);
      this.#characters += JSON.stringify(line.record).length;
    } else this.#usage.push(line);
    const isFull =
      this.#changes.length + this.#records.length >= mostLines ||
      this.#characters >= mostCharacters ||
      this.#usage.length >= mostUsageLines;
    if (isFull) await this.flush();
  }

  async flush(): Promise<void> {
    const { entities, audit, ledger } = this.#to;
    if (this.#changes.length > 0) await entities.write(this.#changes);
    if (this.#records.length > 0) await audit.load(this.#records);
    if (this.#usage.length > 0) await ledger.load(this.#usage);
    this.#changes = [];
    this.#records = [];
    this.#usage = [];
    this.#characters = 0;
  }
}
