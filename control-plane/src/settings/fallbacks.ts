import type { JsonValue } from '@aigateway/contract/records';
import { matchesPattern } from '@aigateway/contract/wildcard';
import type * as z from 'zod';
import { detailError } from '../errors.ts';
import type { Call, Outcome } from '../http/call.ts';
import type { fallbackBody } from './schema.ts';
import { changeSettings, currentSettings } from './service.ts';

type FallbackType = z.output<typeof fallbackBody>['fallback_type'];

/** Where the router keeps them. */
const settingOf = {
  general: 'fallbacks',
  context_window: 'context_window_fallbacks',
  content_policy: 'content_policy_fallbacks',
} as const satisfies { [type in FallbackType]: string };

export async function setFallback(
  call: Call,
  { model, fallback_models: targets, fallback_type: type }: z.output<typeof fallbackBody>,
): Promise<Outcome> {
  const known = await modelNames(call);
  const isKnown = (name: string) => known.some((own) => own === name || matchesPattern(own, name));
  if (model !== '*' && !isKnown(model))
    throw detailError(404, { error: `Model '${model}' not found in router` });
  const unknown = targets.filter((target) => !isKnown(target));
  if (unknown.length > 0)
    throw detailError(400, { error: `Invalid fallback models: ${unknown.join(', ')}` });
  if (targets.includes(model))
    throw detailError(400, { error: `Model '${model}' cannot be its own fallback` });
  if (new Set(targets).size < targets.length)
    throw detailError(400, { error: 'fallback_models must not contain duplicates' });
  const current = await fallbacksOf(call, type);
  const next = new Map([...current, [model, targets] as const]);
  return {
    ...(await writeFallbacks(call, type, next)),
    answer: {
      model,
      fallback_models: targets,
      fallback_type: type,
      message: `Fallback configuration ${current.has(model) ? 'updated' : 'created'} successfully`,
    },
  };
}

export async function showFallback(
  call: Call,
  model: string,
  type: FallbackType,
): Promise<Outcome> {
  const targets = (await fallbacksOf(call, type)).get(model);
  if (targets === undefined) throw noFallbacks(model, type);
  return { answer: { model, fallback_models: targets, fallback_type: type } };
}

export async function deleteFallback(
  call: Call,
  model: string,
  type: FallbackType,
): Promise<Outcome> {
  const current = new Map(await fallbacksOf(call, type));
  if (!current.delete(model)) throw noFallbacks(model, type);
  return {
    ...(await writeFallbacks(call, type, current)),
    answer: { model, fallback_type: type, message: 'Fallback configuration deleted successfully' },
  };
}

function writeFallbacks(
  call: Call,
  type: FallbackType,
  fallbacks: ReadonlyMap<string, readonly string[]>,
): Promise<Outcome> {
  const list = [...fallbacks].map(([model, targets]) =>
    Object.fromEntries([[model, [...targets]]]),
  );
  return changeSettings(call, {
    router_settings: { [settingOf[type]]: list.length === 0 ? null : list },
  });
}

/** What is in force, whoever stated it. */
async function fallbacksOf(
  call: Call,
  type: FallbackType,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const name = settingOf[type];
  const router = await currentSettings(call, 'router_settings');
  const litellm = await currentSettings(call, 'litellm_settings');
  const list = (router.get(name) ?? litellm.get(name))?.value;
  return new Map(
    (Array.isArray(list) ? list : []).flatMap((entry) =>
      typeof entry === 'object' && entry !== null
        ? Object.entries(entry).map(([model, targets]) => [model, textsOf(targets)] as const)
        : [],
    ),
  );
}

function textsOf(value: JsonValue): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

async function modelNames(call: Call): Promise<string[]> {
  const { fileModels, fileAliases } = call.settings;
  const names = new Set([...fileAliases, ...[...fileModels.values()].map(({ name }) => name)]);
  for await (const { model_name } of call.view.all('model')) names.add(model_name);
  const aliases = (await currentSettings(call, 'router_settings')).get('model_group_alias')?.value;
  if (typeof aliases === 'object' && aliases !== null)
    for (const alias of Object.keys(aliases)) names.add(alias);
  return [...names];
}

function noFallbacks(model: string, type: FallbackType): Error {
  return detailError(404, { error: `No ${type} fallbacks configured for model '${model}'` });
}
