import type { Call } from '../http/call.ts';

/** `azure` or `openai` by deployment. */
export async function providersById(call: Call): Promise<ReadonlyMap<string, string>> {
  const providers = new Map(
    [...call.settings.fileModels].map(([id, { provider }]) => [id, provider]),
  );
  for await (const { model_id, litellm_params } of call.view.all('model')) {
    const { model } = litellm_params;
    const isOpenAi = typeof model === 'string' && model.startsWith('openai/');
    providers.set(model_id, isOpenAi ? 'openai' : 'azure');
  }
  return providers;
}
