import { AzurermProvider } from '@cdktn/provider-azurerm/lib/provider/index.js';
import { ResourceGroup } from '@cdktn/provider-azurerm/lib/resource-group/index.js';
import { type App, AzurermBackend, TerraformStack, TerraformVariable } from '../cdk.ts';
import { partsOf } from '../clients.ts';
import type { Configuration } from '../config.ts';
import { nameOf, type ResourceType } from '../names.ts';
import { codeOf } from '../regions.ts';

/** Where resources of one stack go, and what they have in common. */
export type Site = {
  readonly stack: TerraformStack;
  readonly configuration: Configuration;
  readonly name: (type: ResourceType) => string;
  /** What almost every resource begins with. */
  readonly base: {
    readonly resourceGroupName: string;
    readonly location: string;
    readonly tags: { readonly [tag: string]: string };
  };
  readonly resourceGroupId: string;
  readonly tenantId: string;
  readonly subscriptionId: string;
};

/** A stack with its state and provider, and who it belongs to. */
export type Ground = Pick<Site, 'stack' | 'tenantId' | 'subscriptionId'> & {
  readonly tags: Site['base']['tags'];
};

/**
 * A stack without resources.
 *
 * @param id - name of the stack, and of its state
 * @param configuration - of the environment in its first region: there is the state of all its stacks
 */
export function createGround(app: App, id: string, configuration: Configuration): Ground {
  const stack = new TerraformStack(app, id);
  // Attributes that are written and not kept, and variables that are not: from this version on.
  stack.addOverride('terraform.required_version', '>= 1.11');
  const { client, environment, project, repository } = configuration;
  const tenantId = identifier(stack, 'tenant_id', 'Entra tenant', configuration.tenantId);
  const subscriptionId = identifier(
    stack,
    'subscription_id',
    'Azure subscription',
    configuration.subscriptionId,
  );
  const state = configuration.state ?? {
    resourceGroup: nameOf('rgst', partsOf(configuration)),
    storageAccount: nameOf('st', partsOf(configuration)),
    container: 'tfstate',
  };
  new AzurermBackend(stack, {
    resourceGroupName: state.resourceGroup,
    storageAccountName: state.storageAccount,
    containerName: state.container,
    key: `${id}.tfstate`,
    useOidc: true,
    useAzureadAuth: true,
  });
  new AzurermProvider(stack, 'azurerm', {
    features: [
      {
        // What was deleted by mistake is only kept for a while if nobody empties the bin.
        keyVault: [{ purgeSoftDeleteOnDestroy: false, recoverSoftDeletedKeyVaults: true }],
        resourceGroup: [{ preventDeletionIfContainsResources: true }],
      },
    ],
    tenantId,
    subscriptionId,
    useOidc: true,
    storageUseAzuread: true,
    // Registering needs rights on the whole subscription; it is done once, before.
    resourceProviderRegistrations: 'none',
  });
  const tags = {
    client,
    env: environment,
    'managed-by': 'cdktf',
    project,
    ...(repository !== undefined && { repo: repository }),
  };
  return { stack, tags, tenantId, subscriptionId };
}

/**
 * A stack with its resource group.
 *
 * @param location - another region than the first one of the configuration
 */
export function createSite(
  app: App,
  id: string,
  configuration: Configuration,
  location: string = configuration.location,
): Site {
  const { tags, ...ground } = createGround(app, id, configuration);
  const parts = { ...partsOf(configuration), location: codeOf(location) };
  const name = (type: ResourceType) => nameOf(type, parts);
  const group = new ResourceGroup(ground.stack, 'group', { name: name('rg'), location, tags });
  const base = { resourceGroupName: group.name, location, tags };
  return { ...ground, configuration, name, base, resourceGroupId: group.id };
}

/** What the configuration says, else a variable that the one who applies sets. */
function identifier(
  stack: TerraformStack,
  name: string,
  description: string,
  value: string | undefined,
): string {
  if (value !== undefined) return value;
  return new TerraformVariable(stack, name, { type: 'string', description }).stringValue;
}
