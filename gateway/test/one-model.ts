import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';

/** A simulated Azure with one resource, `east`, and one deployment. */
export function startAzureOfOneModel(apiKey: string): Promise<Simulator> {
  const deployments = [{ name: 'gpt-4o', model: 'gpt-4o' }];
  return startSimulator({ config: { resources: [{ name: 'east', keys: [apiKey], deployments }] } });
}

/** What a gateway in front of it has in its file; `parameters` are more `litellm_params`. */
export function configurationOfOneModel(
  simulator: Simulator,
  apiKey: string,
  parameters: object = {},
): object {
  return {
    model_list: [
      {
        model_name: 'gpt-4o',
        litellm_params: {
          model: 'azure/gpt-4o',
          api_base: simulator.resourceUrl('east'),
          api_key: apiKey,
          api_version: '2024-10-21',
          ...parameters,
        },
      },
    ],
    aigateway_settings: { allow_insecure_upstream: true },
  };
}

/** Writes it as `config.yaml`. */
export function writeConfigurationOfOneModel(
  folder: string,
  ...args: Parameters<typeof configurationOfOneModel>
): void {
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify(configurationOfOneModel(...args)));
}
