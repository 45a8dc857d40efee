import { ContainerAppEnvironment } from '@cdktn/provider-azurerm/lib/container-app-environment/index.js';
import { TerraformVariable } from '../cdk.ts';
import { createWorkspace, sendLogs } from './logs.ts';
import { createNetwork, type Network } from './network.ts';
import type { Site } from './site.ts';
import { createVault } from './vault.ts';

/** What every region has, whatever runs there. */
export type Platform = {
  readonly network: Network | undefined;
  readonly workspaceId: string;
  readonly vault: { readonly id: string; readonly name: string; readonly uri: string };
  /** The Container Apps environment. */
  readonly environmentId: string;
  /** The image that is to run, by its digest. */
  readonly image: string;
};

export function createPlatform(site: Site): Platform {
  const { stack, base, name, configuration } = site;
  const network = createNetwork(site);
  const workspace = createWorkspace(site);
  const vault = createVault(site, network);
  const environment = new ContainerAppEnvironment(stack, 'environment', {
    ...base,
    name: name('cae'),
    // Through a diagnostic setting, which needs no key of the workspace: keys are off there.
    logsDestination: 'azure-monitor',
    workloadProfile: [{ name: 'Consumption', workloadProfileType: 'Consumption' }],
    // Front Door comes in by a private link.
    ...(configuration.frontDoor !== undefined && { publicNetworkAccess: 'Disabled' }),
    ...(network !== undefined && {
      infrastructureSubnetId: network.appsSubnetId,
      internalLoadBalancerEnabled: configuration.network?.isInternal === true,
      zoneRedundancyEnabled: configuration.isProtected,
    }),
    // Azure makes one with a name of its own, which would be taken for a reason to make the environment anew.
    lifecycle: { ignoreChanges: ['infrastructure_resource_group_name'] },
  });
  // Names of an environment without public address are in no public DNS.
  if (configuration.network?.isInternal === true)
    network?.resolve(environment.defaultDomain, environment.staticIpAddress);
  sendLogs(site, { of: environment.id, to: workspace.id });
  const image = new TerraformVariable(stack, 'image', {
    type: 'string',
    description: 'The image by its digest: registry/name@sha256:…',
  });
  image.addValidation({
    condition: `\${can(regex("@sha256:[0-9a-f]{64}$", var.image))}`,
    errorMessage: 'An image is named by its digest: a tag may be another image tomorrow.',
  });
  return {
    network,
    workspaceId: workspace.id,
    vault: { id: vault.id, name: vault.name, uri: vault.vaultUri },
    environmentId: environment.id,
    image: image.stringValue,
  };
}
