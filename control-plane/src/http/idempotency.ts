import { createHash } from 'node:crypto';
import type { JsonValue } from '@aigateway/contract/records';
import type { Actor } from '../auth/actor.ts';
import { proxyError } from '../errors.ts';
import { canonicalJson } from '../store/audit.ts';
import type { IdempotencyDocument } from '../store/documents.ts';
import type { Entities, Stored } from '../store/entities.ts';
import type { ApiRequest } from './registry.ts';
import type { Route } from './route.ts';
import { put, remove, type View } from './view.ts';

/** How long an answer is remembered: a client that has not heard of it by then asks what there is. */
const rememberedMs = 86_400_000;

/** Answers that are too old go a few at a time, with those that are written. */
const forgottenAtOnce = 20;

const longestKey = 256;

/** A request that came with an `Idempotency-Key`. */
export type Repeatable = {
  /** Of its sender, route and header. */
  readonly id: string;
  /** What it asks for. */
  readonly request: string;
};

/**
 * What makes a request the same as an earlier one; undefined for one that is to be carried out whenever it comes. The header belongs to
 * the key that sent it and to the route: nobody else's is ever seen.
 *
 * @throws ApiError 400 for a header that is no key
 */
export function repeatableOf(
  route: Route,
  { headers, path }: Pick<ApiRequest, 'headers' | 'path'>,
  actor: Actor,
  input: { readonly params: object; readonly query: object; readonly body: object },
): Repeatable | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined || route.own !== true || route.effect === 'read') return undefined;
  if (actor.kind === 'anonymous') return undefined;
  if (typeof key !== 'string' || key === '' || key.length > longestKey) {
    throw proxyError(
      400,
      'bad_request_error',
      `Idempotency-Key must have 1 to ${longestKey} characters.`,
      'Idempotency-Key',
    );
  }
  const sender = actor.key?.key_id ?? actor.id;
  return {
    id: digest([actor.kind, sender, route.method, path, key]),
    request: digest([input.params, input.query, input.body]),
  };
}

/**
 * The answer that was given to the same request before.
 *
 * @throws ApiError 422 where the header came with another request
 */
export async function earlierAnswer(
  view: View,
  { id, request }: Repeatable,
  now: number,
): Promise<IdempotencyDocument | undefined> {
  const known = await view.get('idempotency', id);
  if (known === undefined || isForgotten(known, now)) return undefined;
  if (known.request === request) return known;
  throw proxyError(
    422,
    'idempotency_error',
    'This Idempotency-Key came with another request before. Take a new one for a new request.',
    'Idempotency-Key',
  );
}

/** The change that remembers an answer, to be written with what it tells of: both or neither. */
export function remembered(
  { id, request }: Repeatable,
  answer: unknown,
  actor: Actor,
  now: number,
) {
  const at = new Date(now).toISOString();
  return put('idempotency', id, {
    request,
    answer: answer as JsonValue,
    created_at: at,
    created_by: actor.id,
    updated_at: at,
    updated_by: actor.id,
  });
}

/** Takes away some of the answers that are too old. What two take away at once is gone once. */
export async function forgetOldAnswers(entities: Entities, now: number): Promise<void> {
  const { rows } = await entities.find('idempotency', { order: 'oldest', limit: forgottenAtOnce });
  const old = rows.filter(({ document }: Stored<'idempotency'>) => isForgotten(document, now));
  if (old.length > 0) await entities.write(old.map(({ id }) => remove('idempotency', id)));
}

function isForgotten({ created_at }: IdempotencyDocument, now: number): boolean {
  return now - Date.parse(created_at) >= rememberedMs;
}

function digest(parts: readonly unknown[]): string {
  return createHash('sha256').update(canonicalJson(parts)).digest('base64url');
}
