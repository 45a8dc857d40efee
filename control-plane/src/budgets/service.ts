import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { detailError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { inertFields } from '../http/fields.ts';
import { budgetResetAt, checkWindows, noLimits, withFields } from '../http/limits.ts';
import { put, remove } from '../http/view.ts';
import type { BudgetDocument } from '../store/documents.ts';
import type { Change } from '../store/entities.ts';
import { newBody } from './schema.ts';

type NewBody = z.output<typeof newBody>;

export async function createBudget(call: Call, body: NewBody): Promise<Outcome> {
  const budgetId = body.budget_id ?? randomUUID();
  if ((await call.view.get('budget', budgetId)) !== undefined) {
    throw detailError(400, { error: `Budget id ${budgetId} already exists.` });
  }
  const budget = newBudget(call, budgetId, body);
  return { answer: budgetRow(call, budget), changes: [put('budget', budgetId, budget)] };
}

export async function updateBudget(
  call: Call,
  body: NewBody & { budget_id: string },
): Promise<Outcome> {
  const next = changedBudget(call, await requireBudget(call, body.budget_id), body);
  return { answer: budgetRow(call, next), changes: [put('budget', next.budget_id, next)] };
}

export async function budgetInfo(call: Call, ids: readonly string[]): Promise<Outcome> {
  const budgets = await call.view.getMany('budget', ids);
  return { answer: [...budgets.values()].map((budget) => budgetRow(call, budget)) };
}

export async function listBudgets(call: Call): Promise<Outcome> {
  const rows: JsonObject[] = [];
  for await (const budget of call.view.all('budget')) rows.push(budgetRow(call, budget));
  return { answer: rows };
}

/** What a form for a budget shows. */
export async function budgetSettings(call: Call, budgetId: string): Promise<Outcome> {
  const budget = await requireBudget(call, budgetId);
  const fields = [
    ['max_budget', 'Float', 'US dollars; calls are refused beyond'],
    ['budget_duration', 'String', 'Window after which the budget begins anew'],
    ['soft_budget', 'Float', 'US dollars; only tells'],
    ['max_parallel_requests', 'Integer', 'Calls in flight'],
    ['tpm_limit', 'Integer', 'Tokens in a minute'],
    ['rpm_limit', 'Integer', 'Requests in a minute'],
  ] as const;
  return {
    answer: fields.map(([name, type, description]) => ({
      field_name: name,
      field_type: type,
      field_description: description,
      field_value: budget[name],
      stored_in_db: true,
      field_default_value: null,
    })),
  };
}

export async function deleteBudget(call: Call, budgetId: string): Promise<Outcome> {
  const budget = await requireBudget(call, budgetId);
  const users = await Promise.all([
    call.view.count('key', { budget_id: budgetId }),
    call.view.count('customer', { budget_id: budgetId }),
    call.view.count('tag', { budget_id: budgetId }),
    call.view.count('organization', { budget_id: budgetId }),
    call.view.count('team_membership', { budget_id: budgetId }),
    call.view.count('team', { member_budget_id: budgetId }),
  ]);
  if (users.some((used) => used > 0)) {
    throw detailError(400, {
      error:
        'The budget is in use by a key, customer, tag, organization or team member. Deleting it would leave them without a limit.',
    });
  }
  return { answer: budgetRow(call, budget), changes: [remove('budget', budgetId)] };
}

/** The budget that an organization, a customer or a team's members have for themselves: made or changed with its holder. */
export async function holdersBudget(
  call: Call,
  budgetId: string | null | undefined,
  sent: object,
): Promise<{ budgetId: string | null; changes: Change[] }> {
  const hasLimits = Object.entries(sent).some(
    ([name, value]) => name in noLimits && value !== undefined && value !== null,
  );
  if (budgetId === null || budgetId === undefined) {
    if (!hasLimits) return { budgetId: null, changes: [] };
    const made = newBudget(call, randomUUID(), sent);
    return { budgetId: made.budget_id, changes: [put('budget', made.budget_id, made)] };
  }
  const current = await requireBudget(call, budgetId);
  const isChanged = Object.keys(sent).some((name) => name in noLimits);
  if (!isChanged) return { budgetId, changes: [] };
  return { budgetId, changes: [put('budget', budgetId, changedBudget(call, current, sent))] };
}

/** The budgets of several holders, as they stand and as this call is about to write them. */
export async function budgetsOf(
  call: Call,
  holders: readonly { readonly budget_id: string | null }[],
  written: readonly Change[] = [],
): Promise<(holder: { readonly budget_id: string | null }) => BudgetDocument | undefined> {
  const budgets = new Map(
    await call.view.getMany(
      'budget',
      holders.flatMap(({ budget_id }) => budget_id ?? []),
    ),
  );
  for (const change of written) {
    if (change.kind === 'budget' && change.document !== undefined)
      budgets.set(change.id, change.document);
  }
  return ({ budget_id }) => budgets.get(budget_id ?? '');
}

export function newBudget(call: Call, budgetId: string, sent: object): BudgetDocument {
  const at = timestamp(call);
  const fresh: BudgetDocument = {
    ...noLimits,
    budget_id: budgetId,
    budget_reset_at: null,
    inert: {},
    created_at: at,
    created_by: call.actor.id,
    updated_at: at,
    updated_by: call.actor.id,
  };
  return changedBudget(call, fresh, sent);
}

function changedBudget(call: Call, budget: BudgetDocument, sent: object): BudgetDocument {
  const next = {
    ...withFields<BudgetDocument>(budget, noLimits, sent),
    inert: { ...budget.inert, ...inertFields(newBody, sent) },
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  checkWindows(next);
  return next;
}

async function requireBudget(call: Call, budgetId: string): Promise<BudgetDocument> {
  const budget = await call.view.get('budget', budgetId);
  if (budget === undefined) throw detailError(404, { error: `Budget ${budgetId} not found.` });
  return budget;
}

export function budgetRow(call: Call, budget: BudgetDocument): JsonObject {
  const { inert: kept, budget_limits, ...rest } = budget;
  return {
    ...rest,
    budget_limits: budget_limits === null ? null : [...budget_limits],
    tpd_limit: null,
    budget_reset_at: budgetResetAt(budget.budget_duration, call),
    allowed_models: kept['allowed_models'] ?? [],
    temp_budget_increase: kept['temp_budget_increase'] ?? null,
    temp_budget_expiry: kept['temp_budget_expiry'] ?? null,
  };
}
