import type { JsonObject } from '@aigateway/contract/records';
import type { LedgerEvent, UsageRecord } from '@aigateway/contract/usage';
import { nanoUsdOf } from '../spend/sums.ts';
import type { Dimension, LedgerSums } from '../store/ledger.ts';
import { noSums, sumNames, sumsOf } from '../store/usage-sums.ts';
import type { LitellmTable } from './litellm-database.ts';
import { numberOf, optionalText, textOf } from './litellm-documents.ts';
import { type CarriedSum, keyOfHash, sumRecord } from './litellm-sum.ts';

type Owner = 'userId' | 'teamId' | 'organizationId' | 'customerId' | 'tag';

/** One of LiteLLM's tables of sums by day, and what it is about. */
export type DailyTable = {
  readonly table: LitellmTable;
  readonly column: string;
  readonly owner: Owner;
  /** Every request is in the users' table once, with its key and model; the others have some of them once more. */
  readonly countsIn: readonly Dimension[];
};

export const dailyTables: readonly DailyTable[] = [
  {
    table: 'LiteLLM_DailyUserSpend',
    column: 'user_id',
    owner: 'userId',
    countsIn: ['user', 'key', 'model', 'key_model', 'all'],
  },
  {
    table: 'LiteLLM_DailyTeamSpend',
    column: 'team_id',
    owner: 'teamId',
    countsIn: ['team'],
  },
  {
    table: 'LiteLLM_DailyOrganizationSpend',
    column: 'organization_id',
    owner: 'organizationId',
    countsIn: ['organization'],
  },
  {
    table: 'LiteLLM_DailyEndUserSpend',
    column: 'end_user_id',
    owner: 'customerId',
    countsIn: ['customer'],
  },
  {
    table: 'LiteLLM_DailyTagSpend',
    column: 'tag',
    owner: 'tag',
    countsIn: ['tag'],
  },
];

/** Sums of one owner, key and model on a day. */
type Cell = { readonly named: CarriedSum['named']; readonly sums: LedgerSums };

/** Sums by owner, key and model, of one day. */
export class Cells {
  readonly #cells = new Map<string, Cell>();
  readonly #owner: Owner;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /** A request that stands by itself. */
  count(record: UsageRecord): void {
    const sums = sumsOf(record);
    if (this.#owner === 'tag') for (const tag of new Set(record.tags)) this.#add(tag, record, sums);
    else if (this.#owner === 'userId') this.#add(record.userId, record, sums);
    else if (record[this.#owner] !== undefined) this.#add(record[this.#owner], record, sums);
  }

  /** A row of LiteLLM's. */
  add(row: JsonObject, column: string): void {
    const named = {
      keyId: keyOfHash(textOf(row['api_key'])),
      model: optionalText(row['model_group']) ?? textOf(row['model']),
    };
    const owner = optionalText(row[column]) ?? undefined;
    if (owner === undefined && this.#owner !== 'userId') return;
    this.#add(owner, named, {
      requests: amountOf(row['api_requests']),
      failed: amountOf(row['failed_requests']),
      inputTokens: amountOf(row['prompt_tokens']),
      cachedInputTokens: amountOf(row['cache_read_input_tokens']),
      cacheWriteTokens: amountOf(row['cache_creation_input_tokens']),
      outputTokens: amountOf(row['completion_tokens']),
      reasoningTokens: 0,
      costNanoUsd: amountOf(row['spend'], nanoUsdOf),
    });
  }

  /**
   * What is here and not among those that are known one by one, in one order. A cell of which at least as many are known as are here is
   * known whole.
   */
  *beyond(known: Cells): Iterable<Cell> {
    for (const [name, { named, sums }] of [...this.#cells].toSorted(([a], [b]) =>
      a < b ? -1 : 1,
    )) {
      const counted = known.#cells.get(name)?.sums;
      if (counted !== undefined && counted.requests >= sums.requests) continue;
      const rest = { ...sums };
      for (const member of sumNames)
        rest[member] = Math.max(0, rest[member] - (counted?.[member] ?? 0));
      if (sumNames.some((member) => rest[member] > 0)) yield { named, sums: rest };
    }
  }

  #add(
    owner: string | undefined,
    { keyId, model }: { keyId: string; model: string },
    sums: LedgerSums,
  ): void {
    const name = JSON.stringify([owner ?? null, keyId, model]);
    let cell = this.#cells.get(name);
    if (cell === undefined) {
      cell = { named: { keyId, model, [this.#owner]: owner }, sums: { ...noSums } };
      this.#cells.set(name, cell);
    }
    for (const member of sumNames) cell.sums[member] += sums[member];
  }
}

/** Cells as events of one producer. They count from the beginning of their day: LiteLLM's sums know no hour. */
export function eventsOf(
  cells: Iterable<Cell>,
  { countsIn }: DailyTable,
  producer: string,
  day: string,
): LedgerEvent[] {
  return [...cells].map(({ named, sums }, index) => ({
    sequence: index + 1,
    record: sumRecord({
      requestId: `${producer}-${index + 1}`,
      atMs: Date.parse(day),
      countsIn,
      named,
      requests: sums.requests,
      failed: Math.min(sums.failed, sums.requests),
      tokens: {
        input: sums.inputTokens,
        cachedInput: sums.cachedInputTokens,
        cacheWrite: sums.cacheWriteTokens,
        output: sums.outputTokens,
      },
      costNanoUsd: sums.costNanoUsd,
    }),
  }));
}

function amountOf(value: JsonObject[string] | undefined, unit = Math.round): number {
  return Math.max(0, unit(numberOf(value)));
}
