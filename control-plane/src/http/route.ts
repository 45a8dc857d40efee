import type * as z from 'zod';
import type { Actor, Role } from '../auth/actor.ts';
import { detailError, proxyError } from '../errors.ts';
import { routesAdmit } from '../auth/allowed-routes.ts';
import type { Kind } from '../store/documents.ts';
import type { Call, Outcome } from './call.ts';

/** Who may call a route at all. Which objects it may name is the service's to decide. */
export type Policy = {
  readonly name: string;
  /** For the reference page. */
  readonly text: string;
  readonly roles: ReadonlySet<Role>;
  readonly isPublic?: boolean;
  readonly masterOnly?: boolean;
  /** What LiteLLM answers to the others; 401 unless said otherwise. */
  readonly refusal?: 403;
};

const every: readonly Role[] = [
  'proxy_admin',
  'proxy_admin_viewer',
  'internal_user',
  'internal_user_viewer',
  'none',
];

/** The rules of LiteLLM's groups of routes. */
export const policies = {
  public: {
    name: 'public',
    text: 'anyone',
    roles: new Set(every),
    isPublic: true,
  },
  anyKey: {
    name: 'any key',
    text: 'any valid key; answers are cut to what it may see',
    roles: new Set(every),
  },
  related: {
    name: 'related',
    text: 'administrators, and those whom the object concerns: team and organization administrators, and members whom the team permits it',
    roles: new Set<Role>(['proxy_admin', 'internal_user', 'internal_user_viewer', 'none']),
  },
  keyHolder: {
    name: 'own keys',
    text: 'administrators, and internal users for their own keys and those of teams that let them',
    roles: new Set<Role>(['proxy_admin', 'internal_user']),
  },
  spend: {
    name: 'own spend',
    text: 'administrators for everything, internal users for their own',
    roles: new Set<Role>([
      'proxy_admin',
      'proxy_admin_viewer',
      'internal_user',
      'internal_user_viewer',
    ]),
  },
  admin: {
    name: 'admin',
    text: 'administrators; viewing administrators where it reads',
    roles: new Set<Role>(['proxy_admin']),
  },
  modelAdmin: {
    name: 'admin of models',
    text: 'administrators',
    roles: new Set<Role>(['proxy_admin']),
    refusal: 403,
  },
  master: {
    name: 'master key',
    text: 'the master key',
    roles: new Set<Role>(['proxy_admin']),
    masterOnly: true,
  },
} as const satisfies { [name: string]: Policy };

/** What a mutating route does, for the audit log. */
export type AuditRule = {
  /** `created`, `updated`, `deleted`, `blocked`… */
  readonly action: string;
  readonly kind: Kind | 'spend';
};

type Schema = z.ZodObject | undefined;
type Value<S extends Schema> = S extends z.ZodObject ? z.output<S> : Record<never, never>;

/** One route of the management API, whole: what it takes, gives, who may call it, what it leaves in the audit log. */
export type Route = {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** Express paths with the same meaning; the first is the one of the documentation. */
  readonly paths: readonly string[];
  readonly summary: string;
  readonly policy: Policy;
  /** Reading routes leave nothing behind; the others exactly one audit record. */
  readonly effect: 'read' | AuditRule;
  /** Routes of our own have ETags, heed `If-Match` and `Idempotency-Key`, and refuse fields that they do not know. */
  readonly own?: boolean;
  /** Refuses fields that it does not know, as a few of LiteLLM's do; the others ignore and name them. */
  readonly isStrict?: boolean;
  readonly query?: z.ZodObject | undefined;
  readonly body?: z.ZodObject | undefined;
  readonly answer: z.ZodType;
  /** Default 200. */
  readonly status?: number;
  readonly handle: (input: RouteInput, call: Call) => Promise<Outcome>;
};

type RouteInput = { params: { [name: string]: string }; query: object; body: object };

/** Declares a route with the types of its schemas. */
export function route<Query extends Schema = undefined, Body extends Schema = undefined>(
  declaration: Omit<Route, 'handle' | 'query' | 'body'> & {
    readonly query?: Query;
    readonly body?: Body;
    readonly handle: (
      input: { params: { [name: string]: string }; query: Value<Query>; body: Value<Body> },
      call: Call,
    ) => Promise<Outcome>;
  },
): Route {
  return declaration as unknown as Route;
}

/**
 * Decides whether a caller may use a route at all.
 *
 * @throws ApiError with LiteLLM's status: 401 for an administrator's route, 403 for a viewer who writes or a key of other routes
 */
export function authorize(route: Route, path: string, actor: Actor): void {
  const { policy } = route;
  if (policy.isPublic) return;
  if (actor.key !== undefined && !routesAdmit(actor.key.allowed_routes, path)) {
    throw detailError(403, 'Virtual key is not allowed to call this route.');
  }
  if (policy.masterOnly && actor.kind !== 'master') {
    throw proxyError(401, 'auth_error', 'Only the master key can be used here.', 'None');
  }
  const role =
    actor.role === 'proxy_admin_viewer' && route.effect === 'read' ? 'proxy_admin' : actor.role;
  if (policy.roles.has(role)) return;
  if (actor.role === 'proxy_admin_viewer') {
    throw proxyError(403, 'auth_error', 'A viewing administrator cannot change anything.', 'None');
  }
  throw proxyError(
    policy.refusal ?? 401,
    'auth_error',
    `Only proxy admin can be used to call this route. Your role is ${actor.role === 'none' ? 'unknown' : actor.role}.`,
    'None',
  );
}
