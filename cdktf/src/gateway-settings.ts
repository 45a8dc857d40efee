import type { Configuration } from './config.ts';

/** What of an account goes into the gateway's configuration. */
export type AccountSettings = {
  readonly settings: Configuration['openai'][number];
  readonly endpoint: string;
};

type Json = { readonly [key: string]: unknown };

/**
 * The gateway's own configuration: which models there are and where they run. It holds no secret: it is a variable of each revision,
 * so that a revision that is gone back to has the models that it had.
 *
 * @param clientId - of the identity that calls models. Said as it is: a control plane publishes it, and its own is another
 */
export function gatewayConfiguration(
  accounts: readonly AccountSettings[],
  clientId: string,
  defaults: Configuration['defaultModels'],
): Json {
  const models = accounts.flatMap(({ settings, endpoint }) =>
    settings.deployments.map((deployment) => ({
      model_name: deployment.alias ?? deployment.name,
      litellm_params: {
        model: `azure/${deployment.name}`,
        api_base: endpoint,
        ...(settings.existing?.signIn === 'key'
          ? { api_key: 'os.environ/AZURE_OPENAI_API_KEY' }
          : { azure_credential: 'managed-identity', client_id: clientId }),
        region_name: settings.region,
        ...(/^(?:Global|DataZone)?Provisioned/.test(deployment.sku) && { capacity: 'ptu' }),
        ...(deployment.apiVersion !== undefined && { api_version: deployment.apiVersion }),
      },
      model_info: { base_model: `azure/${deployment.model}` },
    })),
  );
  return {
    model_list: models,
    ...(defaults !== undefined && { aigateway_settings: { default_models: defaults } }),
  };
}
