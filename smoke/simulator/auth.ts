import type { Clock } from './clock.ts';
import type { ResolvedConfig } from './config.ts';
import {
  dataActionMissing,
  frontEndError,
  invalidKey,
  invalidToken,
  keyAuthDisabled,
  roleMissing,
  subdomainNeeded,
  tenantMismatch,
} from './errors.ts';
import { looksLikeToken } from './identity.ts';
import type { IdentityService } from './identity.ts';
import type { Resource } from './resources.ts';

/** What a request presents, and where. */
export type Presented = {
  headers: Record<string, string>;
  dialect: 'classic' | 'v1';
  /** Reached through a regional host, which takes keys only. */
  regional: boolean;
};

/** Collaborators of the check. */
export type AuthContext = {
  identity: IdentityService;
  permissionWording: ResolvedConfig['identity']['permissionWording'];
  clock: Clock;
};

/**
 * Lets a request in or throws the refusal Azure would send: by key in `api-key` (or its old alias), by key as bearer
 * on the v1 surface, or by a token of the identity service.
 *
 * @throws {AzureError} 400, 401 or 403
 */
export function authenticate(resource: Resource, presented: Presented, context: AuthContext): void {
  checkNetwork(resource);
  const { headers, dialect } = presented;
  const key = headers['api-key'] ?? headers['ocp-apim-subscription-key'];
  const bearer = /^bearer\s+(.*)$/i.exec(headers['authorization'] ?? '')?.[1];
  const isKey = (value: string): boolean => resource.config.keys.includes(value);

  if (key !== undefined) {
    if (!resource.config.keyAuth) throw keyAuthDisabled();
    if (!isKey(key)) throw invalidKey();
    return;
  }
  if (bearer === undefined) throw invalidToken();
  if (dialect === 'v1' && isKey(bearer)) {
    if (!resource.config.keyAuth) throw keyAuthDisabled();
    return;
  }
  if (dialect === 'v1' && !looksLikeToken(bearer)) throw invalidKey();
  checkToken(resource, bearer, presented.regional, context);
}

function checkToken(
  resource: Resource,
  token: string,
  regional: boolean,
  context: AuthContext,
): void {
  const claims = context.identity.read(token);
  if (claims === undefined) throw invalidToken();
  if (claims.expiresAt * 1000 <= context.clock.now()) throw invalidToken();
  const audience = claims.audience.replace(/\/$/, '');
  if (!resource.config.audiences.includes(audience)) throw invalidToken();
  if (regional || !resource.config.customSubdomain) throw subdomainNeeded();
  if (claims.tenant !== resource.config.tenant) throw tenantMismatch();
  const identity = context.identity.find(claims.clientId);
  const permitted = identity !== undefined && (identity.resources?.includes(resource.name) ?? true);
  if (permitted) return;
  throw context.permissionWording === 'data-action'
    ? dataActionMissing(claims.clientId)
    : roleMissing();
}

function checkNetwork(resource: Resource): void {
  switch (resource.config.network) {
    case 'public-access-disabled':
      throw frontEndError(
        403,
        '403',
        'Public access is disabled. Please configure private endpoint.',
      );
    case 'private-endpoint-only':
      throw frontEndError(403, '403', 'Traffic is not from an approved private endpoint.');
    case 'firewall':
      throw frontEndError(
        403,
        'AccessDenied',
        'Access denied due to Virtual Network/Firewall rules.',
      );
    case 'blocked':
      throw frontEndError(
        403,
        '403',
        'Your resource has been temporarily blocked because we detected behavior that may violate our policies.',
      );
    case 'open':
      break;
  }
}
