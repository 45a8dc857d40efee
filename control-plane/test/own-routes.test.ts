import { describe, expect, it } from 'vitest';
import type { Route } from '../src/http/route.ts';
import { routes } from '../src/routes.ts';
import { usageRecord } from './conformance/documents.ts';
import { type Answer, makeUser, type Management, startManagement } from './management.ts';

/*
 * What every route of our own promises beside LiteLLM's: keyset paging, ETags, Idempotency-Key. The routes are those of the router, so
 * that a new one fails here until it keeps the promises.
 */

const own = routes.filter((route) => route.own === true);

function nameOf({ method, paths }: Route): string {
  return `${method.toUpperCase()} ${paths[0]}`;
}

/** Objects that a request may be about: made anew for each. */
type Objects = { readonly project: string; readonly token: string };

async function makeObjects(api: Management, name: string): Promise<Objects> {
  const { body: project } = await api.post('/manage/projects', { name });
  const { body: token } = await api.post('/manage/tokens', { project_id: project.id, name });
  return { project: project.id, token: token.id };
}

/** A body that a writing route takes; with `other` one that asks for something else. */
const bodies: { readonly [route: string]: (objects: Objects, other: boolean) => object } = {
  'POST /manage/projects': (_objects, other) => ({ name: other ? 'two' : 'one' }),
  'PATCH /manage/projects/:id': (_objects, other) => ({ rpm_limit: other ? 2 : 1 }),
  'POST /manage/tokens': ({ project }, other) => ({
    project_id: project,
    rpm_limit: other ? 2 : 1,
  }),
  'PATCH /manage/tokens/:id': (_objects, other) => ({ rpm_limit: other ? 2 : 1 }),
  'POST /manage/tokens/:id/rotate': (_objects, other) => (other ? { grace_period: '1h' } : {}),
};

/** Whoever holds a key may end it, and ends it once: there is no sender to remember an answer for. */
const withoutSender = ['POST /manage/keys/revoke'];

function pathOf({ paths }: Route, { project, token }: Objects): string {
  const [path = ''] = paths;
  return path.replace(':id', path.includes('/projects/') ? project : token);
}

type Send = (
  objects: Objects,
  options?: { headers?: { [name: string]: string }; other?: boolean; key?: string },
) => Promise<Answer>;

/** Sends requests of a route. */
function sender(api: Management, route: Route): Send {
  const { method, body } = route;
  return (objects, { headers = {}, other = false, key } = {}) =>
    api.call(method.toUpperCase(), pathOf(route, objects), {
      headers,
      ...(key !== undefined && { key }),
      ...(body !== undefined && { body: bodies[nameOf(route)]?.(objects, other) ?? {} }),
    });
}

const reading = own.filter(({ effect }) => effect === 'read');
const writing = own.filter(
  (route) => route.effect !== 'read' && !withoutSender.includes(nameOf(route)),
);
const changing = writing.filter(({ paths }) => paths[0]?.includes(':id'));

