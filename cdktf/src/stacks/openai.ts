import { CognitiveAccount } from '@cdktn/provider-azurerm/lib/cognitive-account/index.js';
import { CognitiveDeployment } from '@cdktn/provider-azurerm/lib/cognitive-deployment/index.js';
import type { ITerraformDependable } from '../cdk.ts';
import { partsOf } from '../clients.ts';
import type { Configuration } from '../config.ts';
import { nameOf } from '../names.ts';
import { codeOf } from '../regions.ts';
import type { Site } from './site.ts';

export type ConfiguredAccount = Configuration['openai'][number];

/** An Azure OpenAI account that the gateway sends to. */
export type Account = {
  readonly settings: ConfiguredAccount;
  /** Host of the account. Known before it exists: configurations of gateways name it. */
  readonly endpoint: string;
  /** Undefined for one that takes a key: nothing is granted on it. */
  readonly id: string | undefined;
  readonly resource: CognitiveAccount | undefined;
  /** Its deployments. */
  readonly deployments: readonly ITerraformDependable[];
};

/** Makes the accounts that are not brought along, and their deployments. */
export function createAccounts(site: Site): Account[] {
  return site.configuration.openai.map((settings) =>
    settings.existing === undefined
      ? createAccount(site, settings)
      : {
          settings,
          endpoint: settings.existing.endpoint,
          id: settings.existing.resourceId,
          resource: undefined,
          deployments: [],
        },
  );
}

function createAccount({ stack, base, configuration }: Site, settings: ConfiguredAccount): Account {
  const { region } = settings;
  const code = codeOf(region);
  const name = nameOf('oai', { ...partsOf(configuration), location: code });
  const resource = new CognitiveAccount(stack, `openai-${code}`, {
    ...base,
    location: region,
    name,
    kind: 'OpenAI',
    skuName: 'S0',
    // Tokens of Entra need a host of its own, and the name that is asked for is part of what the gateway is told.
    customSubdomainName: name,
    localAuthEnabled: false,
    publicNetworkAccessEnabled: true,
    networkAcls: { defaultAction: 'Allow' },
    identity: { type: 'SystemAssigned' },
    lifecycle: { preventDestroy: configuration.isProtected },
  });
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
    endpoint: `https://${name}.openai.azure.com`,
    id: resource.id,
    resource,
    deployments,
  };
}
