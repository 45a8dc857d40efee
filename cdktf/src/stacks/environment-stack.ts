import { ContainerAppEnvironment } from '@cdktn/provider-azurerm/lib/container-app-environment/index.js';
import { type App, TerraformOutput, TerraformVariable } from '../cdk.ts';
import type { Configuration } from '../config.ts';
import { gatewayConfiguration } from '../gateway-settings.ts';
import { createApp, dataDirectory, graceSeconds, type AppSettings, type Variable } from './app.ts';
import { createIdentity, grant } from './identity.ts';
import { createWorkspace, sendLogs } from './logs.ts';
import { createAccounts } from './openai.ts';
import { createSite } from './site.ts';
import { createVault } from './vault.ts';

/** Name of the stack of an environment. */
function stackName({ client, environment }: Configuration): string {
  return `${client}-${environment}`;
}

/** All resources of one environment in its region. */
export function addEnvironmentStack(app: App, configuration: Configuration): void {
  const site = createSite(app, stackName(configuration), configuration);
  const { stack, name, base } = site;
  const workspace = createWorkspace(site);
  const vault = createVault(site);
  const identity = createIdentity(site, 'proxy');
  grant(site, identity, { role: 'Key Vault Secrets User', scope: vault.id, target: 'vault' });
  const accounts = createAccounts(site);
  for (const { id, settings } of accounts) {
    if (settings.existing?.signIn === 'key' || id === undefined) continue;
    const role = 'Cognitive Services OpenAI User';
    grant(site, identity, { role, scope: id, target: `openai-${settings.region}` });
  }
  if (configuration.registry !== undefined) {
    const { resourceId } = configuration.registry;
    grant(site, identity, { role: 'AcrPull', scope: resourceId, target: 'registry' });
  }
  const environment = new ContainerAppEnvironment(stack, 'environment', {
    ...base,
    name: name('cae'),
    // Through a diagnostic setting, which needs no key of the workspace: keys are off there.
    logsDestination: 'azure-monitor',
    workloadProfile: [{ name: 'Consumption', workloadProfileType: 'Consumption' }],
  });
  sendLogs(site, { of: environment.id, to: workspace.id });
  const image = new TerraformVariable(stack, 'image', {
    type: 'string',
    description: 'The image by its digest: registry/name@sha256:…',
  });
  image.addValidation({
    condition: `\${can(regex("@sha256:[0-9a-f]{64}$", ${image.fqn}))}`,
    errorMessage: 'An image is named by its digest: a tag may be another image tomorrow.',
  });
  const usesKey = accounts.some(({ settings }) => settings.existing?.signIn === 'key');
  const settings: AppSettings = {
    role: 'proxy',
    name: name('ca'),
    image: image.stringValue,
    identity,
    environmentId: environment.id,
    vaultUri: vault.vaultUri,
    variables: {
      ...commonVariables(identity.resource.clientId),
      PROXY_API_KEY: { secret: 'proxy-api-key' },
      ...(usesKey && { AZURE_OPENAI_API_KEY: { secret: 'azure-openai-api-key' } }),
      AIGATEWAY_CONFIG_TEXT: {
        value: JSON.stringify(gatewayConfiguration(accounts, configuration.defaultModels)),
      },
    },
    scale: configuration.proxy,
    isExternal: true,
  };
  const proxy = createApp(site, settings);
  const outputs = {
    url: `https://${proxy.ingress.fqdn}`,
    resource_group: base.resourceGroupName,
    key_vault: vault.name,
    proxy_app: proxy.name,
  };
  for (const [output, value] of Object.entries(outputs))
    new TerraformOutput(stack, output, { value });
}

/** What every process is told. */
function commonVariables(clientId: string): { readonly [name: string]: Variable } {
  return {
    AIGATEWAY_PROFILE: { value: 'production' },
    AIGATEWAY_SECRET: { secret: 'aigateway-secret' },
    AIGATEWAY_DATA_DIR: { value: dataDirectory },
    // One hop is Container Apps' own ingress.
    AIGATEWAY_TRUSTED_HOPS: { value: '1' },
    // Some seconds are left to write usage out.
    AIGATEWAY_DRAIN_TIME: { value: `${graceSeconds - 30}s` },
    AZURE_CLIENT_ID: { value: clientId },
  };
}
