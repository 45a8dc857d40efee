import * as z from 'zod';
import { policies, route } from '../http/route.ts';
import * as schema from './schema.ts';
import {
  createCustomer,
  customerInfo,
  deleteCustomers,
  listCustomers,
  setCustomersBlocked,
  updateCustomer,
} from './service.ts';

const both = (path: string) => [`/customer/${path}`, `/end_user/${path}`];
const blockedAnswer = z.object({ blocked_users: z.array(schema.customerRow) });

export const customerRoutes = [
  route({
    method: 'post',
    paths: both('new'),
    summary: 'Makes a customer: an end user whom callers name in requests',
    policy: policies.admin,
    effect: { action: 'created', kind: 'customer' },
    body: schema.customerBody,
    answer: schema.customerRow,
    handle: ({ body }, call) => createCustomer(call, body),
  }),
  route({
    method: 'post',
    paths: both('update'),
    summary: 'Changes the fields that are sent',
    policy: policies.admin,
    effect: { action: 'updated', kind: 'customer' },
    body: schema.customerBody,
    answer: schema.customerRow,
    handle: ({ body }, call) => updateCustomer(call, body),
  }),
  route({
    method: 'get',
    paths: both('info'),
    summary: 'One customer',
    policy: policies.admin,
    effect: 'read',
    query: schema.infoQuery,
    answer: schema.customerRow,
    handle: ({ query }, call) => customerInfo(call, query.end_user_id),
  }),
  route({
    method: 'get',
    paths: both('list'),
    summary: 'Every customer',
    policy: policies.admin,
    effect: 'read',
    answer: z.array(schema.customerRow),
    handle: (_input, call) => listCustomers(call),
  }),
  route({
    method: 'post',
    paths: both('delete'),
    summary: 'Deletes customers',
    policy: policies.admin,
    effect: { action: 'deleted', kind: 'customer' },
    body: schema.customersBody,
    answer: z.object({ deleted_customers: z.number(), message: z.string() }),
    handle: ({ body }, call) => deleteCustomers(call, body.user_ids),
  }),
  route({
    method: 'post',
    paths: both('block'),
    summary: 'Refuses calls for customers',
    policy: policies.admin,
    effect: { action: 'blocked', kind: 'customer' },
    body: schema.blockBody,
    answer: blockedAnswer,
    handle: ({ body }, call) => setCustomersBlocked(call, body.user_ids, true),
  }),
  route({
    method: 'post',
    paths: both('unblock'),
    summary: 'Lets calls for customers pass again',
    policy: policies.admin,
    effect: { action: 'unblocked', kind: 'customer' },
    body: schema.blockBody,
    answer: blockedAnswer,
    handle: ({ body }, call) => setCustomersBlocked(call, body.user_ids, false),
  }),
];