describe('every route of our own', () => {
  it('has a request here', () => {
    const bodied = writing.filter(({ body }) => body !== undefined).map(nameOf);
    expect(Object.keys(bodies).toSorted()).toEqual(bodied.toSorted());
    expect(own.every(({ paths }) => paths[0]?.startsWith('/manage/'))).toBe(true);
    expect(routes.filter(({ paths }) => paths[0]?.startsWith('/manage/'))).toEqual(own);
  });

  it('that reads has an ETag, and answers 304 to whoever has it already', async () => {
    await using api = await startManagement();
    const objects = await makeObjects(api, 'read');
    for (const route of reading) {
      const send = sender(api, route);
      const etag = (await send(objects)).headers.get('etag') ?? '';
      expect([nameOf(route), etag]).toEqual([nameOf(route), expect.stringMatching(/^"[^"]+"$/)]);
      for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const again = await send(objects, { headers: { 'if-none-match': known } });
        expect([nameOf(route), known, again.status, again.text]).toEqual([
          nameOf(route),
          known,
          304,
          '',
        ]);
        expect(again.headers.get('etag')).toBe(etag);
      }
      expect((await send(objects, { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
    }
  });

  it('that shows one thing has another ETag once the thing changes, be it by what it spent', async () => {
    await using api = await startManagement();
    const objects = await makeObjects(api, 'shown');
    const path = `/manage/tokens/${objects.token}`;
    const etag = async () => (await api.get(path)).headers.get('etag');
    const seen = [await etag()];
    await api.call('PATCH', path, { body: { rpm_limit: 5 } });
    seen.push(await etag());
    const record = usageRecord({ keyId: objects.token, costNanoUsd: 5e9 });
    await api.store.ledger.append('p', [{ sequence: 1, record }]);
    seen.push(await etag());
    expect(new Set(seen).size).toBe(3);
    // Spend is nothing that somebody changed.
    const change = { headers: { 'if-match': seen[1] ?? '' }, body: { rpm_limit: 6 } };
    expect((await api.call('PATCH', path, change)).status).toBe(200);
  });

  it('that changes one thing does so only as the caller has seen it, where it says so', async () => {
    await using api = await startManagement();
    for (const route of changing) {
      const send = sender(api, route);
      const objects = await makeObjects(api, `changed by ${nameOf(route)}`);
      const thing = `/manage/${route.paths[0]?.split('/')[2]}/${pathOf(route, objects).split('/')[3]}`;
      const before = await api.get(thing);
      const etag = before.headers.get('etag') ?? '';
      for (const stale of ['"stale"', `W/${etag}`, '"a", "b"', 'stale']) {
        const { status } = await send(objects, { headers: { 'if-match': stale } });
        expect([nameOf(route), stale, status]).toEqual([nameOf(route), stale, 412]);
      }
      expect((await api.get(thing)).body).toEqual(before.body);
      const done = await send(objects, { headers: { 'if-match': `"other", ${etag}` } });
      expect([nameOf(route), done.status]).toEqual([nameOf(route), route.status ?? 200]);
      const late = await send(objects, { headers: { 'if-match': etag }, other: true });
      expect([nameOf(route), late.status]).toEqual([
        nameOf(route),
        route.method === 'delete' ? 404 : 412,
      ]);
      if (route.method === 'delete') continue;
      const next = { 'if-match': done.headers.get('etag') ?? '' };
      expect((await send(objects, { headers: next, other: true })).status).toBe(
        route.status ?? 200,
      );
      expect((await send(objects, { headers: { 'if-match': '*' } })).status).toBe(
        route.status ?? 200,
      );
    }
  });
});

describe('an Idempotency-Key, on every route of our own that writes', () => {
  /** What there is, but for what is remembered of requests. */
  const everything = async (api: Management) => {
    const rows: unknown[] = [];
    for (const kind of ['team', 'key', 'user', 'team_membership'] as const) {
      for await (const row of api.store.entities.all(kind)) rows.push(row);
    }
    return [rows, await api.store.audit.count({})];
  };

  it('gives the same answer again without a second effect, and no secret twice', async () => {
    await using api = await startManagement();
    for (const route of writing) {
      const send = sender(api, route);
      const objects = await makeObjects(api, `repeated ${nameOf(route)}`);
      const headers = { 'idempotency-key': 'once' };
      const first = await send(objects, { headers });
      expect([nameOf(route), first.status]).toEqual([nameOf(route), route.status ?? 200]);
      const before = await everything(api);
      const again = await send(objects, { headers });
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      const expected =
        'secret' in first.body ? { ...first.body, secret: null } : (first.body as object);
      expect([nameOf(route), again.status, again.body]).toEqual([
        nameOf(route),
        first.status,
        expected,
      ]);
      expect(await everything(api)).toEqual(before);
    }
  });

  it('is refused with another request', async () => {
    await using api = await startManagement();
    for (const route of writing) {
      const send = sender(api, route);
      const objects = await makeObjects(api, `first ${nameOf(route)}`);
      const others = await makeObjects(api, `second ${nameOf(route)}`);
      const headers = { 'idempotency-key': 'once' };
      await send(objects, { headers });
      const before = await everything(api);
      const different = [
        ...(route.body === undefined ? [] : [await send(objects, { headers, other: true })]),
        ...(changing.includes(route) ? [await send(others, { headers })] : []),
      ];
      expect(different.length).toBeGreaterThan(0);
      for (const { status, body } of different) {
        expect([nameOf(route), status, body.error?.type]).toEqual([
          nameOf(route),
          422,
          'idempotency_error',
        ]);
      }
      expect(await everything(api)).toEqual(before);
    }
  });

  it('has one effect however many come at once', async () => {
    await using api = await startManagement();
    for (const route of writing) {
      const send = sender(api, route);
      const objects = await makeObjects(api, `raced ${nameOf(route)}`);
      const records = await api.store.audit.count({});
      const race = await Promise.all(
        Array.from({ length: 4 }, () => send(objects, { headers: { 'idempotency-key': 'race' } })),
      );
      expect(race.map(({ status }) => status)).toEqual(race.map(() => route.status ?? 200));
      const firsts = race.filter(({ headers }) => !headers.has('idempotency-replayed'));
      expect([nameOf(route), firsts.length]).toEqual([nameOf(route), 1]);
      expect(await api.store.audit.count({})).toBe(records + 1);
    }
  });

  it('is its sender’s alone, and outlives the process', async () => {
    await using api = await startManagement();
    const other = await makeUser(api, 'other-admin', 'proxy_admin');
    const objects = await makeObjects(api, 'shared');
    for (const route of writing.filter(({ method }) => method !== 'delete')) {
      const headers = { 'idempotency-key': 'shared' };
      const mine = await sender(api, route)(objects, { headers });
      const theirs = await sender(api, route)(objects, { headers, other: true, key: other });
      expect([nameOf(route), theirs.status]).toEqual([nameOf(route), route.status ?? 200]);
      expect(theirs.headers.has('idempotency-replayed')).toBe(false);
      // Another process over the same store.
      const { store } = api;
      const next = await startManagement({
        store: () => ({ ...store, close: () => Promise.resolve() }),
      });
      const again = await sender(next, route)(objects, { headers });
      await next[Symbol.asyncDispose]();
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      expect(again.body.id).toBe(mine.body.id);
    }
  });

  it('is remembered for a day, without a secret, and then forgotten', async () => {
    await using api = await startManagement();
    const objects = await makeObjects(api, 'aged');
    const make = (key: string) =>
      api.call('POST', '/manage/tokens', {
        headers: { 'idempotency-key': key },
        body: { project_id: objects.project },
      });
    const made = await make('old');
    const kept = [];
    for await (const { document } of api.store.entities.all('idempotency')) kept.push(document);
    expect(kept).toHaveLength(1);
    expect(JSON.stringify(kept)).not.toContain(made.body.secret);
    api.clock.ms += 86_400_000;
    expect((await make('old')).body.id).not.toBe(made.body.id);
    api.clock.ms += 86_400_000;
    await make('new');
    expect(await api.store.entities.count('idempotency')).toBe(1);
  });

  it('must be one: neither empty nor endless', async () => {
    await using api = await startManagement();
    for (const key of ['', 'x'.repeat(257)]) {
      const { status } = await api.call('POST', '/manage/projects', {
        headers: { 'idempotency-key': key },
        body: { name: 'x' },
      });
      expect(status).toBe(400);
    }
    expect(await api.store.entities.count('team')).toBe(0);
  });
});

describe('every list of our own', () => {
  /** A table and a log, which have no pages: the log goes on from a sequence. */
  const others = ['GET /manage/keys/report', 'GET /manage/audit/export'];
  const lists = reading.filter(
    (route) => !route.paths[0]?.includes(':id') && !others.includes(nameOf(route)),
  );

  it('comes page by page, whatever is made and deleted meanwhile', async () => {
    await using api = await startManagement();
    for (const route of lists) {
      const before: string[] = [];
      for (let made = 0; made < 5; made += 1) {
        const { project, token } = await makeObjects(api, `${nameOf(route)} ${made}`);
        before.push(route.paths[0] === '/manage/projects' ? project : token);
        api.clock.ms += 1000;
      }
      const [path] = route.paths;
      const seen: string[] = [];
      let after: string | null = null;
      do {
        const query: string = after === null ? '' : `&after=${encodeURIComponent(after)}`;
        const { body } = await api.get(`${path}?limit=2${query}`);
        expect(body.data.length).toBeLessThanOrEqual(2);
        seen.push(...body.data.map(({ id }: { id: string }) => id));
        after = body.next;
        // What is newer than the page before belongs to none of the pages to come.
        if (seen.length === 2) await makeObjects(api, 'meanwhile');
      } while (after !== null);
      expect(new Set(seen).size).toBe(seen.length);
      expect(before.filter((id) => !seen.includes(id))).toEqual([]);
    }
    expect(lists.length).toBeGreaterThan(0);
  });

  it('refuses a place that is none, and a page that is too large', async () => {
    await using api = await startManagement();
    const cursors = ['x', '%00', btoa('[1]'), btoa('["a","b"]'), btoa('[1e999,"a"]'), btoa('{}')];
    for (const { paths } of lists) {
      for (const query of [...cursors.map((one) => `after=${one}`), 'limit=0', 'limit=501']) {
        const { status } = await api.get(`${paths[0]}?${query}`);
        expect([paths[0], query, status]).toEqual([paths[0], query, 422]);
      }
    }
    expect(api.faults).toEqual([]);
  });
});
