/** A program that writes to the SQLite store in the file it is given, and prints the ledger's mark each time, until it is killed. */
import { createSqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { auditEntry, keyDocument, usageRecord } from './documents.ts';

const store = await createSqliteStore({ path: process.argv[2] ?? ':memory:' });
const record = usageRecord({ keyId: 'endless', costNanoUsd: 1 });
for (let mark = await store.ledger.mark('writer'); ;) {
  const id = `endless-${mark}`;
  const events = Array.from({ length: 20 }, (_, at) => ({ sequence: mark + at + 1, record }));
  const [next] = await Promise.all([
    store.ledger.append('writer', events),
    store.entities.write(
      [
        { kind: 'key', id: `${id}-a`, document: keyDocument(id) },
        { kind: 'key', id: `${id}-b`, document: keyDocument(id) },
      ],
      auditEntry(),
    ),
  ]);
  mark = next;
  process.stdout.write(`${mark}\n`);
}
