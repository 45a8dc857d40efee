import { configure } from '@aigateway/contract/compile';
import { formatPath } from '@aigateway/contract/config-problems';
import type { JsonObject } from '@aigateway/contract/records';
import { openLitellmDatabase } from '@aigateway/control-plane/import/litellm-database';
import { createLitellmOpener } from '@aigateway/control-plane/import/litellm-secret';
import {
  importLines,
  importLitellm,
  type ImportAction,
} from '@aigateway/control-plane/import/litellm';
import type { Store } from '@aigateway/control-plane/store/store';
import { sealerOf } from './sealer.ts';
import type { StoreJobInput } from './store-jobs.ts';

/**
 * Takes over what a LiteLLM proxy keeps in the PostgreSQL that `LITELLM_DATABASE_URL` names. Its secrets are opened with
 * `LITELLM_IMPORT_SALT_KEY`, `LITELLM_SALT_KEY` or, as LiteLLM does without one, the master key.
 *
 * @returns lines for the operator
 * @throws {Error} when no data base is named; {StoreUnavailableError} when one cannot be reached
 */
export async function importFromLitellm(
  to: Store,
  input: StoreJobInput,
  action: ImportAction,
): Promise<string[]> {
  const { configuration, environment } = input;
  const connectionString = environment['LITELLM_DATABASE_URL']?.trim();
  if (!connectionString)
    throw new Error('LITELLM_DATABASE_URL is not set: it names the data base to import from');
  if (connectionString === environment['DATABASE_URL']?.trim())
    throw new Error('LITELLM_DATABASE_URL and DATABASE_URL are the same: give us one of our own');
  const keys = ['LITELLM_IMPORT_SALT_KEY', 'LITELLM_SALT_KEY', 'LITELLM_MASTER_KEY'].flatMap(
    (name) => environment[name] || [],
  );
  const { server, records } = configuration.compiled;
  const from = await openLitellmDatabase(connectionString);
  try {
    const report = await importLitellm(
      {
        from,
        to,
        open: createLitellmOpener(keys),
        sealer: sealerOf(input),
        calendar: records.settings,
        nowMs: Date.now(),
        vaults: server.apiKeyVaults,
        problemsOf: (model, credentials) => problemsOf(model, credentials, environment),
      },
      action,
    );
    return importLines(report, action);
  } finally {
    await from.close();
  }
}

/** Why a model of a configuration could not be used; the credentials beside it are those of the same data base. */
function problemsOf(
  model: JsonObject,
  credentials: readonly JsonObject[],
  environment: StoreJobInput['environment'],
): string[] {
  const { problems } = configure(
    { model_list: [model], credential_list: credentials },
    { ...environment, AZURE_OPENAI_URL: undefined, AIGATEWAY_ROLE: 'control-plane' },
  );
  return problems.flatMap(({ path, message }) =>
    path[0] === 'model_list' ? [`${formatPath(path.slice(2))} ${message}`] : [],
  );
}
