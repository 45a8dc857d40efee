import { noTokens, type LedgerEvent, type UsageRecord } from '@aigateway/contract/usage';
import fc from 'fast-check';
import type { Dimension } from '../../src/store/ledger.ts';
import { dimensions, isBrokenDown } from '../../src/store/usage-sums.ts';
import type { Store } from '../../src/store/store.ts';
import {
  auditEntry,
  budgetDocument,
  customerDocument,
  dayMs,
  hourMs,
  keyDocument,
  noon,
  tagDocument,
  teamDocument,
  usageRecord,
} from '../conformance/documents.ts';

/** What a store is filled with. */
export type Content = {
  readonly keys: readonly {
    readonly id: string;
    readonly alias: string | null;
    readonly team: string;
  }[];
  readonly usage: readonly (readonly UsageRecord[])[];
  /** What is said of a change, in any characters. */
  readonly words: readonly string[];
};

const teams = ['team-a', 'team "b" \\ \u2028'];
const keyIds = ['key-1', 'key-2', 'key/3 ü', 'k'.repeat(1_300)];

const anyRecord: fc.Arbitrary<UsageRecord> = fc
  .record({
    requestId: fc.uuid(),
    keyId: fc.constantFrom(...keyIds),
    teamId: fc.constantFrom(...teams),
    userId: fc.constantFrom('user-1', 'user-2', undefined),
    customerId: fc.constantFrom('end\u0000user', undefined),
    tags: fc.subarray(['x', 'y z']),
    model: fc.constantFrom('gpt-5', 'gpt-4o'),
    startedAt: fc.integer({ min: noon - 2 * dayMs, max: noon + 2 * dayMs }),
    costNanoUsd: fc.nat(1_000_000),
    outcome: fc.constantFrom('completed' as const, 'failed' as const),
    corrects: fc.constantFrom(undefined, undefined, undefined, 'resp_1', 'resp 2/ü'),
  })
  .map((members) =>
    usageRecord({ ...members, ...(members.corrects !== undefined && { tokens: noTokens }) }),
  );

const anyWords = fc.string({ unit: 'grapheme', maxLength: 40 });

export const anyContent: fc.Arbitrary<Content> = fc.record({
  keys: fc
    .uniqueArray(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 8 }), {
      minLength: 1,
      maxLength: 8,
    })
    .map((names) =>
      names.map((name, at) => ({
        id: `id-${name}`,
        alias: at % 3 === 0 ? null : `alias ${name}`,
        team: teams[at % 2] ?? '',
      })),
    ),
  usage: fc.array(fc.array(anyRecord, { minLength: 1, maxLength: 12 }), {
    minLength: 1,
    maxLength: 3,
  }),
  words: fc.array(anyWords, { maxLength: 4 }),
});

/** Fills a store as a control plane would: each change with its record, usage in batches of several producers. */
export async function populate({ entities, ledger }: Store, content: Content): Promise<void> {
  for (const { id, alias, team } of content.keys) {
    const document = keyDocument(id, {
      key_alias: alias,
      team_id: team,
      secrets: [{ hash: hashOf(id), name: 'sk-...abcd', not_after: null }],
    });
    await entities.write([{ kind: 'key', id, document }], auditEntry({ objectId: id }));
  }
  for (const team of teams) {
    await entities.write([{ kind: 'team', id: team, document: teamDocument(team) }], auditEntry());
  }
  for (const [at, words] of content.words.entries()) {
    const id = `customer-${at}`;
    await entities.write(
      [
        { kind: 'customer', id, document: customerDocument(id, { alias: words }) },
        {
          kind: 'tag',
          id: `tag-${at}`,
          document: tagDocument(`tag-${at}`, { description: words }),
        },
        { kind: 'budget', id: `budget-${at}`, document: budgetDocument(`budget-${at}`) },
      ],
      auditEntry({ objectId: words, actor: words, after: { words } }),
    );
    // What was removed is not to come back.
    await entities.write(
      [{ kind: 'budget', id: `budget-${at}`, document: undefined }],
      auditEntry(),
    );
  }
  for (const [at, records] of content.usage.entries()) {
    await ledger.append(producerOf(at), eventsOf(records));
  }
}

export function producerOf(at: number): string {
  return `producer ${at} ü`;
}

export function eventsOf(records: readonly UsageRecord[]): LedgerEvent[] {
  return records.map((record, at) => ({ sequence: at + 1, record }));
}

function hashOf(id: string): string {
  return Buffer.from(id.padEnd(32, '.')).toString('hex').slice(0, 64);
}

const everyDay = { fromDay: '1970-01-01', toDay: '9999-12-31' };

/** All that the ports tell of what was put in: the same for two stores that hold the same. */
export async function answersOf(store: Store, content: Content): Promise<unknown> {
  const { entities, ledger, audit } = store;
  const answers: unknown[] = [];
  for (const { id, team } of content.keys) {
    const byHash = await entities.find('key', { where: { hash: hashOf(id) }, limit: 9 });
    answers.push(byHash.rows.map((row) => [row.id, row.document]));
    answers.push(await entities.count('key', { team_id: team }));
  }
  const ids: { readonly [dimension in Dimension]?: readonly string[] } = {
    key: keyIds,
    team: teams,
    all: ['all'],
    model: ['gpt-5', 'gpt-4o'],
    member: ['team-a:user-1'],
    customer: ['end\u0000user'],
  };
  for (const [dimension, of] of Object.entries(ids) as [Dimension, string[]][]) {
    for (const fromMs of [undefined, noon, noon - dayMs - 5 * hourMs]) {
      const spend = await ledger.spend({
        dimension,
        ids: of,
        ...(fromMs !== undefined && { fromMs }),
      });
      answers.push([...spend].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    }
    for (const by of dimensions.filter((other) => isBrokenDown(dimension, other))) {
      answers.push(await ledger.activity({ dimension, ids: of, by, ...everyDay }));
    }
  }
  for (const dimension of dimensions)
    answers.push(await ledger.activity({ dimension, ...everyDay }));
  const { rows } = await ledger.logs({ limit: 1000 });
  answers.push(rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)));
  for (const at of content.usage.keys()) answers.push(await ledger.mark(producerOf(at)));
  answers.push(await audit.from(1, 1000));
  // As JSON, which has no members that are undefined.
  return JSON.parse(JSON.stringify(answers));
}
