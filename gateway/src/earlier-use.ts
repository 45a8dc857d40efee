import { budgetWindow } from '@aigateway/contract/duration';
import type { Limits, LimitScope, ScopeKind } from '@aigateway/contract/limits';
import { modelScopeKind, pairId } from '@aigateway/contract/limits';
import { isHolder, type Catalogue, type SingleRecord } from '@aigateway/contract/snapshot';
import { entryFor } from '@aigateway/contract/wildcard';
import type { KeyRecord } from '@aigateway/contract/records';
import { spendOnModels } from '@aigateway/control-plane/spend/models';
import { currentSpend } from '@aigateway/control-plane/spend/current';
import { chunksOf } from '@aigateway/control-plane/store/chunks';
import type { Dimension } from '@aigateway/control-plane/store/ledger';
import { dayOf, hourMs } from '@aigateway/control-plane/store/usage-sums';
import type { BudgetCalendar, EarlierUse } from '@aigateway/control-plane/usage/budget-keeper';
import type { Store } from '@aigateway/control-plane/store/store';

export type EarlierUseInput = {
  /** Keys, customers and tags: most holders of budgets. */
  readonly records: AsyncIterable<SingleRecord> | Iterable<SingleRecord>;
  /** Calendar, and the budgets of deployments, of all customers and of the whole gateway. */
  readonly catalogue: Pick<Catalogue, 'deployments' | 'settings'>;
  readonly store: Pick<Store, 'entities' | 'ledger'>;
  readonly nowMs: number;
};

/** What the ledger sums the spend of each kind of holder by. Those that are not here have no budgets, or such as {@link spendOnModels} knows of. */
const dimensions: { readonly [kind in ScopeKind]?: Dimension } = {
  api_key: 'key',
  user: 'user',
  team: 'team',
  team_member: 'member',
  organization: 'organization',
  end_user: 'customer',
  tag: 'tag',
  model_per_key: 'key_model',
  deployment: 'deployment',
  global: 'all',
};

/** A holder with a budget, and the ids of its dimension that count towards it: its own, unless it stands for several. */
type Holder = { readonly kind: ScopeKind; readonly id: string; readonly parts: Set<string> };

/** Holders whose budget windows began at the same time: a few questions to the ledger. */
type Question = {
  readonly kind: ScopeKind;
  readonly window: string | undefined;
  readonly startMs: number | undefined;
  readonly holders: Map<string, Holder>;
};

/**
 * What was spent of every budget's present window, and how many requests holders of a limit in total had, as far as the ledger knows: so
 * that a restart, a Redis that lost its data, or a limit that a holder is given later hands out nothing anew. To the hour: an hour in
 * which a window began counts whole.
 */
export async function earlierUse(input: EarlierUseInput): Promise<EarlierUse[]> {
  const { store, nowMs } = input;
  const { customerLimits } = input.catalogue.settings;
  const questions = new Questions(input);
  const customersApart = new Set<string>();
  const ofOwners = new OwnersModels(input);
  for await (const record of input.records) {
    if (!isHolder(record)) {
      for (const scope of [...record.scopes, ...(record.chargedScopes ?? [])]) {
        questions.add(scope, scope.limits);
        ofOwners.add(scope);
      }
      await addModels(questions, record, store.ledger, nowMs);
    } else if (record.limits !== undefined) {
      questions.add(record, record.limits);
      if (record.kind === 'end_user') customersApart.add(record.id);
    }
  }
  const { globalScope } = input.catalogue.settings;
  if (globalScope !== undefined) questions.add(globalScope, globalScope.limits);
  for (const { id, scopes = [] } of input.catalogue.deployments) {
    for (const scope of scopes) questions.add(scope, scope.limits, id);
  }
  if (customerLimits?.budgets !== undefined) {
    const toDay = dayOf(nowMs);
    const days = await store.ledger.activity({ dimension: 'customer', fromDay: firstDay, toDay });
    for (const id of new Set(days.map((row) => row.id))) {
      if (!customersApart.has(id)) questions.add({ kind: 'end_user', id }, customerLimits);
    }
  }

  const from = {
    ledger: store.ledger,
    findResets: async (ids: readonly string[]) =>
      new Map(
        (await store.entities.getMany('spend_reset', ids)).map(({ id, document }) => [
          id,
          document,
        ]),
      ),
  };
  const used: EarlierUse[] = await usedRequests(questions.inTotal, store.ledger, nowMs);
  used.push(...(await ofOwners.used()));
  for (const { kind, window, startMs, holders } of questions.all()) {
    const dimension = dimensions[kind];
    if (dimension === undefined) continue;
    const ids = new Set([...holders.values()].flatMap(({ parts }) => [...parts]));
    const sums = await currentSpend(from, dimension, [...ids], startMs);
    for (const { id, parts } of holders.values()) {
      const usedNanoUsd = [...parts].reduce((sum, part) => sum + (sums.get(part) ?? 0), 0);
      if (usedNanoUsd === 0) continue;
      used.push({
        kind,
        id,
        usedNanoUsd,
        ...(window !== undefined && { window }),
        ...(startMs !== undefined && { startMs }),
      });
    }
  }
  return used;
}

