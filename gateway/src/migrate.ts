import type { Environment } from '@aigateway/contract/environment-config';
import { createPostgresMigrator } from '@aigateway/control-plane/store/postgres/postgres-migrator';

/** What is done to the schema of a PostgreSQL store: `rollback` takes back the steps after a number. */
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
 * @throws {Error} when no database is named, or it cannot be reached
 */
export async function migrate(migration: Migration, environment: Environment): Promise<string[]> {
  const connectionString = environment['DATABASE_URL']?.trim();
  if (!connectionString)
    throw new Error('DATABASE_URL is not set: only a PostgreSQL store is migrated by a job');
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
