/** A program that uses the store as the gateway does: imported lazily, so that it stands in a file of its own. */
const { createSqliteStore } = await import('../../src/store/sqlite/sqlite-store.ts');

const store = await createSqliteStore({ path: ':memory:' });
const at = '2026-11-26T00:00:00.000Z';
await store.entities.write([
  {
    kind: 'settings',
    id: 'router',
    document: {
      section: 'router',
      values: { answer: 42 },
      created_at: at,
      created_by: 'test',
      updated_at: at,
      updated_by: 'test',
    },
  },
]);
const stored = await store.entities.get('settings', 'router');
await store.close();
process.stdout.write(JSON.stringify(stored?.document.values));
