import { CognitiveAccount } from '@cdktn/provider-azurerm/lib/cognitive-account/index.js';
import { CognitiveDeployment } from '@cdktn/provider-azurerm/lib/cognitive-deployment/index.js';
import { partsOf } from '../clients.ts';
import type { Configuration } from '../config.ts';
import type { AccountSettings } from '../gateway-settings.ts';
import { nameOf } from '../names.ts';
import { codeOf } from '../regions.ts';
import type { Network } from './network.ts';
import type { Site } from './site.ts';

type ConfiguredAccount = Configuration['openai'][number];

/** An Azure OpenAI account that the gateway sends to. Its host is known before it exists: configurations of gateways name it. */
export type Account = AccountSettings & { readonly id: string };

/** Makes the accounts that are not brought along, and their deployments. */
export function createAccounts(site: Site, network: Network | undefined): Account[] {
  return site.configuration.openai.map((settings) =>
    settings.existing === undefined
      ? createAccount(site, settings, network)
      : {
          settings,
          endpoint: settings.existing.endpoint,
          id: settings.existing.resourceId,
        },
  );
}

/** The accounts as another stack knows them, which does not make them. */
export function accountsOf(configuration: Configuration): AccountSettings[] {
  return configuration.openai.map((settings) => ({
    settings,
    endpoint: settings.existing?.endpoint ?? endpointOf(accountName(configuration, settings)),
  }));
}

function accountName(configuration: Configuration, { region }: ConfiguredAccount): string {
  return nameOf('oai', { ...partsOf(configuration), location: codeOf(region) });
}

function endpointOf(account: string): string {
  return `https://${account}.openai.azure.com`;
}

function createAccount(
  { stack, base, configuration }: Site,
  settings: ConfiguredAccount,
  network: Network | undefined,
): Account {
  const { region } = settings;
  const code = codeOf(region);
  const name = accountName(configuration, settings);
  const resource = new CognitiveAccount(stack, `openai-${code}`, {
    ...base,
    location: region,
    name,
    kind: 'OpenAI',
    skuName: 'S0',
    // Tokens of Entra need a host of its own, and the name that is asked for is part of what the gateway is told.
    customSubdomainName: name,
    localAuthEnabled: false,
    publicNetworkAccessEnabled: network === undefined,
    networkAcls: { defaultAction: network === undefined ? 'Allow' : 'Deny' },
    identity: { type: 'SystemAssigned' },
    lifecycle: { preventDestroy: configuration.isProtected },
  });
  network?.connect({ id: `openai-${code}`, resourceId: resource.id, kind: 'openai' });
  let previous: CognitiveDeployment | undefined;
  for (const { name: deploymentName, model, version, sku, capacity } of settings.deployments) {
    previous = new CognitiveDeployment(stack, `deployment-${code}-${deploymentName}`, {
      name: deploymentName,
      cognitiveAccountId: resource.id,
      model: { format: 'OpenAI', name: model, ...(version !== undefined && { version }) },
      sku: { name: sku, capacity },
      // A model that changes by itself changes answers, and what they cost.
      versionUpgradeOption: version === undefined ? 'OnceCurrentVersionExpired' : 'NoAutoUpgrade',
      // An account takes one change of its deployments at a time.
      ...(previous !== undefined && { dependsOn: [previous] }),
    });
  }
  return {
    settings,
    endpoint: endpointOf(name),
    id: resource.id,
  };
}
