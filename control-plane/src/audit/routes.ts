import * as z from 'zod';
import { policies, route } from '../http/route.ts';
import * as schema from './schema.ts';
import { exportAudit, listAudit, showAudit } from './service.ts';

export const auditRoutes = [
  route({
    method: 'get',
    paths: ['/audit'],
    summary: 'Who changed what, the newest first',
    policy: policies.admin,
    effect: 'read',
    query: schema.listQuery,
    answer: schema.listAnswer,
    handle: ({ query }, call) => listAudit(call, query),
  }),
  route({
    method: 'get',
    paths: ['/audit/:id'],
    summary: 'One change',
    policy: policies.admin,
    effect: 'read',
    answer: schema.auditRow,
    handle: ({ params }, call) => showAudit(call, params['id'] ?? ''),
  }),
  route({
    method: 'get',
    paths: ['/manage/audit/export'],
    summary: 'The chained records as JSON lines, from a sequence on',
    policy: policies.admin,
    effect: 'read',
    own: true,
    query: schema.exportQuery,
    answer: z.string(),
    handle: ({ query }, call) => exportAudit(call, query),
  }),
];
