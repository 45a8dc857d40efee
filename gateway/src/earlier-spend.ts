import { budgetWindow } from '@aigateway/contract/duration';
import type { ScopeKind } from '@aigateway/contract/limits';
import type { KeyRecord, SettingsRecord } from '@aigateway/contract/records';
import type { Dimension, Ledger } from '@aigateway/control-plane/store/ledger';
import type { EarlierSpend } from '@aigateway/proxy/stores/memory/limiter';

/** What the ledger sums spend by, for holders of budgets. It knows nothing of members of a team and single models of a key. */
const dimensions: { readonly [kind in ScopeKind]?: Dimension } = {
  api_key: 'key',
  user: 'user',
  team: 'team',
  organization: 'organization',
};

/** Holders whose budget windows began at the same time: one question to the ledger. */
type Question = {
  readonly kind: ScopeKind;
  readonly dimension: Dimension;
  readonly window: string | undefined;
  readonly startMs: number | undefined;
  readonly ids: Set<string>;
};

/**
 * What was spent of every budget's present window before this process began, so that a restart does not hand budgets out anew. To
 * the hour: an hour in which a window began counts whole.
 *
 * @param keys - their scopes are the holders of budgets
 */
export async function earlierSpend(
  keys: Iterable<KeyRecord>,
  settings: Pick<SettingsRecord, 'timezone' | 'budgetResetTime'>,
  ledger: Pick<Ledger, 'spend'>,
  nowMs: number,
): Promise<EarlierSpend[]> {
  const spent: EarlierSpend[] = [];
  for (const question of questions(keys, settings, nowMs)) {
    const { kind, dimension, window, startMs, ids } = question;
    const sums = await ledger.spend({
      dimension,
      ids: [...ids],
      ...(startMs !== undefined && { fromMs: startMs }),
    });
    for (const [id, usedNanoUsd] of sums) {
      spent.push({
        kind,
        id,
        usedNanoUsd,
        ...(window !== undefined && { window }),
        ...(startMs !== undefined && { startMs }),
      });
    }
  }
  return spent;
}

function questions(
  keys: Iterable<KeyRecord>,
  { timezone, budgetResetTime }: Pick<SettingsRecord, 'timezone' | 'budgetResetTime'>,
  nowMs: number,
): Iterable<Question> {
  const found = new Map<string, Question>();
  for (const { scopes } of keys) {
    for (const { kind, id, limits } of scopes) {
      const dimension = dimensions[kind];
      if (dimension === undefined) continue;
      for (const { window } of limits.budgets ?? []) {
        const name = `${kind} ${window ?? ''}`;
        let question = found.get(name);
        if (question === undefined) {
          const startMs =
            window === undefined
              ? undefined
              : budgetWindow(nowMs, window, timezone, budgetResetTime).startMs;
          question = { kind, dimension, window, startMs, ids: new Set() };
          found.set(name, question);
        }
        question.ids.add(id);
      }
    }
  }
  return found.values();
}
