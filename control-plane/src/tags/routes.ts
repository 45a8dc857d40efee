import * as z from 'zod';
import { policies, route } from '../http/route.ts';
import * as schema from './schema.ts';
import { createTag, deleteTag, listTags, tagInfo, updateTag } from './service.ts';

export const tagRoutes = [
  route({
    method: 'post',
    paths: ['/tag/new'],
    summary: 'Makes a tag and puts it on deployments',
    policy: policies.admin,
    effect: { action: 'created', kind: 'tag' },
    body: schema.tagBody,
    answer: schema.writtenAnswer,
    handle: ({ body }, call) => createTag(call, body),
  }),
  route({
    method: 'post',
    paths: ['/tag/update'],
    summary: 'Changes the fields that are sent; a list of models replaces the one before',
    policy: policies.admin,
    effect: { action: 'updated', kind: 'tag' },
    body: schema.tagBody,
    answer: schema.writtenAnswer,
    handle: ({ body }, call) => updateTag(call, body),
  }),
  route({
    method: 'post',
    paths: ['/tag/info'],
    summary: 'Several tags by name',
    policy: policies.admin,
    effect: 'read',
    body: schema.namesBody,
    answer: z.record(z.string(), schema.tagRow),
    handle: ({ body }, call) => tagInfo(call, body.names),
  }),
  route({
    method: 'get',
    paths: ['/tag/list'],
    summary: 'Every tag, those only seen in traffic among them; users see the tags of their keys',
    policy: policies.spend,
    effect: 'read',
    answer: z.array(schema.tagRow),
    handle: (_input, call) => listTags(call),
  }),
  route({
    method: 'post',
    paths: ['/tag/delete'],
    summary: 'Deletes a tag; deployments that have it keep it',
    policy: policies.admin,
    effect: { action: 'deleted', kind: 'tag' },
    body: schema.nameBody,
    answer: z.object({ message: z.string() }),
    handle: ({ body }, call) => deleteTag(call, body.name),
  }),
];
