import { pairId } from '@aigateway/contract/limits';
import type { ActivityRow, Dimension, Ledger } from '../store/ledger.ts';
import { dayOf } from '../store/usage-sums.ts';

const dayMs = 86_400_000;

export type ModelSpendQuery = {
  /** What models and keys are summed by, such as `team`. */
  readonly owner: Dimension;
  readonly id: string;
  readonly isMeant: (model: string) => boolean;
  /** Rounded down to the hour; undefined = since the beginning. */
  readonly startMs: number | undefined;
  readonly nowMs: number;
};

/**
 * What an owner of keys has spent on some models since a time, in nano-USD. The ledger has an owner's models by day; of a day that the
 * time lies in the middle of it is what the owner's keys of that day have spent on them from then on. A key that changed its owner on
 * that very day counts for both.
 */
export async function spendOnModels(
  ledger: Pick<Ledger, 'spend' | 'activity'>,
  query: ModelSpendQuery,
): Promise<number> {
  const { owner, id, isMeant, startMs = 0, nowMs } = query;
  const intoDayMs = startMs % dayMs;
  const wholeFromMs = intoDayMs === 0 ? startMs : startMs - intoDayMs + dayMs;
  const byModel = { dimension: owner, ids: [id], by: 'model', over: 'days' } as const;
  const wholeDays = await ledger.activity({
    ...byModel,
    fromDay: dayOf(wholeFromMs),
    toDay: dayOf(Math.max(wholeFromMs, nowMs)),
  });
  const spent = sumOf(meant(wholeDays, isMeant));
  if (intoDayMs === 0) return spent;

  const day = { fromDay: dayOf(startMs), toDay: dayOf(startMs) };
  const ofFirstDay = meant(await ledger.activity({ ...byModel, ...day }), isMeant);
  if (ofFirstDay.length === 0) return spent;
  const keys = await ledger.activity({ ...byModel, ...day, by: 'key' });
  const pairs = keys.flatMap(({ byId: key }) =>
    ofFirstDay.flatMap(({ byId: model }) =>
      key === undefined || model === undefined ? [] : [pairId(key, model)],
    ),
  );
  const since = async (fromMs: number) => {
    const sums = await ledger.spend({ dimension: 'key_model', ids: pairs, fromMs });
    return sums.values().reduce((sum, one) => sum + one, 0);
  };
  const ofKeys = (await since(startMs)) - (await since(wholeFromMs));
  return spent + Math.min(ofKeys, sumOf(ofFirstDay));
}

function meant(
  rows: readonly ActivityRow[],
  isMeant: ModelSpendQuery['isMeant'],
): readonly ActivityRow[] {
  return rows.filter(({ byId: model }) => model !== undefined && isMeant(model));
}

function sumOf(rows: readonly ActivityRow[]): number {
  return rows.reduce((sum, { sums }) => sum + sums.costNanoUsd, 0);
}
