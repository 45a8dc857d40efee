import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { budgetRow, budgetsOf, holdersBudget } from '../budgets/service.ts';
import { proxyError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { inertFields } from '../http/fields.ts';
import { withFields } from '../http/limits.ts';
import { put, remove } from '../http/view.ts';
import { nanoUsdOf, spenders, spentBy } from '../spend/sums.ts';
import type { CustomerDocument } from '../store/documents.ts';
import type { Change } from '../store/entities.ts';
import { customerBody } from './schema.ts';

type CustomerBody = z.output<typeof customerBody>;

const blank = {
  alias: null,
  blocked: false,
  default_model: null,
  allowed_model_region: null,
  models: [],
} satisfies Partial<CustomerDocument>;

export async function createCustomer(call: Call, body: CustomerBody): Promise<Outcome> {
  if ((await call.view.get('customer', body.user_id)) !== undefined) {
    throw proxyError(
      400,
      'bad_request',
      `Customer already exists, passed user_id=${body.user_id}. Please pass a new user_id.`,
      'user_id',
    );
  }
  return writeCustomer(call, freshCustomer(call, body.user_id), body);
}

export async function updateCustomer(call: Call, body: CustomerBody): Promise<Outcome> {
  return writeCustomer(call, await requireCustomer(call, body.user_id), body);
}

async function writeCustomer(
  call: Call,
  current: CustomerDocument,
  sent: CustomerBody,
): Promise<Outcome> {
  const wanted = sent.budget_id === undefined ? current.budget_id : sent.budget_id;
  const { budgetId, changes } = await holdersBudget(call, wanted, sent);
  const next: CustomerDocument = {
    ...withFields<CustomerDocument>(current, blank, sent),
    budget_id: budgetId,
    inert: { ...current.inert, ...inertFields(customerBody, sent) },
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  if (sent.spend !== undefined && sent.spend !== null) {
    call.spend.reset('customer', next.user_id, nanoUsdOf(sent.spend));
  }
  const [row] = await customerRows(call, [next], changes);
  return { answer: row, changes: [put('customer', next.user_id, next), ...changes] };
}

export async function customerInfo(call: Call, userId: string): Promise<Outcome> {
  const made = await call.view.get('customer', userId);
  const [row] = await customerRows(call, [made ?? (await namedCustomer(call, userId))]);
  return { answer: made === undefined ? withoutRecord(row) : row };
}

export async function listCustomers(call: Call): Promise<Outcome> {
  const made: CustomerDocument[] = [];
  for await (const customer of call.view.all('customer')) made.push(customer);
  const known = new Set(made.map(({ user_id: id }) => id));
  const named = await spenders(call, 'customer', mostListedSpenders);
  const others = [...named].filter((id) => !known.has(id)).map((id) => freshCustomer(call, id));
  return {
    answer: [
      ...(await customerRows(call, made)),
      ...(await customerRows(call, others)).map(withoutRecord),
    ],
  };
}

/** Callers name customers as they like: those who are listed without having been made, at most; who spent the most. */
const mostListedSpenders = 1000;

/** One whom only calls have named was made at no time. */
function withoutRecord(row: JsonObject | undefined): JsonObject {
  return { ...row, created_at: null, updated_at: null };
}

export async function deleteCustomers(call: Call, userIds: readonly string[]): Promise<Outcome> {
  const found = [...(await call.view.getMany('customer', userIds)).keys()];
  if (found.length === 0) throw unknownCustomer(userIds.join(', '));
  return {
    answer: {
      deleted_customers: found.length,
      message: `Successfully deleted customers with ids: ${found.join(', ')}`,
    },
    changes: found.map((userId) => remove('customer', userId)),
  };
}

/** Customers who were never seen before can be blocked as well. */
export async function setCustomersBlocked(
  call: Call,
  userIds: readonly string[],
  blocked: boolean,
): Promise<Outcome> {
  const known = await call.view.getMany('customer', userIds);
  const next = [...new Set(userIds)].map((userId): CustomerDocument => ({
    ...(known.get(userId) ?? freshCustomer(call, userId)),
    blocked,
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  }));
  return {
    answer: { blocked_users: await customerRows(call, next) },
    changes: next.map((customer) => put('customer', customer.user_id, customer)),
  };
}

function freshCustomer(call: Call, userId: string): CustomerDocument {
  const at = timestamp(call);
  return {
    ...blank,
    user_id: userId,
    budget_id: null,
    inert: {},
    created_at: at,
    created_by: call.actor.id,
    updated_at: at,
    updated_by: call.actor.id,
  };
}

async function requireCustomer(call: Call, userId: string): Promise<CustomerDocument> {
  return (await call.view.get('customer', userId)) ?? namedCustomer(call, userId);
}

/** One whom only calls that cost money have named: it has no record before it is changed. */
async function namedCustomer(call: Call, userId: string): Promise<CustomerDocument> {
  const spent = await call.ledger.spend({ dimension: 'customer', ids: [userId] });
  if (!spent.has(userId)) throw unknownCustomer(userId);
  return freshCustomer(call, userId);
}

function unknownCustomer(userId: string): Error {
  return proxyError(404, 'not_found', `End User Id=${userId} does not exist in db`, 'end_user_id');
}

async function customerRows(
  call: Call,
  customers: readonly CustomerDocument[],
  written: readonly Change[] = [],
): Promise<JsonObject[]> {
  const budgetOf = await budgetsOf(call, customers, written);
  const spent = await spentBy(
    call,
    'customer',
    customers.map((customer) => ({
      id: customer.user_id,
      window: budgetOf(customer)?.budget_duration ?? null,
    })),
  );
  return customers.map((customer) => {
    const budget = budgetOf(customer);
    return {
      user_id: customer.user_id,
      alias: customer.alias,
      blocked: customer.blocked,
      spend: spent(customer.user_id).spend,
      allowed_model_region: customer.allowed_model_region,
      default_model: customer.default_model,
      models: [...customer.models],
      budget_id: customer.budget_id,
      litellm_budget_table: budget === undefined ? null : budgetRow(call, budget),
      object_permission: customer.inert['object_permission'] ?? null,
      created_at: customer.created_at,
      updated_at: customer.updated_at,
    };
  });
}
