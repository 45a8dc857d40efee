import * as z from 'zod';
import { jsonObject, text } from '../http/fields.ts';
import { policies, route } from '../http/route.ts';

const reason = 'Cache not initialized: this gateway caches no answers.';
const detail = { detail: `Service Unhealthy (${reason})` };
const detailAnswer = z.object({ detail: z.string() });
const error = { message: reason, type: 'cache_ping_error', param: 'cache_ping', code: '503' };

/**
 * What LiteLLM answers while its cache is off. It is the only answer there is, so it is declared as such and not thrown: a probe is no
 * fault of the gateway.
 */
export const cacheRoutes = [
  route({
    method: 'get',
    paths: ['/cache/ping'],
    summary: 'Whether answers are cached: they are not, so always 503',
    policy: policies.admin,
    effect: 'read',
    status: 503,
    answer: z.object({ error: jsonObject }),
    handle: () => Promise.resolve({ answer: { error } }),
  }),
  route({
    method: 'get',
    paths: ['/cache/redis/info'],
    summary: 'The Redis of the cache: there is no cache, so always 503',
    policy: policies.admin,
    effect: 'read',
    status: 503,
    answer: detailAnswer,
    handle: () => Promise.resolve({ answer: detail }),
  }),
  route({
    method: 'post',
    paths: ['/cache/delete'],
    summary: 'Forgets cached answers: there are none, so always 503',
    policy: policies.admin,
    effect: 'read',
    status: 503,
    body: z.object({ keys: z.array(text).max(1000).nullish() }),
    answer: detailAnswer,
    handle: () => Promise.resolve({ answer: detail }),
  }),
  route({
    method: 'post',
    paths: ['/cache/flushall'],
    summary: 'Forgets every cached answer: there are none, so always 503',
    policy: policies.admin,
    effect: 'read',
    status: 503,
    answer: detailAnswer,
    handle: () => Promise.resolve({ answer: detail }),
  }),
];
