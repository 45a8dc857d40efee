import type { Command } from './command-line.ts';
import { importFromLitellm } from './import-litellm.ts';
import { reseal, resealLines } from './reseal.ts';
import type { RoleInput } from './roles.ts';
import { sealerOf } from './sealer.ts';
import { openStore, storePlace } from './store-place.ts';

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
  command: Pick<Command, 'import' | 'reseal'>,
  input: StoreJobInput,
): Promise<StoreJobResult> {
  const { configuration, environment } = input;
  const store = await openStore(storePlace(configuration.compiled.server, environment));
  try {
    if (command.import !== undefined) {
      const lines = await importFromLitellm(store, input, command.import);
      return { lines, isWhole: true };
    }
    const action = command.reseal ?? 'plan';
    const report = await reseal(store.entities, sealerOf(input), action);
    return { lines: resealLines(report, action), isWhole: report.lost.length === 0 };
  } finally {
    await store.close();
  }
}
