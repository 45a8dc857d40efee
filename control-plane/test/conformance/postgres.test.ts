import { afterAll, beforeAll, describe } from 'vitest';
import { createPostgresMigrator } from '../../src/store/postgres/postgres-migrator.ts';
import { createPostgresStore } from '../../src/store/postgres/postgres-store.ts';
import {
  postgresBinaries,
  startPostgres,
  type PostgresServer,
} from '../servers/postgres-server.ts';
import { describeInterruption } from './interruption-conformance.ts';
import { describeStore } from './store-conformance.ts';

describe.skipIf(!(await postgresBinaries()))('with a server', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  async function create() {
    const connectionString = await server.createDatabase();
    const database = connectionString.slice(connectionString.lastIndexOf('/') + 1);
    const migrator = await createPostgresMigrator({ connectionString });
    await migrator.apply();
    await migrator.close();
    const store = await createPostgresStore({ connectionString });
    return {
      store,
      another: () => createPostgresStore({ connectionString }),
      dump: async () => {
        const rows = await server.query(
          `select query_to_xml('select * from ' || quote_ident(table_name), true, false, '')::text as content
           from information_schema.tables where table_schema = 'public'`,
          database,
        );
        return rows.map(({ content }) => String(content)).join('\n');
      },
      interrupt: async () => {
        await server.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database}'`,
        );
      },
      close: () => store.close(),
    };
  }

  describeStore('PostgreSQL', create);
  describeInterruption('PostgreSQL', create);
});
