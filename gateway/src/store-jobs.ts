import { countKeys, keysReportText } from '@aigateway/control-plane/manage/keys-report';
import type { Kind } from '@aigateway/control-plane/store/documents';
import type { Stored } from '@aigateway/control-plane/store/entities';
import type { Store } from '@aigateway/control-plane/store/store';
import type { Command } from './command-line.ts';
import { importFromLitellm } from './import-litellm.ts';
import { reseal, resealLines } from './reseal.ts';
import type { RoleInput } from './roles.ts';
import { sealerOf } from './sealer.ts';
import { openStore, storePlace, targetPlace } from './store-place.ts';
import { backUp, copyStore, restore } from './store-transfer.ts';

export type StoreJobInput = Pick<RoleInput, 'configuration' | 'environment' | 'secret'>;

/** What a job says to the operator. */
export type StoreJobResult = {
  readonly lines: readonly string[];
  /** False when something was left undone that matters. */
  readonly isWhole: boolean;
};

/**
 * Does to the store what the command line asks for.
 *
 * @throws {StoreUnavailableError} when a data base cannot be reached
 */
export async function runStoreJob(
  command: Pick<Command, 'import' | 'reseal' | 'copy' | 'backup' | 'restore' | 'keys'>,
  input: StoreJobInput,
): Promise<StoreJobResult> {
  const { configuration, environment } = input;
  const place = storePlace(configuration.compiled.server, environment);
  const sealer = sealerOf(input);
  if (command.copy !== undefined) {
    return copyStore(place, targetPlace(environment), sealer, command.copy);
  }
  if (command.backup !== undefined) return backUp(place, command.backup, sealer);
  if (command.restore !== undefined) {
    return restore(command.restore.file, place, sealer, command.restore.action);
  }
  const store = await openStore(place);
  try {
    if (command.import !== undefined) {
      const lines = await importFromLitellm(store, input, command.import);
      return { lines, isWhole: true };
    }
    if (command.keys !== undefined) {
      return { lines: [await keysReport(store)], isWhole: true };
    }
    const action = command.reseal ?? 'plan';
    const report = await reseal(store.entities, sealer, action);
    return { lines: resealLines(report, action), isWhole: report.lost.length === 0 };
  } finally {
    await store.close();
  }
}

async function keysReport({ entities, ledger }: Store): Promise<string> {
  return keysReportText(await countKeys(documents(entities.all('key')), ledger, Date.now()));
}

async function* documents<K extends Kind>(rows: AsyncIterable<Stored<K>>) {
  for await (const { document } of rows) yield document;
}
