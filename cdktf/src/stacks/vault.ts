import { KeyVault } from '@cdktn/provider-azurerm/lib/key-vault/index.js';
import type { Site } from './site.ts';

/** Holds every secret. None is written by Terraform, whose state would hold it as well. */
export function createVault({ stack, base, name, tenantId, configuration }: Site): KeyVault {
  const { isProtected } = configuration;
  return new KeyVault(stack, 'vault', {
    ...base,
    name: name('kv'),
    tenantId,
    skuName: 'standard',
    rbacAuthorizationEnabled: true,
    purgeProtectionEnabled: isProtected,
    // A deleted vault keeps its name until then.
    softDeleteRetentionDays: isProtected ? 90 : 7,
    publicNetworkAccessEnabled: true,
    lifecycle: { preventDestroy: isProtected },
  });
}
