import type { JsonObject } from '@aigateway/contract/records';
import type { Call, Outcome } from '../http/call.ts';
import { keyStatus } from '../keys/row.ts';
import { chunksOf } from '../store/chunks.ts';
import type { KeyDocument } from '../store/documents.ts';
import type { Ledger } from '../store/ledger.ts';

const dayMs = 86_400_000;

/** The ledger is asked about so many together. */
const keysAtOnce = 500;

/** Upper ends of the stretches that ages are counted by, in days. */
const stretches = [7, 30, 90, 365] as const;

type Counts = Map<string, number>;

/** How many keys there are, in all and by name of what they have in common; the most first. */
export type KeysReport = {
  readonly keys: number;
  readonly status: JsonObject;
  /** Since it was made. */
  readonly age: JsonObject;
  readonly owner: JsonObject;
  /** Since the last request. */
  readonly last_use: JsonObject;
};

/** The report as the management API gives it. */
export async function keysReport(call: Call, format: 'json' | 'text'): Promise<Outcome> {
  const report = await countKeys(call.view.all('key'), call.ledger, call.now);
  return format === 'json'
    ? { answer: report }
    : { answer: keysReportText(report), contentType: 'text/plain' };
}

/** An inventory that shows what nobody looks after. */
export async function countKeys(
  all: AsyncIterable<KeyDocument>,
  ledger: Pick<Ledger, 'lastUse'>,
  now: number,
): Promise<KeysReport> {
  const status: Counts = new Map();
  const age: Counts = new Map();
  const owner: Counts = new Map();
  const lastUse: Counts = new Map();
  let keys = 0;
  for await (const some of chunksOf(all, keysAtOnce)) {
    keys += some.length;
    const ids = some.map(({ key_id }) => key_id);
    const lastUsed = await ledger.lastUse('key', ids);
    for (const key of some) {
      add(status, keyStatus(key, now));
      add(age, stretchOf(now - Date.parse(key.created_at)));
      add(owner, ownerOf(key));
      const used = lastUsed.get(key.key_id);
      add(lastUse, used === undefined ? 'never' : stretchOf(now - used));
    }
  }
  return {
    keys,
    status: sorted(status),
    age: sorted(age),
    owner: sorted(owner),
    last_use: sorted(lastUse),
  };
}

function ownerOf({ team_id: team, user_id: user }: KeyDocument): string {
  if (team !== null) return `team ${team}`;
  return user === null ? 'nobody' : `user ${user}`;
}

function stretchOf(ms: number): string {
  const within = stretches.find((days) => ms < days * dayMs);
  return within === undefined ? `over ${stretches.at(-1)} days` : `under ${within} days`;
}

function add(counts: Counts, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** The most first, then by name. */
function sorted(counts: Counts): JsonObject {
  return Object.fromEntries(
    [...counts].toSorted(([one, many], [other, more]) => more - many || (one < other ? -1 : 1)),
  );
}

/** The report as a table for people. */
export function keysReportText({ keys, ...parts }: KeysReport): string {
  const lines = Object.entries(parts).flatMap(([part, counts]) => [
    '',
    part.replace('_', ' '),
    ...Object.entries(counts as { [name: string]: number }).map(
      ([name, count]) => `${String(count).padStart(8)}  ${name}`,
    ),
  ]);
  return [`${String(keys).padStart(8)}  keys`, ...lines, ''].join('\n');
}
