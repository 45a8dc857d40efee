import * as z from 'zod';
import { policies, route } from '../http/route.ts';
import * as schema from './schema.ts';
import { createGroup, deleteGroup, listGroups, showGroup, updateGroup } from './service.ts';
import { createWord, deleteWord, listWords, showWord, updateWord } from './words.ts';

const onePath = ['/v1/access_group/:access_group_id', '/v1/unified_access_group/:access_group_id'];
const allPaths = ['/v1/access_group', '/v1/unified_access_group'];

export const accessGroupRoutes = [
  route({
    method: 'post',
    paths: allPaths,
    summary: 'Makes a group of models that keys and teams are given as one',
    policy: policies.admin,
    effect: { action: 'created', kind: 'access_group' },
    body: schema.newBody,
    answer: schema.groupRow,
    status: 201,
    handle: ({ body }, call) => createGroup(call, body),
  }),
  route({
    method: 'get',
    paths: allPaths,
    summary: 'Every group of models, with the keys and teams that have it',
    policy: policies.admin,
    effect: 'read',
    answer: z.array(schema.groupRow),
    handle: (_input, call) => listGroups(call),
  }),
  route({
    method: 'get',
    paths: onePath,
    summary: 'One group of models',
    policy: policies.admin,
    effect: 'read',
    answer: schema.groupRow,
    handle: ({ params }, call) => showGroup(call, params['access_group_id'] ?? ''),
  }),
  route({
    method: 'put',
    paths: onePath,
    summary: 'Changes the fields that are sent',
    policy: policies.admin,
    effect: { action: 'updated', kind: 'access_group' },
    body: schema.updateBody,
    answer: schema.groupRow,
    handle: ({ params, body }, call) => updateGroup(call, params['access_group_id'] ?? '', body),
  }),
  route({
    method: 'delete',
    paths: onePath,
    summary: 'Deletes a group that no key and no team has',
    policy: policies.admin,
    effect: { action: 'deleted', kind: 'access_group' },
    answer: z.undefined(),
    status: 204,
    handle: ({ params }, call) => deleteGroup(call, params['access_group_id'] ?? ''),
  }),
  route({
    method: 'post',
    paths: ['/access_group/new'],
    summary: 'Puts a word into model_info.access_groups of deployments; models of keys may name it',
    policy: policies.modelAdmin,
    effect: { action: 'created', kind: 'model' },
    body: schema.newWordBody,
    answer: schema.wordWritten,
    handle: ({ body }, call) => createWord(call, body),
  }),
  route({
    method: 'get',
    paths: ['/access_group/list'],
    summary: 'Every word in model_info.access_groups, those of the file among them',
    policy: policies.admin,
    effect: 'read',
    answer: schema.wordList,
    handle: (_input, call) => listWords(call),
  }),
  route({
    method: 'get',
    paths: ['/access_group/:access_group/info'],
    summary: 'The models that have the word',
    policy: policies.admin,
    effect: 'read',
    answer: schema.wordRow,
    handle: ({ params }, call) => showWord(call, params['access_group'] ?? ''),
  }),
  route({
    method: 'put',
    paths: ['/access_group/:access_group/update'],
    summary: 'Replaces the deployments that have the word',
    policy: policies.modelAdmin,
    effect: { action: 'updated', kind: 'model' },
    body: schema.updateWordBody,
    answer: schema.wordWritten,
    handle: ({ params, body }, call) => updateWord(call, params['access_group'] ?? '', body),
  }),
  route({
    method: 'delete',
    paths: ['/access_group/:access_group/delete'],
    summary:
      'Takes the word from every deployment; keys that name it may then use none of them by it',
    policy: policies.modelAdmin,
    effect: { action: 'deleted', kind: 'model' },
    answer: schema.wordDeleted,
    handle: ({ params }, call) => deleteWord(call, params['access_group'] ?? ''),
  }),
];
