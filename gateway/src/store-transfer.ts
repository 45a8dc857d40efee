import { existsSync } from 'node:fs';
import type { JsonObject } from '@aigateway/contract/records';
import { mapTexts } from '@aigateway/contract/sealed-secrets';
import type { Sealer } from '@aigateway/contract/sealer';
import { jobEntry } from '@aigateway/control-plane/audit/job-entry';
import type { Store, StoreSnapshot } from '@aigateway/control-plane/store/store';
import {
  backupLines,
  readBackup,
  writeBackup,
} from '@aigateway/control-plane/store/transfer/backup-file';
import {
  checkTarget,
  fillStore,
  TransferError,
  type Filled,
} from '@aigateway/control-plane/store/transfer/fill';
import {
  linesOf,
  tallyOf,
  type StoreLine,
  type Tally,
} from '@aigateway/control-plane/store/transfer/lines';
import manifest from '../package.json' with { type: 'json' };
import type { StoreJobResult } from './store-jobs.ts';
import { openSnapshot, openStore, openTarget, placeName, type StorePlace } from './store-place.ts';

/** `plan` reads and checks all that `apply` would, and writes nothing. */
export type TransferAction = 'plan' | 'apply';

/**
 * Copies a store into an empty one of any kind and verifies what arrived.
 *
 * @throws {TransferError} when the target is not empty, or does not hold what was sent
 * @throws {StoreChangedError} when Cosmos DB was written to meanwhile
 */
export async function copyStore(
  from: StorePlace,
  to: StorePlace,
  sealer: Sealer,
  action: TransferAction,
): Promise<StoreJobResult> {
  const name = placeName(from);
  if (name === placeName(to)) {
    throw new TransferError('source and target are the same store');
  }
  const secrets = new SecretCheck(sealer);
  await using source = disposable(await openSnapshot(from));
  if (action === 'plan') {
    await planTarget(to, name);
    const tally = await tallyOf(secrets.checked(linesOf(source.store)));
    return {
      lines: [
        `From ${name} to ${placeName(to)}, which is empty:`,
        ...tallyLines(tally),
        ...secrets.lines(),
      ],
      isWhole: secrets.isWhole,
    };
  }
  const before = await standingOf(source.store);
  await using target = disposable(await openTarget(to));
  const filled = await fillStore(
    target.store,
    {
      name,
      lines: () => secrets.checked(linesOf(source.store)),
      confirm: () => source.store.confirm(),
    },
    (tally) =>
      jobEntry({
        action: 'copied',
        objectId: name,
        option: '--copy',
        result: { source: name, ...tally },
      }),
  );
  const lines = [`Copied from ${name} to ${placeName(to)}:`, ...filledLines(filled)];
  await using later = disposable(await openSnapshot(from));
  if ((await standingOf(later.store)) !== before) {
    lines.push(
      'The source was written to since the copy began, and that is not in the target. To move a store, stop its control planes and copy into an empty target.',
    );
  }
  return result(lines, filled, secrets);
}

/**
 * Writes a store into a file, and into its audit that it did.
 *
 * @throws {TransferError} when there is such a file
 */
export async function backUp(
  place: StorePlace,
  file: string,
  sealer: Sealer,
): Promise<StoreJobResult> {
  if (existsSync(file)) throw new TransferError(`${file} is there already: name another`);
  const secrets = new SecretCheck(sealer);
  await using source = disposable(await openSnapshot(place));
  const checked = { ...source.store, entities: secrets.checkedEntities(source.store.entities) };
  const { tally } = await writeBackup(checked, file, manifest.version, async (content) => {
    await using store = disposable(await openStore(place));
    const { sha256 } = content;
    const entry = jobEntry({
      action: 'backed_up',
      objectId: placeName(place),
      option: '--backup',
      result: { sha256, ...content.tally },
    });
    await store.store.entities.write([], entry);
  });
  return {
    lines: [`Backed up ${placeName(place)} to ${file}:`, ...tallyLines(tally), ...secrets.lines()],
    isWhole: secrets.isWhole,
  };
}

/**
 * Brings a backup into an empty store of any kind and verifies what arrived. The file is read through first: of one that was cut or
 * changed nothing is taken.
 *
 * @throws {TransferError} when it is no whole backup of this schema, or the store is not empty or does not hold what was sent
 */
