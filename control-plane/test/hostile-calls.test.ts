import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { createPostgresMigrator } from '../src/store/postgres/postgres-migrator.ts';
import { createPostgresStore } from '../src/store/postgres/postgres-store.ts';
import { routes } from '../src/routes.ts';
import { type Answer, type Management, startManagement } from './management.ts';
import { type PostgresServer, postgresBinaries, startPostgres } from './servers/postgres-server.ts';

type JsonSchema = {
  readonly type?: string;
  readonly properties?: { readonly [name: string]: JsonSchema };
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
};

/** Ids that are made again and again, so that calls meet what other calls have left. */
const ids = ['one', 'two', 'a/b', 'né\u0000', '\u{1f600}', 'x'.repeat(300)];
const text = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...ids) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '',
      ' ',
      '%',
      "'; --",
      '__proto__',
      'constructor',
      '\ud800',
      '*',
      'all-team-models',
      'all-proxy-models',
      'gpt-4o',
      'azure/gpt-4o',
      '30d',
      '1mo',
      '0s',
      '-1d',
      '99999999999d',
      '2026-11-20',
      '2026-02-30',
      '2026-11-20T00:00:00Z',
      '9999-12-31T23:59:59+23:59',
      '1e3',
      '-0',
      'NaN',
      'internal_user',
      'proxy_admin',
      'sk-one',
      'sk-two',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
);
const number = fc.oneof(
  fc.integer({ min: -2, max: 20 }),
  fc.constantFrom(0, -0, 0.1, 1e-12, 1e9, 2 ** 31, 2 ** 53, 1e21, 1.7e308),
);
const anything = fc.jsonValue({ maxDepth: 3 });

/** Mostly what a schema describes, now and then anything else. */
function valueOf(schema: JsonSchema, depth = 0): fc.Arbitrary<unknown> {
  const described = describedBy(schema, depth);
  // A body that is no object is refused at once.
  if (depth === 0) return described;
  return fc.oneof(
    { weight: 25, arbitrary: described },
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: anything },
  );
}

function describedBy(schema: JsonSchema, depth: number): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((each) => describedBy(each, depth)));
  switch (schema.type) {
    case 'string':
      return text;
    case 'integer':
      return fc.oneof(fc.integer({ min: -1, max: 100 }), number);
    case 'number':
      return number;
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(valueOf(schema.items ?? {}, depth + 1), { maxLength: 3 });
    case 'object': {
      const { properties = {}, additionalProperties: more } = schema;
      const known = fc.record(
        Object.fromEntries(
          Object.entries(properties).map(([name, each]) => [name, valueOf(each, depth + 1)]),
        ),
        { requiredKeys: [] },
      );
      if (more === undefined || more === false) return sparse(known);
      const other = fc.dictionary(text, valueOf(more === true ? {} : more, depth + 1), {
        maxKeys: 3,
      });
      return fc
        .tuple(other, sparse(known))
        .map(([a, b]) => Object.assign(Object.create(null), a, b));
    }
    default:
      return fc.oneof(text, number, fc.boolean(), anything);
  }
}

/** A call that sets every member at once is refused for one of them: most have few. */
function sparse(record: fc.Arbitrary<object>): fc.Arbitrary<object> {
  return fc.tuple(record, fc.integer({ min: 0, max: 6 }), fc.nat()).map(([value, most, seed]) => {
    const entries = Object.entries(value);
    if (entries.length <= most) return value;
    const from = seed % entries.length;
    return Object.fromEntries([...entries.slice(from), ...entries.slice(0, from)].slice(0, most));
  });
}

const schemaOf = (schema: z.ZodObject | undefined): JsonSchema =>
  schema === undefined
    ? {}
    : (z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema);

const call = fc.oneof(
  ...routes.map((route) =>
    fc.record({
      method: fc.constant(route.method.toUpperCase()),
      path: fc.constantFrom(...route.paths),
      declared: fc.constant(route.status),
      params: fc.array(text, { minLength: 4, maxLength: 4 }),
      query: route.query ? valueOf(schemaOf(route.query)) : fc.constant({}),
      body: route.body ? valueOf(schemaOf(route.body)) : fc.constant(undefined),
    }),
  ),
);

type HostileCall = typeof call extends fc.Arbitrary<infer T> ? T : never;

function send(
  api: Management,
  { method, path, params, query, body }: HostileCall,
): Promise<Answer> {
  let at = 0;
  const filled = path.replaceAll(/:\w+/g, () => {
    const value = params[at++ % params.length]!.toWellFormed();
    return encodeURIComponent(value === '' || value === '.' || value === '..' ? 'x' : value);
  });
  const search = new URLSearchParams(
    Object.entries((query ?? {}) as object).map(([name, value]) => [
      name,
      typeof value === 'string' ? value.toWellFormed() : JSON.stringify(value),
    ]),
  ).toString();
  return api.call(method, search === '' ? filled : `${filled}?${search}`, {
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

function neverFails(open: () => Promise<Management>): void {
  it('are answered or refused, and never a fault of the control plane', async () => {
    await using api = await open();
    for (const id of ['one', 'two']) {
      await api.post('/team/new', { team_id: id });
      await api.post('/user/new', { user_id: id });
      await api.post('/key/generate', { key: `sk-${id}`, team_id: id, user_id: id });
    }
    const statuses = new Set<number>();
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 20, maxLength: 20 }), async (calls) => {
        for (const each of calls) {
          const { status, text: said } = await send(api, each);
          statuses.add(status);
          // A route that cannot be served says so by a status of its own.
          const isFault = status >= 500 && status !== each.declared;
          const fault = api.faults.map((one) => (one instanceof Error ? one.stack : one));
          expect({ ...each, status, said, isFault, fault }).toMatchObject({
            isFault: false,
            fault: [],
          });
        }
      }),
      { numRuns: 60, endOnFailure: true },
    );
    // Not all were refused for their form.
    expect([...statuses]).toEqual(expect.arrayContaining([200, 400, 404, 422]));
  });
}

describe('whatever an administrator sends, over SQLite', () => {
  neverFails(() => startManagement());
});

describe.skipIf((await postgresBinaries()) === undefined)('over PostgreSQL', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());
  neverFails(async () => {
    const connectionString = await server.createDatabase();
    const migrator = await createPostgresMigrator({ connectionString });
    await migrator.apply();
    await migrator.close();
    const store = await createPostgresStore({ connectionString });
    return startManagement({ store: () => store });
  });
});
