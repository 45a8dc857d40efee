import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { describeStore } from './store-conformance.ts';

describeStore('SQLite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-sqlite-'));
  const path = join(folder, 'store.sqlite');
  const store = await createSqliteStore({ path });
  return {
    store,
    another: () => createSqliteStore({ path }),
    dump: async () =>
      readdirSync(folder)
        .map((file) => readFileSync(join(folder, file), 'latin1'))
        .join('\n'),
    close: async () => {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
});