export async function restore(
  file: string,
  to: StorePlace,
  sealer: Sealer,
  action: TransferAction,
): Promise<StoreJobResult> {
  const secrets = new SecretCheck(sealer);
  const { header, tally, sha256 } = await readBackup(file, (line) => secrets.see(line));
  const name = `backup ${sha256}`;
  const of = `the backup of ${header.begunAt} (${header.kind}, release ${header.release})`;
  if (action === 'plan') {
    await planTarget(to, name);
    return {
      lines: [
        `${file}, ${of}, is whole, and ${placeName(to)} is empty:`,
        ...tallyLines(tally),
        ...secrets.lines(),
      ],
      isWhole: secrets.isWhole,
    };
  }
  await using target = disposable(await openTarget(to));
  const filled = await fillStore(
    target.store,
    { name, lines: () => backupLines(file), confirm: () => Promise.resolve() },
    (given) =>
      jobEntry({
        action: 'restored',
        objectId: name,
        option: '--restore',
        result: { ...header, sha256, ...given },
      }),
  );
  return result([`Restored ${of} into ${placeName(to)}:`, ...filledLines(filled)], filled, secrets);
}

/** @throws {TransferError} when the store may not be filled */
async function planTarget(to: StorePlace, sourceName: string): Promise<void> {
  // Opening it would make it.
  if (to.kind === 'sqlite' && !existsSync(to.path)) return;
  await using target = disposable(await openTarget(to));
  await checkTarget(target.store, sourceName);
}

function result(lines: string[], filled: Filled, secrets: SecretCheck): StoreJobResult {
  return {
    lines: [...lines, ...secrets.lines()],
    isWhole: secrets.isWhole && filled.brokenAudit === undefined,
  };
}

/** What changes with all that is written: the newest record of the audit, and the sums of all usage. */
async function standingOf({ audit, ledger }: StoreSnapshot): Promise<string> {
  const [newest] = await audit.list({ limit: 1 });
  const everyDay = { fromDay: '1970-01-01', toDay: '9999-12-31' };
  return JSON.stringify([newest?.hash, await ledger.activity({ dimension: 'all', ...everyDay })]);
}

function disposable<S extends Store>(store: S): { readonly store: S } & AsyncDisposable {
  return { store, [Symbol.asyncDispose]: () => store.close() };
}

/** Secrets are carried as they are sealed: whether the keys of this process open them is looked at as they pass. */
class SecretCheck {
  readonly #sealer: Sealer;
  #opened = 0;
  readonly #lost: string[] = [];

  constructor(sealer: Sealer) {
    this.#sealer = sealer;
  }

  get isWhole(): boolean {
    return this.#lost.length === 0;
  }

  see(line: StoreLine): void {
    if (line.is === 'entity') this.#see(line.kind, line.id, line.document);
  }

  async *checked(lines: AsyncIterable<StoreLine>): AsyncGenerator<StoreLine> {
    for await (const line of lines) {
      this.see(line);
      yield line;
    }
  }

  checkedEntities(entities: Store['entities']): Store['entities'] {
    const see = this.#see.bind(this);
    return {
      ...entities,
      async *all(kind) {
        for await (const stored of entities.all(kind)) {
          see(kind, stored.id, stored.document);
          yield stored;
        }
      },
    };
  }

  lines(): string[] {
    if (this.isWhole)
      return [`${this.#opened} secrets of upstreams, which the keys of this process open.`];
    return [
      `No key of this process opens the secrets of ${this.#lost.length} entries, which are carried as they are:`,
      ...this.#lost.map((name) => `  ${name}`),
      'The gateway that works with them needs the LITELLM_SALT_KEY (or AIGATEWAY_SECRET) that sealed them.',
    ];
  }

  #see(kind: string, id: string, document: object): void {
    if (kind !== 'model' && kind !== 'credential') return;
    let lost = false;
    mapTexts(document as JsonObject, (text) => {
      if (!this.#sealer.isSealed(text)) return text;
      if (this.#sealer.unseal(text) === undefined) lost = true;
      else this.#opened += 1;
      return text;
    });
    if (lost) this.#lost.push(`${kind} ${id}`);
  }
}

const labels: { readonly [name: string]: string } = {
  audit: 'records of the audit',
  usage: 'single records of usage',
  day: 'sums of days',
  hour: 'sums of hours',
  correction: 'corrections',
  mark: 'producers',
};

function tallyLines({ counts, requests, costNanoUsd, digest }: Tally): string[] {
  return [
    ...Object.entries(counts).map(([name, count]) => `  ${labels[name] ?? name}: ${count}`),
    `  in all ${requests} requests, ${(costNanoUsd / 1e9).toFixed(6)} USD`,
    `  digest ${digest}`,
  ];
}

function filledLines(filled: Filled): string[] {
  const { brokenAudit } = filled;
  return [
    ...tallyLines(filled),
    'The target was read again: it holds all of it, and nothing else.',
    brokenAudit === undefined
      ? 'The chain of the audit is whole.'
      : `The chain of the audit is broken at record ${brokenAudit}. It is so in the source: somebody changed it there.`,
  ];
}
