import { createHash } from 'node:crypto';

/** Between the version of what is shown and the digest of how: versions have no dot. */
const separator = '.';

/**
 * The entity tag of an answer. It begins with the version, which changes with every write; what is shown besides, as spend is, changes
 * the rest.
 *
 * @param version - of the entity that is shown; undefined for an answer that shows several
 */
export function entityTag(version: string | undefined, answer: unknown): string {
  const digest = createHash('sha256').update(JSON.stringify(answer)).digest('base64url');
  const parts = version === undefined ? [digest.slice(0, 22)] : [version, digest.slice(0, 22)];
  return `"${parts.join(separator)}"`;
}

/** Whether a change may be made: the version is one that `If-Match` names, or it names any (RFC 9110, 13.1.1). */
export function admitsChange(ifMatch: string | undefined, version: string | undefined): boolean {
  if (ifMatch === undefined) return true;
  if (version === undefined) return false;
  // Of a tag that was made weak on the way nobody can say whether it is the same.
  return tagsIn(ifMatch).some(
    (tag) =>
      tag === '*' || (tag.startsWith('"') && tag.slice(1, -1).split(separator)[0] === version),
  );
}

/** Whether the caller has the answer already, by its `If-None-Match` (RFC 9110, 13.1.2). */
export function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return tagsIn(ifNoneMatch).some((tag) => tag === '*' || tag.replace(/^W\//, '') === etag);
}

function tagsIn(list: string): string[] {
  return list.match(/(?:W\/)?"[^"]*"|\*/g) ?? [];
}