/** Requests of keys that have a limit of them in total. */
async function usedRequests(
  keyIds: readonly string[],
  ledger: Store['ledger'],
  nowMs: number,
): Promise<EarlierUse[]> {
  const toDay = dayOf(nowMs);
  const used: EarlierUse[] = [];
  for await (const ids of chunksOf(keyIds, keysAtOnce)) {
    const asked = { dimension: 'key', ids, fromDay: firstDay, toDay, over: 'days' } as const;
    for (const { id, sums } of await ledger.activity(asked))
      used.push({ kind: 'api_key', id, requestsInTotal: sums.requests });
  }
  return used;
}

class Questions {
  /** Keys whose requests in total are limited. */
  readonly inTotal: string[] = [];
  readonly #input: EarlierUseInput;
  readonly #found = new Map<string, Question>();

  constructor(input: EarlierUseInput) {
    this.#input = input;
  }

  all(): Iterable<Question> {
    return this.#found.values();
  }

  /** @param part - an id that counts towards the holder; more may */
  add(
    { kind, id }: Pick<LimitScope, 'kind' | 'id'>,
    { budgets = [], requestsInTotal }: Limits,
    part: string = id,
  ): void {
    if (kind === 'api_key' && requestsInTotal !== undefined) this.inTotal.push(id);
    for (const { window } of budgets) {
      const { holders } = this.#question(kind, window);
      let holder = holders.get(id);
      if (holder === undefined) holders.set(id, (holder = { kind, id, parts: new Set() }));
      holder.parts.add(kind === 'global' ? 'all' : part);
    }
  }

  #question(kind: ScopeKind, window: string | undefined): Question {
    const name = `${kind} ${window ?? ''}`;
    let question = this.#found.get(name);
    if (question !== undefined) return question;
    const startMs = startOf(window, this.#input);
    question = { kind, window, startMs, holders: new Map() };
    this.#found.set(name, question);
    return question;
  }
}

/** When the present window of a budget began. */
function startOf(
  window: string | undefined,
  { catalogue, nowMs }: EarlierUseInput,
): number | undefined {
  if (window === undefined) return undefined;
  const { timezone, budgetResetTime } = catalogue.settings;
  return budgetWindow(nowMs, window, timezone, budgetResetTime).startMs;
}

/** Budgets of teams and users for models, each asked for once, however many keys stand under it. */
class OwnersModels {
  readonly #input: EarlierUseInput;
  readonly #found = new Map<string, LimitScope>();

  constructor(input: EarlierUseInput) {
    this.#input = input;
  }

  add(scope: LimitScope): void {
    if (scope.modelLimits !== undefined) this.#found.set(`${scope.kind} ${scope.id}`, scope);
  }

  async used(): Promise<EarlierUse[]> {
    const { store, nowMs } = this.#input;
    const used: EarlierUse[] = [];
    for (const { kind, id, modelLimits = {} } of this.#found.values()) {
      const ofModel = modelScopeKind(kind);
      const owner = dimensions[kind];
      if (ofModel === undefined || owner === undefined) continue;
      const entries = Object.keys(modelLimits);
      for (const [entry, { budgets = [] }] of Object.entries(modelLimits)) {
        const isMeant = (model: string) => entryFor(entries, model) === entry;
        for (const { window } of budgets) {
          const startMs = startOf(window, this.#input);
          const spent = { owner, id, isMeant, startMs, nowMs };
          const usedNanoUsd = await spendOnModels(store.ledger, spent);
          if (usedNanoUsd === 0) continue;
          used.push({
            kind: ofModel,
            id: pairId(id, entry),
            usedNanoUsd,
            ...(window !== undefined && { window }),
            ...(startMs !== undefined && { startMs }),
          });
        }
      }
    }
    return used;
  }
}

const firstDay = '1970-01-01';

/** The ledger is asked about so many together. */
const keysAtOnce = 5000;

/** Budgets of a key for models. What a pattern allows was spent under the names that it stands for. */
async function addModels(
  questions: Questions,
  { keyId, modelLimits }: KeyRecord,
  ledger: Store['ledger'],
  nowMs: number,
): Promise<void> {
  const limited = Object.entries(modelLimits).filter(([, { budgets }]) => budgets !== undefined);
  if (limited.length === 0) return;
  const hasPattern = limited.some(([entry]) => entry.includes('*'));
  const entries = Object.keys(modelLimits);
  const used = hasPattern
    ? await ledger.activity({
        dimension: 'key',
        ids: [keyId],
        by: 'model',
        fromDay: firstDay,
        toDay: dayOf(nowMs),
      })
    : [];
  for (const [entry, limits] of limited) {
    const scope = { kind: 'model_per_key' as const, id: pairId(keyId, entry) };
    questions.add(scope, limits, pairId(keyId, entry));
    for (const { byId: model } of used) {
      if (model !== undefined && entryFor(entries, model) === entry) {
        questions.add(scope, limits, pairId(keyId, model));
      }
    }
  }
}

/**
 * What of it is not too much for a window that goes on: the ledger's sums are to the hour, which is little of a day and may be all of a
 * window of minutes.
 */
export function isNearlyExact(use: EarlierUse, calendar: BudgetCalendar): boolean {
  if ('requestsInTotal' in use || use.window === undefined || use.startMs === undefined)
    return true;
  if (use.startMs % hourMs === 0) return true;
  const { timezone, budgetResetTime } = calendar;
  const { startMs, endMs } = budgetWindow(use.startMs, use.window, timezone, budgetResetTime);
  return endMs - startMs > 12 * hourMs;
}
