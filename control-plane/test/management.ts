import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hashSecret } from '@aigateway/contract/key';
import { expect } from 'vitest';
import { createControlPlane } from '../src/control-plane.ts';
import type { ManagementSettings } from '../src/http/call.ts';
import type { ControlPlanePorts } from '../src/http/registry.ts';
import type { Written } from '../src/store/entities.ts';
import type { Route } from '../src/http/route.ts';
import type { Store } from '../src/store/store.ts';
import { createSqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import { settings } from './settings.ts';

export const masterKey = 'sk-master-key-of-the-tests';

// oxlint-disable-next-line typescript/no-explicit-any -- answers are read member by member, as clients do
export type Body = any;

export type Answer = { status: number; body: Body; headers: Headers; text: string };

export type CallOptions = {
  /** Undefined = the master key; null = none at all. */
  readonly key?: string | null;
  readonly body?: unknown;
  readonly headers?: { readonly [name: string]: string };
};

export type Management = AsyncDisposable & {
  readonly store: Store;
  readonly routes: readonly Route[];
  /** What was told to whoever publishes, in order. */
  readonly written: Written[];
  readonly faults: unknown[];
  readonly resets: { dimension: string; id: string; nanoUsd: number }[];
  clock: { ms: number };
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  get(path: string, key?: string | null): Promise<Answer>;
  post(path: string, body?: unknown, key?: string | null): Promise<Answer>;
};

/**
 * A management API on a socket and a store of its own. Every answer of 200 is held to the schema of its route and to leaving one audit
 * record if it writes and none if it reads or repeats, so that both are proved wherever a test goes.
 */
export async function startManagement(
  options: {
    settings?: Partial<ManagementSettings>;
    store?: (store: Store) => Store;
    ports?: Partial<ControlPlanePorts>;
  } = {},
): Promise<Management> {
  const own = await createSqliteStore({ path: ':memory:' });
  const wanted = options.store?.(own) ?? own;
  const recorded: string[] = [];
  const store: Store = {
    ...wanted,
    entities: {
      ...wanted.entities,
      write: async (changes, entry, premises) => {
        const versions = await wanted.entities.write(changes, entry, premises);
        if (entry) recorded.push(entry.requestId);
        return versions;
      },
    },
  };
  const clock = { ms: Date.parse('2026-11-21T01:00:00Z') };
  const written: Written[] = [];
  const faults: unknown[] = [];
  const resets: Management['resets'] = [];
  const { handler, routes } = createControlPlane({
    store,
    clock: { now: () => clock.ms },
    masterKeyHash: () => hashSecret(masterKey),
    settings: () => ({ ...settings, ...options.settings }),
    sealer: { seal: (secret) => `sealed:${hashSecret(secret).slice(0, 12)}` },
    tellSpend: (dimension, id, nanoUsd) => {
      resets.push({ dimension, id, nanoUsd });
      return Promise.resolve();
    },
    onChange: (changes) => {
      written.push(...changes);
    },
    onFault: (_message, cause) => {
      faults.push(cause);
    },
    ...options.ports,
  });
  const server = createServer(handler);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;

  const call: Management['call'] = async (
    method,
    path,
    { key = masterKey, body, headers } = {},
  ) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
    const answer: Answer = {
      status: response.status,
      body: isJson && text !== '' ? JSON.parse(text) : text,
      headers: response.headers,
      text,
    };
    if (response.ok) {
      const route = routeOf(routes, method, path);
      if (isJson) holdToSchema(route, answer.body);
      const requestId = response.headers.get('x-request-id');
      const records = recorded.filter((id) => id === requestId).length;
      const isRepeated = response.headers.has('idempotency-replayed');
      const expected = route?.effect === 'read' || isRepeated ? 0 : 1;
      expect({ path, records }).toEqual({ path, records: expected });
    }
    return answer;
  };
  return {
    store,
    routes,
    written,
    faults,
    resets,
    clock,
    call,
    get: (path, key) => call('GET', path, key === undefined ? {} : { key }),
    post: (path, body = {}, key) =>
      call('POST', path, key === undefined ? { body } : { body, key }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await store.close();
    },
  };
}

function routeOf(routes: readonly Route[], method: string, path: string): Route | undefined {
  const [bare = ''] = path.split('?');
  return routes.find(
    (one) =>
      one.method === method.toLowerCase() &&
      one.paths.some((own) => new RegExp(`^${own.replaceAll(/:\w+/g, '[^/]+')}$`).test(bare)),
  );
}

function holdToSchema(route: Route | undefined, body: unknown): void {
  const { data, error } = route?.answer.safeParse(body) ?? {};
  const name = route?.paths[0] ?? 'unknown';
  expect({ name, problems: error?.issues ?? [] }).toEqual({ name: route?.paths[0], problems: [] });
  // Members that are not described were left out of `data`.
  expect(data).toEqual(body);
}

/** A user with a role and a key, as an administrator makes them. */
export async function makeUser(
  management: Management,
  userId: string,
  role: string,
): Promise<string> {
  const { body, status } = await management.post('/user/new', { user_id: userId, user_role: role });
  expect(status).toBe(200);
  return body.key;
}
