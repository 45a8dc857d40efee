import * as z from 'zod';
import { detailError } from '../errors.ts';
import { jsonObject } from '../http/fields.ts';
import { policies, route } from '../http/route.ts';
import { deleteFallback, setFallback, showFallback } from './fallbacks.ts';
import * as schema from './schema.ts';
import {
  activeCallbacks,
  changeSettings,
  deleteSetting,
  listSettings,
  loggingSettings,
  routerFields,
  routerSettings,
  setSetting,
  showSetting,
} from './service.ts';

const updated = { action: 'updated', kind: 'settings' } as const;

export const settingsRoutes = [
  route({
    method: 'post',
    paths: ['/config/update'],
    summary: 'Changes settings in every proxy; those that the file states are changed there',
    policy: policies.admin,
    effect: updated,
    body: schema.updateBody,
    answer: schema.doneAnswer,
    handle: async ({ body }, call) => ({
      ...(await changeSettings(call, body)),
      answer: { message: 'Config updated successfully' },
    }),
  }),
  route({
    method: 'post',
    paths: ['/config/field/update'],
    summary: 'Changes one setting',
    policy: policies.admin,
    effect: updated,
    body: schema.fieldBody,
    answer: schema.sectionAnswer,
    handle: ({ body }, call) =>
      setSetting(call, body.config_type, body.field_name, body.field_value),
  }),
  route({
    method: 'post',
    paths: ['/config/field/delete'],
    summary: 'Takes away a setting that was given over the API',
    policy: policies.admin,
    effect: { action: 'deleted', kind: 'settings' },
    body: schema.fieldDeleteBody,
    answer: schema.sectionAnswer,
    handle: ({ body }, call) => deleteSetting(call, body.config_type, body.field_name),
  }),
  route({
    method: 'get',
    paths: ['/config/field/info'],
    summary: 'The value of one setting, and who owns it',
    policy: policies.admin,
    effect: 'read',
    query: schema.fieldQuery,
    answer: schema.fieldAnswer,
    handle: ({ query }, call) => showSetting(call, query.config_type, query.field_name),
  }),
  route({
    method: 'get',
    paths: ['/config/list'],
    summary: 'The settings of a section that can be changed here, with their values',
    policy: policies.admin,
    effect: 'read',
    query: schema.listQuery,
    answer: schema.listAnswer,
    handle: ({ query }, call) => listSettings(call, query.config_type),
  }),
  route({
    method: 'get',
    paths: ['/router/settings'],
    summary: "The router's settings with their values",
    policy: policies.admin,
    effect: 'read',
    answer: schema.routerSettingsAnswer,
    handle: (_input, call) => routerSettings(call),
  }),
  route({
    method: 'get',
    paths: ['/router/fields'],
    summary: 'The settings that the router has',
    policy: policies.admin,
    effect: 'read',
    answer: schema.routerFieldsAnswer,
    handle: () => Promise.resolve({ answer: routerFields(() => null) }),
  }),
  route({
    method: 'post',
    paths: ['/fallback'],
    summary: 'Sets the models that are tried after a model failed',
    policy: policies.admin,
    effect: updated,
    body: schema.fallbackBody,
    answer: schema.fallbackWritten,
    handle: ({ body }, call) => setFallback(call, body),
  }),
  route({
    method: 'get',
    paths: ['/fallback/:model'],
    summary: 'The models that are tried after a model failed',
    policy: policies.admin,
    effect: 'read',
    query: schema.fallbackQuery,
    answer: schema.fallbackAnswer,
    handle: ({ params, query }, call) =>
      showFallback(call, params['model'] ?? '', query.fallback_type),
  }),
  route({
    method: 'delete',
    paths: ['/fallback/:model'],
    summary: 'Takes them away',
    policy: policies.admin,
    effect: { action: 'deleted', kind: 'settings' },
    query: schema.fallbackQuery,
    answer: schema.fallbackDeleted,
    handle: ({ params, query }, call) =>
      deleteFallback(call, params['model'] ?? '', query.fallback_type),
  }),
  route({
    method: 'get',
    paths: ['/get/config/callbacks'],
    summary: 'Where logs and alerts go besides standard output and metrics: nowhere',
    policy: policies.admin,
    effect: 'read',
    answer: schema.callbacksAnswer,
    handle: (_input, call) => activeCallbacks(call),
  }),
  route({
    method: 'get',
    paths: ['/active/callbacks', '/settings'],
    summary: 'Callbacks and alerts that are active: there are none',
    policy: policies.admin,
    effect: 'read',
    answer: schema.loggingAnswer,
    handle: (_input, call) => loggingSettings(call),
  }),
  route({
    method: 'get',
    paths: ['/health/services'],
    summary: 'Tries a service for logs or alerts: none is configured, so always 422',
    policy: policies.anyKey,
    effect: 'read',
    query: schema.serviceQuery,
    answer: schema.doneAnswer,
    handle: () => {
      throw detailError(422, {
        error:
          'No such service is configured: this gateway writes to standard output, metrics and the audit log alone.',
      });
    },
  }),
  route({
    method: 'get',
    paths: ['/callbacks/list'],
    summary: 'Callbacks that are called: there are none',
    policy: policies.admin,
    effect: 'read',
    answer: schema.callbackListAnswer,
    handle: () =>
      Promise.resolve({ answer: { success: [], failure: [], success_and_failure: [] } }),
  }),
  route({
    method: 'get',
    paths: ['/guardrails/list', '/v2/guardrails/list'],
    summary: 'Guardrails that calls pass: there are none',
    policy: policies.spend,
    effect: 'read',
    answer: z.object({ guardrails: z.array(jsonObject) }),
    handle: () => Promise.resolve({ answer: { guardrails: [] } }),
  }),
  route({
    method: 'post',
    paths: ['/config/callback/delete'],
    summary: 'Takes a callback away: there is none to take',
    policy: policies.admin,
    effect: { action: 'deleted', kind: 'settings' },
    body: schema.callbackBody,
    answer: schema.doneAnswer,
    handle: () => {
      throw detailError(404, { error: 'There is no such callback: this gateway has none.' });
    },
  }),
];
