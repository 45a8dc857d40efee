import { AzurermProvider } from '@cdktn/provider-azurerm/lib/provider/index.js';
import { ResourceGroup } from '@cdktn/provider-azurerm/lib/resource-group/index.js';
import { type App, AzurermBackend, TerraformStack, TerraformVariable } from '../cdk.ts';
import { partsOf } from '../clients.ts';
import type { Configuration } from '../config.ts';
import { nameOf, type NameParts, type ResourceType } from '../names.ts';

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
};

/**
 * A stack with its state, provider and resource group.
 *
 * @param id - name of the stack, and of its state
 */
export function createSite(
  app: App,
  id: string,
  configuration: Configuration,
  parts: NameParts = partsOf(configuration),
): Site {
  const stack = new TerraformStack(app, id);
  const { client, environment, project, repository, location } = configuration;
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
  const name = (type: ResourceType) => nameOf(type, parts);
  const group = new ResourceGroup(stack, 'group', { name: name('rg'), location, tags });
  const base = { resourceGroupName: group.name, location, tags };
  return { stack, configuration, name, base, resourceGroupId: group.id, tenantId };
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
