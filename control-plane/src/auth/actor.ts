import type { KeyDocument, UserDocument, UserRole } from '../store/documents.ts';

/** `none`: a key without a user, or whose user has no role. */
export type Role = UserRole | 'none';

/** Who calls. Holds no secret. */
export type Actor = {
  readonly kind: 'master' | 'key' | 'anonymous';
  /** For `created_by` and the audit log: the user, else the key. */
  readonly id: string;
  readonly role: Role;
  readonly userId: string | undefined;
  readonly key: KeyDocument | undefined;
  readonly user: UserDocument | undefined;
};

/** LiteLLM's name of who holds the master key. */
export const masterUserId = 'default_user_id';

export const masterActor: Actor = {
  kind: 'master',
  id: masterUserId,
  role: 'proxy_admin',
  userId: masterUserId,
  key: undefined,
  user: undefined,
};

export const anonymousActor: Actor = {
  kind: 'anonymous',
  id: 'anonymous',
  role: 'none',
  userId: undefined,
  key: undefined,
  user: undefined,
};

/** May change everything. */
export function isAdmin(actor: Actor): boolean {
  return actor.role === 'proxy_admin';
}

/** May see everything. */
export function seesAll(actor: Actor): boolean {
  return actor.role === 'proxy_admin' || actor.role === 'proxy_admin_viewer';
}

const rights: { readonly [role in Role]: readonly ('all' | 'write')[] } = {
  proxy_admin: ['all', 'write'],
  proxy_admin_viewer: ['all'],
  internal_user: ['write'],
  internal_user_viewer: [],
  none: [],
};

/** What two roles have in common: a key can do no more than its user, and no more than who made it. */
export function commonRole(one: Role, other: Role): Role {
  if (one === 'none' || other === 'none') return 'none';
  const common = rights[one].filter((right) => rights[other].includes(right));
  if (common.includes('all'))
    return common.includes('write') ? 'proxy_admin' : 'proxy_admin_viewer';
  return common.includes('write') ? 'internal_user' : 'internal_user_viewer';
}
