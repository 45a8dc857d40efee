import { CognitiveAccount } from '@cdktn/provider-azurerm/lib/cognitive-account/index.js';
import { CognitiveDeployment } from '@cdktn/provider-azurerm/lib/cognitive-deployment/index.js';
import type { ITerraformDependable } from '../cdk.ts';
import { partsOf } from '../clients.ts';
import type { Configuration } from '../config.ts';
import { nameOf } from '../names.ts';
import { codeOf } from '../regions.ts';
import type { Network } from './network.ts';
import type { Site } from './site.ts';

export type ConfiguredAccount = Configuration['openai'][number];

/** An Azure OpenAI account that the gateway sends to. */
export type Account = {
  readonly settings: ConfiguredAccount;
  /** Host of the account. Known before it exists: configurations of gateways name it. */
  readonly endpoint: string;
  readonly id: string;
  /** Its deployments. */
  readonly deployments: readonly ITerraformDependable[];
};

/** Makes the accounts that are not brought along, and their deployments. */
export function createAccounts(site: Site, network: Network | undefined): Account[] {
  return site.configuration.openai.map((settings) =>
    settings.existing === undefined
      ? createAccount(site, settings, network)
      : {
          settings,
          endpoint: settings.existing.endpoint,
          id: settings.existing.resourceId,
          deployments: [],
        },
  );
}

/** The accounts as another stack knows them, which does not make them. */
export function accountsOf(configuration: Configuration, subscriptionId: string): Account[] {
  const home = `/subscriptions/${subscriptionId}/resourceGroups/${nameOf('rg', partsOf(configuration))}`;
  return configuration.openai.map((settings) => {
    const name = accountName(configuration, settings);
    return {
      settings,
      endpoint: settings.existing?.endpoint ?? endpointOf(name),
      id:
        settings.existing?.resourceId ??
        `${home}/providers/Microsoft.CognitiveServices/accounts/${name}`,
      deployments: [],
    };
  });
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
  const deployments = settings.deployments.map((deployment) => {
    const { name: deploymentName, model, version, sku, capacity } = deployment;
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
    return previous;
  });
  return {
    settings,
    endpoint: endpointOf(name),
    id: resource.id,
    deployments,
  };
}
