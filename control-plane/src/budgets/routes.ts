import * as z from 'zod';
import { jsonObject } from '../http/fields.ts';
import { policies, route } from '../http/route.ts';
import * as schema from './schema.ts';
import {
  budgetInfo,
  budgetSettings,
  createBudget,
  deleteBudget,
  listBudgets,
  updateBudget,
} from './service.ts';

export const budgetRoutes = [
  route({
    method: 'post',
    paths: ['/budget/new'],
    summary: 'Makes a budget that keys, customers, organizations and team members can share',
    policy: policies.admin,
    effect: { action: 'created', kind: 'budget' },
    body: schema.newBody,
    answer: schema.budgetRow,
    handle: ({ body }, call) => createBudget(call, body),
  }),
  route({
    method: 'post',
    paths: ['/budget/update'],
    summary: 'Changes the fields that are sent',
    policy: policies.admin,
    effect: { action: 'updated', kind: 'budget' },
    body: schema.updateBody,
    answer: schema.budgetRow,
    handle: ({ body }, call) => updateBudget(call, body),
  }),
  route({
    method: 'post',
    paths: ['/budget/info'],
    summary: 'Several budgets',
    policy: policies.admin,
    effect: 'read',
    body: schema.infoBody,
    answer: z.array(schema.budgetRow),
    handle: ({ body }, call) => budgetInfo(call, body.budgets),
  }),
  route({
    method: 'get',
    paths: ['/budget/list'],
    summary: 'Every budget',
    policy: policies.admin,
    effect: 'read',
    answer: z.array(schema.budgetRow),
    handle: (_input, call) => listBudgets(call),
  }),
  route({
    method: 'get',
    paths: ['/budget/settings'],
    summary: 'What a form for a budget shows',
    policy: policies.admin,
    effect: 'read',
    query: schema.settingsQuery,
    answer: z.array(jsonObject),
    handle: ({ query }, call) => budgetSettings(call, query.budget_id),
  }),
  route({
    method: 'post',
    paths: ['/budget/delete'],
    summary: 'Deletes a budget that nobody uses',
    policy: policies.admin,
    effect: { action: 'deleted', kind: 'budget' },
    body: schema.deleteBody,
    answer: schema.budgetRow,
    handle: ({ body }, call) => deleteBudget(call, body.id),
  }),
];
