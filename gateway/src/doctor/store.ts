import { stat } from 'node:fs/promises';
import { describeError } from '@aigateway/proxy/telemetry/logger';
import { storePlace, type StorePlace } from '../store-place.ts';
import { counted } from './configuration.ts';
import { about, type Check, type Finding } from './finding.ts';

/** Whether the store of a control plane can be reached, and has the schema of this release. */
export const checkStore: Check = {
  area: 'store',
  async run({ role, configuration, environment }) {
    if (role === 'proxy') return [];
    let place: StorePlace;
    try {
      place = storePlace(configuration.compiled.server, environment);
    } catch (error) {
      const { failed } = about('store', 'settings');
      return [failed((error as Error).message, 'Name one store, or none for a file.')];
    }
    switch (place.kind) {
      case 'sqlite':
        return [await ofSqlite(place.path)];
      case 'postgres':
        return [await ofPostgres(place.connectionString)];
      case 'cosmos':
        return [await ofCosmos(place)];
    }
  },
};

async function ofSqlite(path: string): Promise<Finding> {
  const { ok, failed } = about('store', path);
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  if (!isThere) return ok('will be made at the first start');
  const { missingSqliteMigrations } =
    await import('@aigateway/control-plane/store/sqlite/sqlite-status');
  try {
    const missing = missingSqliteMigrations(path);
    return missing.length === 0
      ? ok('has the schema of this release')
      : ok(`gets ${counted(missing.length, 'step')} of its schema at the next start`);
  } catch (error) {
    return failed(
      `cannot be read: ${wordsOf(error)}`,
      'Restore it from a backup, or let this user read it.',
    );
  }
}

async function ofPostgres(connectionString: string): Promise<Finding> {
  const subject = about('store', 'PostgreSQL');
  const { createPostgresMigrator } =
    await import('@aigateway/control-plane/store/postgres/postgres-migrator');
  try {
    const migrator = await createPostgresMigrator({ connectionString, statementTimeoutMs: 5_000 });
    try {
      return ofSchema(
        subject,
        (await migrator.status())
          .filter(({ appliedAt }) => appliedAt === null)
          .map(({ name }) => name),
      );
    } finally {
      await migrator.close();
    }
  } catch (error) {
    return subject.failed(
      `cannot be used: ${wordsOf(error)}`,
      'Look at DATABASE_URL: host, port, user, password, data base and sslmode.',
    );
  }
}

async function ofCosmos({ options }: Extract<StorePlace, { kind: 'cosmos' }>): Promise<Finding> {
  const subject = about('store', options.endpoint);
  const { cosmosContainers } = await import('@aigateway/control-plane/store/cosmos/containers');
  try {
    const containers = await cosmosContainers(options);
    return ofSchema(
      subject,
      containers.filter(({ isThere }) => !isThere).map(({ name }) => name),
    );
  } catch (error) {
    return subject.failed(
      `cannot be used: ${wordsOf(error)}`,
      'Look at COSMOS_ENDPOINT, and at COSMOS_KEY or the role of the identity (Cosmos DB Built-in Data Contributor).',
    );
  }
}

/** @param missing - steps or containers that are not there */
function ofSchema({ ok, failed }: ReturnType<typeof about>, missing: readonly string[]): Finding {
  return missing.length === 0
    ? ok('can be reached, and has the schema of this release')
    : failed(`lacks ${missing.join(', ')}`, 'Run: npm start -- --migrate apply');
}

/** A store says by its cause what the driver said. */
function wordsOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return describeError(cause ?? error).message;
}
