import { matchesPattern } from '@aigateway/contract/wildcard';
import type { Call } from '../http/call.ts';
import { proxyError } from '../errors.ts';
import type { KeyDocument, TeamDocument } from '../store/documents.ts';
import { isAdmin, seesAll } from './actor.ts';

/** What a caller may do with one object; undefined = it is to the caller as if it did not exist. */
export type Access = 'write' | 'read' | undefined;

/** What a caller may do with a team: everything, look at it as a member, or nothing. */
export async function teamAccess(call: Call, team: TeamDocument): Promise<Access> {
  const { actor } = call;
  if (isAdmin(actor)) return 'write';
  const member =
    actor.userId === undefined
      ? undefined
      : team.members_with_roles.find(({ user_id }) => user_id === actor.userId);
  const isReader = actor.role === 'proxy_admin_viewer' || actor.role === 'internal_user_viewer';
  if (!isReader) {
    if (member?.role === 'admin') return 'write';
    if (team.organization_id !== null && (await isOrganizationAdmin(call, team.organization_id)))
      return 'write';
  }
  const isOwnTeam = actor.key !== undefined && actor.key.team_id === team.team_id;
  return seesAll(actor) || member !== undefined || isOwnTeam ? 'read' : undefined;
}

/** What a caller may do with a key, on the route it came by. */
export async function keyAccess(call: Call, key: KeyDocument): Promise<Access> {
  const { actor } = call;
  if (isAdmin(actor)) return 'write';
  const isOwn = actor.userId !== undefined && key.user_id === actor.userId;
  if (isOwn && actor.role === 'internal_user') return 'write';
  const byTeam = key.team_id === null ? undefined : await teamKeyAccess(call, key.team_id);
  if (byTeam === 'write') return 'write';
  if (key.organization_id !== null && (await isOrganizationAdmin(call, key.organization_id)))
    return 'write';
  const isSelf = actor.key?.key_id === key.key_id;
  return seesAll(actor) || isOwn || isSelf || byTeam === 'read' ? 'read' : undefined;
}

/** Members see their team's keys; administrators of the team change them, and members where the team permits the route. */
export async function teamKeyAccess(call: Call, teamId: string): Promise<Access> {
  const team = await call.view.get('team', teamId);
  if (team === undefined) return undefined;
  const access = await teamAccess(call, team);
  if (access !== 'read' || seesAll(call.actor)) return access;
  const isMember = team.members_with_roles.some(({ user_id }) => user_id === call.actor.userId);
  if (!isMember) return undefined;
  const isPermitted = team.team_member_permissions.includes(documented(call.route));
  return isPermitted && call.actor.role === 'internal_user' ? 'write' : 'read';
}

/** LiteLLM writes parameters of paths in braces. */
function documented(route: string): string {
  return route.replaceAll(/:(\w+)/g, (_, name: string) => `{${name === 'key' ? 'key_id' : name}}`);
}

/** Whether the caller's user administers an organization. */
export async function isOrganizationAdmin(call: Call, organizationId: string): Promise<boolean> {
  const { actor, view } = call;
  if (isAdmin(actor)) return true;
  if (actor.userId === undefined) return false;
  if (actor.role === 'proxy_admin_viewer' || actor.role === 'internal_user_viewer') return false;
  const membership = await view.get('organization_membership', `${organizationId}:${actor.userId}`);
  return membership?.user_role === 'org_admin';
}

/** 403 for what the caller may see and not change. */
export function notPermitted(what: string): Error {
  return proxyError(403, 'auth_error', `You may not change this ${what}.`, 'None');
}

/** 403 for a known field that the caller's role may not set. */
export function forbiddenField(field: string, why: string): Error {
  return proxyError(403, 'auth_error', `"${field}" may not be set by you: ${why}.`, field);
}

/** Whether a list of models admits every entry of another one. */
export function modelsCover(own: readonly string[], wanted: readonly string[]): boolean {
  if (own.length === 0 || own.includes('all-proxy-models') || own.includes('*')) return true;
  return wanted.every(
    (entry) =>
      entry === 'no-default-models' ||
      own.some((pattern) => pattern === entry || matchesPattern(pattern, entry)),
  );
}
