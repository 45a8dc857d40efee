import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { JsonObject } from '@aigateway/contract/records';
import { describe, expect, it } from 'vitest';
import { auditStates } from '../../src/audit/entry.ts';
import { verify, type AuditRecord } from '../../src/store/audit.ts';
import type { Kind } from '../../src/store/documents.ts';
import { indexes } from '../../src/store/entities.ts';
import type { Store } from '../../src/store/store.ts';
import { openStore } from './open-store.ts';

/** Answers after which each process is killed: whatever is under way then is left as it is. */
const kills = [2, 20, 45];

/**
 * What every store promises of changes and their records when the process that makes them is killed.
 *
 * @param create - makes an empty store and tells its place, see `openStore`
 */
export function describeKills(
  name: string,
  create: () => Promise<{ place: string; close(): Promise<void> }>,
): void {
  describe(`${name}: killed`, () => {
    it('has exactly one record of each change that the management API made', async () => {
      const subject = await create();
      try {
        let answered = 0;
        for (const [at, after] of kills.entries()) {
          answered += await answersOfKilled(subject.place, `run-${at}`, after);
        }
        const store = await openStore(subject.place);
        try {
          expect(await verify(store.audit)).toMatchObject({ intact: true });
          const records = await allRecords(store);
          expect(records.length).toBeGreaterThanOrEqual(answered);
          expect(new Set(records.map(({ requestId }) => requestId)).size).toBe(records.length);
          expect(replay(records)).toEqual(await allStates(store));
        } finally {
          await store.close();
        }
      } finally {
        await subject.close();
      }
    });
  });
}

/** @returns how many calls were answered before the kill */
async function answersOfKilled(place: string, name: string, after: number): Promise<number> {
  const program = join(import.meta.dirname, 'endless-manager.ts');
  const child = spawn(process.execPath, [program, place, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let answers = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    answers += String(chunk).split('\n').length - 1;
    if (answers >= after) child.kill('SIGKILL');
  });
  const [, signal] = (await once(child, 'close')) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
  return answers;
}

async function allRecords({ audit }: Store): Promise<AuditRecord[]> {
  const records: AuditRecord[] = [];
  for (;;) {
    const page = await audit.from(records.length + 1, 1000);
    if (page.length === 0) return records;
    records.push(...page);
  }
}

/** What stands in the store, in the words of the audit. */
async function allStates({ entities }: Store): Promise<Map<string, unknown>> {
  const states = new Map<string, unknown>();
  for (const kind of Object.keys(indexes) as Kind[]) {
    for await (const { id, document } of entities.all(kind)) {
      const { after } = auditStates([{ kind, id, before: undefined, after: document }]);
      for (const [place, state] of Object.entries(after ?? {})) states.set(place, state);
    }
  }
  return states;
}

/** What the records say that must stand in the store. Each must begin where those before it ended. */
function replay(records: readonly AuditRecord[]): Map<string, unknown> {
  const states = new Map<string, JsonObject>();
  for (const { before, after } of records) {
    for (const place of Object.keys({ ...before, ...after })) {
      const from = before?.[place] as JsonObject | undefined;
      const to = after?.[place] as JsonObject | undefined;
      const state = states.get(place);
      expect({ place, wasThere: state !== undefined }).toEqual({
        place,
        wasThere: from !== undefined,
      });
      expect(state ?? {}).toMatchObject(from ?? {});
      if (to === undefined) states.delete(place);
      else states.set(place, { ...without(state ?? {}, from ?? {}), ...to });
    }
  }
  return states;
}

function without(state: JsonObject, gone: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(state).filter(([name]) => !(name in gone)));
}
