import * as z from 'zod';
import { policies, route } from '../http/route.ts';
import * as schema from './schema.ts';
import { createModel, deleteModel, setModelBlocked, updateModel } from './service.ts';

export const modelRoutes = [
  route({
    method: 'post',
    paths: ['/model/new'],
    summary: 'Adds a deployment; its secrets are sealed and never shown again',
    policy: policies.modelAdmin,
    effect: { action: 'created', kind: 'model' },
    body: schema.newBody,
    answer: schema.modelRow,
    handle: ({ body }, call) => createModel(call, body),
  }),
  route({
    method: 'post',
    paths: ['/model/update'],
    summary: 'Changes what is sent of a deployment',
    policy: policies.modelAdmin,
    effect: { action: 'updated', kind: 'model' },
    body: schema.updateBody,
    answer: schema.modelRow,
    handle: ({ body: { id, ...sent } }, call) =>
      updateModel(call, sent.model_info?.id ?? id ?? '', sent),
  }),
  route({
    method: 'patch',
    paths: ['/model/:model_id/update'],
    summary: 'Changes what is sent of a deployment; null takes a member away',
    policy: policies.modelAdmin,
    effect: { action: 'updated', kind: 'model' },
    body: schema.patchBody,
    answer: schema.modelRow,
    handle: ({ params, body }, call) => updateModel(call, params['model_id'] ?? '', body),
  }),
  route({
    method: 'post',
    paths: ['/model/delete'],
    summary: 'Deletes a deployment',
    policy: policies.modelAdmin,
    effect: { action: 'deleted', kind: 'model' },
    body: schema.idBody,
    answer: z.object({ message: z.string() }),
    handle: ({ body }, call) => deleteModel(call, body.id),
  }),
  route({
    method: 'post',
    paths: ['/model/block'],
    summary: 'Takes a deployment out of service',
    policy: policies.modelAdmin,
    effect: { action: 'blocked', kind: 'model' },
    body: schema.modelIdBody,
    answer: schema.modelRow,
    handle: ({ body }, call) => setModelBlocked(call, body.model_id, true),
  }),
  route({
    method: 'post',
    paths: ['/model/unblock'],
    summary: 'Puts a deployment back into service',
    policy: policies.modelAdmin,
    effect: { action: 'unblocked', kind: 'model' },
    body: schema.modelIdBody,
    answer: schema.modelRow,
    handle: ({ body }, call) => setModelBlocked(call, body.model_id, false),
  }),
];
