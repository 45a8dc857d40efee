import { stringify } from 'yaml';
import { startSimulator } from '../simulator/simulator.ts';
import type { Simulator } from '../simulator/simulator.ts';

/** The simulated resources: `east` is spoken to on the classic surface, `west` on v1. */
const resources = [
  { name: 'east', key: 'azure-key-of-east-7c1e9b', apiVersion: '2025-04-01-preview' },
  { name: 'west', key: 'azure-key-of-west-4d80fa', apiVersion: 'v1' },
] as const;

/** Names of models at the gateway, of deployments and of base models alike; each is deployed on both resources. */
export const models = {
  /** Answers Responses alone; reasons; takes only the parameters its table has. */
  codex: 'gpt-5.3-codex',
  /** Answers chat alone. */
  chatOnly: 'gpt-4',
  /** Answers both; refuses `temperature: 0`, `max_tokens` and the like. */
  reasoning: 'gpt-5',
  /** Answers both, takes every sampling parameter. */
  plain: 'gpt-4o',
  embeddings: 'text-embedding-3-small',
  completions: 'gpt-35-turbo-instruct',
  /** For tests in which every resource is at its limit: its deployments rest afterwards. */
  limited: 'gpt-4.1-nano',
} as const;

/** Dimensions of a full vector of {@link models.embeddings}. */
export const embeddingDimensions = 1536;

/** Starts both resources with one deployment of each model; every request is remembered. */
export async function startSimulatedAzure(): Promise<Simulator> {
  return await startSimulator({
    config: {
      recordedRequests: 10_000,
      resources: resources.map(({ name, key }) => ({
        name,
        keys: [key],
        deployments: Object.values(models).map((model) => ({ name: model, model })),
      })),
    },
  });
}

/** The key of the first resource, for a client that speaks to it without a gateway. */
export const keyOfEast = resources[0].key;

/**
 * A LiteLLM-style configuration with both resources behind every name.
 *
 * Nothing prefers one of the two. Two keys: the caller's, and one that may make a single request a minute.
 */
export function gatewayConfig(simulator: Simulator, opsPort: number): string {
  return stringify({
    model_list: Object.values(models).flatMap((model) =>
      resources.map(({ name, key, apiVersion }) => ({
        model_name: model,
        litellm_params: {
          model: `azure/${model}`,
          api_base: simulator.resourceUrl(name),
          api_key: key,
          api_version: apiVersion,
        },
        model_info: { id: `${name}-${model}` },
      })),
    ),
    virtual_keys: [{ key: 'os.environ/SLOW_KEY', key_alias: 'slow', rpm_limit: 1 }],
    aigateway_settings: {
      allow_insecure_upstream: true,
      ops_port: opsPort,
    },
  });
}
