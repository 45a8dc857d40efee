import { KeyVault } from '@cdktn/provider-azurerm/lib/key-vault/index.js';
import { RoleAssignment } from '@cdktn/provider-azurerm/lib/role-assignment/index.js';
import type { Network } from './network.ts';
import type { Site } from './site.ts';

/** Holds every secret. None is written by Terraform, whose state would hold it as well. */
export function createVault(
  { stack, base, name, tenantId, configuration }: Site,
  network: Network | undefined,
): KeyVault {
  const { isProtected } = configuration;
  const allowedIps = configuration.network?.vaultAllowedIps ?? [];
  const vault = new KeyVault(stack, 'vault', {
    ...base,
    name: name('kv'),
    tenantId,
    skuName: 'standard',
    rbacAuthorizationEnabled: true,
    purgeProtectionEnabled: isProtected,
    // A deleted vault keeps its name until then.
    softDeleteRetentionDays: isProtected ? 90 : 7,
    publicNetworkAccessEnabled: network === undefined || allowedIps.length > 0,
    networkAcls: {
      bypass: 'AzureServices',
      defaultAction: network === undefined ? 'Allow' : 'Deny',
      ipRules: allowedIps,
    },
    lifecycle: { preventDestroy: isProtected },
  });
  for (const { principalId, principalType } of configuration.secretWriters) {
    new RoleAssignment(stack, `grant-writer-${principalId}`, {
      scope: vault.id,
      roleDefinitionName: 'Key Vault Secrets Officer',
      principalId,
      // The condition under which the pipeline may assign the role asks for it.
      principalType,
    });
  }
  network?.connect({ id: 'vault', resourceId: vault.id, kind: 'vault' });
  return vault;
}
