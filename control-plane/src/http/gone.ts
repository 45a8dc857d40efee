import { proxyError } from '../errors.ts';
import type { Kind } from '../store/documents.ts';
import type { Call } from './call.ts';

/**
 * Refuses to make something for one who was deleted while the call was decided: the deletion takes along what it found, and would
 * have missed it. To those who were not there from the start it does nothing.
 *
 * @throws ApiError 404
 */
export async function refuseGone(
  { view }: Call,
  kind: Kind,
  id: string,
  field: string,
): Promise<void> {
  if (!(await view.isGone(kind, id))) return;
  throw proxyError(404, 'not_found', `The ${kind} was deleted meanwhile.`, field);
}
