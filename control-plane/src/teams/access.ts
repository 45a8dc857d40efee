import { type Access, notPermitted, teamAccess } from '../auth/rights.ts';
import { notFound } from '../errors.ts';
import type { Call } from '../http/call.ts';
import type { TeamDocument, TeamMember } from '../store/documents.ts';

/** A member as it was sent, by id or e-mail. */
export function asMember(member: {
  role: 'admin' | 'user';
  user_id?: string | null | undefined;
  user_email?: string | null | undefined;
}): TeamMember {
  return {
    role: member.role,
    user_id: member.user_id ?? null,
    user_email: member.user_email ?? null,
  };
}

/** A team that the caller may see; to everybody else it does not exist. */
export async function teamWithAccess(
  call: Call,
  teamId: string,
): Promise<{ team: TeamDocument; access: Access }> {
  const team = await call.view.get('team', teamId);
  const access = team && (await teamAccess(call, team));
  if (team === undefined || access === undefined) throw notFound('Team', 'team_id');
  return { team, access };
}

/** A team that the caller may change. */
export async function teamToWrite(call: Call, teamId: string): Promise<TeamDocument> {
  const { team, access } = await teamWithAccess(call, teamId);
  if (access !== 'write') throw notPermitted('team');
  return team;
}
