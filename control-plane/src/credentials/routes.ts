import { policies, route } from '../http/route.ts';
import * as schema from './schema.ts';
import {
  createCredential,
  credentialByModel,
  credentialByName,
  deleteCredential,
  listCredentials,
  updateCredential,
} from './service.ts';

export const credentialRoutes = [
  route({
    method: 'post',
    paths: ['/credentials'],
    summary: 'Adds a credential; its secrets are sealed and never shown again',
    policy: policies.admin,
    effect: { action: 'created', kind: 'credential' },
    body: schema.newBody,
    answer: schema.doneAnswer,
    handle: ({ body }, call) => createCredential(call, body),
  }),
  route({
    method: 'get',
    paths: ['/credentials'],
    summary: 'Every credential, secrets masked',
    policy: policies.admin,
    effect: 'read',
    answer: schema.listAnswer,
    handle: (_input, call) => listCredentials(call),
  }),
  route({
    method: 'get',
    paths: ['/credentials/by_name/:name'],
    summary: 'One credential, secrets masked',
    policy: policies.admin,
    effect: 'read',
    answer: schema.credentialRow,
    handle: ({ params }, call) => credentialByName(call, params['name'] ?? ''),
  }),
  route({
    method: 'get',
    paths: ['/credentials/by_model/:model_id'],
    summary: 'What a deployment signs in with, secrets masked',
    policy: policies.admin,
    effect: 'read',
    answer: schema.credentialRow,
    handle: ({ params }, call) => credentialByModel(call, params['model_id'] ?? ''),
  }),
  route({
    method: 'patch',
    paths: ['/credentials/:name'],
    summary: 'Changes what is sent of a credential',
    policy: policies.admin,
    effect: { action: 'updated', kind: 'credential' },
    body: schema.patchBody,
    answer: schema.doneAnswer,
    handle: ({ params, body }, call) => updateCredential(call, params['name'] ?? '', body),
  }),
  route({
    method: 'delete',
    paths: ['/credentials/:name'],
    summary: 'Deletes a credential that nothing uses',
    policy: policies.admin,
    effect: { action: 'deleted', kind: 'credential' },
    answer: schema.doneAnswer,
    handle: ({ params }, call) => deleteCredential(call, params['name'] ?? ''),
  }),
];
