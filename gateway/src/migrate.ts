import type { Environment } from '@aigateway/contract/environment-config';
import type { CosmosOptions } from '@aigateway/control-plane/store/cosmos/connection';
import { namedStore } from './store-place.ts';

/** What is done to the schema of a store: `rollback` takes back the steps after a number. */
export type Migration =
  | { readonly action: 'status' | 'plan' | 'apply' }
  | { readonly action: 'rollback'; readonly to: number };

/**
 * Reads `status`, `plan`, `apply` or `rollback:N`.
 *
 * @throws {TypeError} for anything else
 */
export function parseMigration(text: string): Migration {
  if (text === 'status' || text === 'plan' || text === 'apply') return { action: text };
  const to = /^rollback:(\d+)$/.exec(text)?.[1];
  if (to !== undefined) return { action: 'rollback', to: Number(to) };
  throw new TypeError(`--migrate must be status, plan, apply or rollback:N, found "${text}"`);
}

/**
 * Does it, as a job of its own: a gateway never changes the schema of a database that others use.
 *
 * @returns lines for the operator: one for each step that is there, would be made, was made, or was taken back
 * @throws {Error} when no database is named, it cannot be reached, or has no steps to take back
 */
export async function migrate(migration: Migration, environment: Environment): Promise<string[]> {
  const place = namedStore(environment);
  if (!place || place.kind === 'sqlite') {
    throw new Error(
      'neither DATABASE_URL nor COSMOS_ENDPOINT is set: only the schema of PostgreSQL and Cosmos DB is changed by a job',
    );
  }
  return place.kind === 'cosmos'
    ? migrateCosmos(migration, place.options)
    : migratePostgres(migration, place.connectionString);
}

async function migratePostgres(migration: Migration, connectionString: string): Promise<string[]> {
  const { createPostgresMigrator } =
    await import('@aigateway/control-plane/store/postgres/postgres-migrator');
  const migrator = await createPostgresMigrator({ connectionString });
  try {
    const steps =
      migration.action === 'rollback'
        ? await migrator.rollback(migration.to)
        : await migrator[migration.action]();
    return steps.length === 0
      ? ['Nothing to do.']
      : steps.map(({ id, name, appliedAt }) => {
          const made = appliedAt === null ? 'not made' : new Date(appliedAt).toISOString();
          return `${String(id).padStart(4, '0')} ${name}: ${made}`;
        });
  } finally {
    await migrator.close();
  }
}

/** Its documents have no schema in the database: the steps are its containers. */
async function migrateCosmos({ action }: Migration, options: CosmosOptions): Promise<string[]> {
  const { cosmosContainers, createCosmosContainers } =
    await import('@aigateway/control-plane/store/cosmos/containers');
  if (action === 'rollback') {
    throw new Error('Cosmos DB has no steps to take back: remove the database to begin anew');
  }
  if (action === 'apply') {
    const made = await createCosmosContainers(options);
    return made.length === 0 ? ['Nothing to do.'] : made.map((name) => `${name}: made`);
  }
  const containers = await cosmosContainers(options);
  const shown = action === 'plan' ? containers.filter(({ isThere }) => !isThere) : containers;
  if (shown.length === 0) return ['Nothing to do.'];
  return shown.map(({ name, isThere }) => `${name}: ${isThere ? 'there' : 'not made'}`);
}
