import { DataAzurermUserAssignedIdentity } from '@cdktn/provider-azurerm/lib/data-azurerm-user-assigned-identity/index.js';
import { RoleAssignment } from '@cdktn/provider-azurerm/lib/role-assignment/index.js';
import { UserAssignedIdentity } from '@cdktn/provider-azurerm/lib/user-assigned-identity/index.js';
import type { ITerraformDependable } from '../cdk.ts';
import { partsOf } from '../clients.ts';
import { nameOf } from '../names.ts';
import type { Site } from './site.ts';

/** Who runs: each has an identity of its own, with no more rights than its work needs. */
export type Actor = 'proxy' | 'control-plane';

export type Identity = {
  readonly actor: Actor;
  readonly resource: Pick<UserAssignedIdentity, 'id' | 'clientId' | 'principalId'>;
  /** Everything that must be granted before a revision starts. Grows as roles are assigned. */
  readonly grants: ITerraformDependable[];
};

/** Not assigned by the system: it would have its roles only after the first revision had failed without them. */
export function createIdentity({ stack, base, name }: Site, actor: Actor): Identity {
  const resource = new UserAssignedIdentity(stack, `identity-${actor}`, {
    ...base,
    name: name(actor === 'proxy' ? 'id' : 'idadm'),
  });
  return { actor, resource, grants: [] };
}

/**
 * The proxies' identity as a further region knows it, which does not make it. It is the same in all regions: published records name the
 * identity that calls models, and the first region grants what is not a region's own.
 */
export function proxyIdentityOf({ stack, configuration }: Site): Identity {
  const parts = partsOf(configuration);
  const resource = new DataAzurermUserAssignedIdentity(stack, 'identity-proxy', {
    name: nameOf('id', parts),
    resourceGroupName: nameOf('rg', parts),
  });
  return { actor: 'proxy', resource, grants: [] };
}

/**
 * Grants a role on one resource.
 *
 * @param target - of the resource, within the stack
 */
export function grant(
  { stack }: Site,
  identity: Identity,
  { role, scope, target }: { role: string; scope: string; target: string },
): void {
  identity.grants.push(
    new RoleAssignment(stack, `grant-${identity.actor}-${target}`, {
      scope,
      roleDefinitionName: role,
      principalId: identity.resource.principalId,
      // Azure looks a principal up where it is not told, and does not find one that is new.
      principalType: 'ServicePrincipal',
    }),
  );
}
