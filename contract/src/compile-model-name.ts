import { isAzureHost, parseAzureUrl } from './azure-url.ts';
import type { DeploymentContext } from './compile-context.ts';
import type { ModelConfig, UpstreamConfig } from './config.ts';
import type { ConfigPath } from './config-problems.ts';
import { nearestName } from './names.ts';
import type { Operation } from './records.ts';

/** LiteLLM's providers that this gateway speaks, by how their upstreams are addressed. */
export type Provider = 'azure' | 'openai';

const providers: { readonly [prefix: string]: Provider } = {
  azure: 'azure',
  azure_ai: 'azure',
  azure_text: 'azure',
  openai: 'openai',
  openai_like: 'openai',
  custom_openai: 'openai',
  'text-completion-openai': 'openai',
  hosted_vllm: 'openai',
  vllm: 'openai',
  lm_studio: 'openai',
  llamafile: 'openai',
  litellm_proxy: 'openai',
};

/** What `litellm_params.model` says. */
export type ModelName = {
  provider: Provider;
  deployment: string;
  operations?: Operation[];
  family?: 'reasoning';
};

/** What `litellm_params.model` says: provider, rules, and the deployment's name. */
export function readModelName(
  entry: ModelConfig,
  upstream: UpstreamConfig,
  path: ConfigPath,
  context: DeploymentContext,
): ModelName | undefined {
  const { model, custom_llm_provider: custom } = entry.litellm_params;
  const slash = model.indexOf('/');
  const prefix = slash < 0 ? '' : model.slice(0, slash);
  const isPrefixed = Object.hasOwn(providers, prefix);
  const address = upstream.api_base ?? upstream.base_url;
  const looksAzure = address !== undefined && isAzureText(address, context);
  const label = isPrefixed ? prefix : (custom ?? (looksAzure ? 'azure' : ''));
  const provider = Object.hasOwn(providers, label) ? providers[label] : undefined;
  if (provider === undefined) {
    const near = nearestName(prefix || label, Object.keys(providers));
    context.report.problem(
      path,
      'begins with no provider that is served here',
      near === undefined
        ? `Write azure/<deployment>, or one of ${Object.keys(providers)
            .map((known) => `${known}/`)
            .join(', ')}.`
        : `Did you mean ${near}/…?`,
    );
    return undefined;
  }
  let rest = isPrefixed ? model.slice(slash + 1) : model;
  const name: ModelName = { provider, deployment: '' };
  for (;;) {
    if (rest.startsWith('responses/')) name.operations = ['responses'];
    else if (rest.startsWith('o_series/') || rest.startsWith('gpt5_series/'))
      name.family = 'reasoning';
    else break;
    rest = rest.slice(rest.indexOf('/') + 1);
  }
  if (label === 'azure_text' || label === 'text-completion-openai')
    name.operations = ['completions'];
  if (rest === '') {
    context.report.problem(path, 'names no deployment after the provider');
    return undefined;
  }
  if (!checkWildcards(entry.model_name, rest, path, context)) return undefined;
  return { ...name, deployment: rest };
}

function checkWildcards(
  model: string,
  deployment: string,
  path: ConfigPath,
  context: DeploymentContext,
): boolean {
  const stars = (text: string) => text.split('*').length - 1;
  if (stars(model) > 1 || stars(deployment) > 1) {
    context.report.problem(path, 'and model_name may each have one "*" at most');
    return false;
  }
  if (stars(deployment) > stars(model)) {
    context.report.problem(
      path,
      'has a "*" that nothing fills',
      'Put a "*" into model_name as well.',
    );
    return false;
  }
  return true;
}

function isAzureText(address: string, context: DeploymentContext): boolean {
  const url = parseAzureUrl(address, { allowInsecure: context.allowInsecure });
  return url.ok && isAzureHost(url);
}
