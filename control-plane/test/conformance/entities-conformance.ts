import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KeyDocument } from '../../src/store/documents.ts';
import {
  absent,
  ConflictError,
  UniqueError,
  type Change,
  type Entities,
  type Premise,
  type Stored,
} from '../../src/store/entities.ts';
import type { AuditEntry } from '../../src/store/audit.ts';
import type { Store } from '../../src/store/store.ts';
import { auditEntry, ideographs, keyDocument, noon, teamDocument } from './documents.ts';
import { underTest, type CreateStore, type Trials } from './store-under-test.ts';

/** What the entities of every store promise. */
export function describeEntities(name: string, create: CreateStore, { runs }: Trials): void {
  describe(`${name}: entities`, () => {
    const subject = underTest(create);
    const entities = (): Entities => subject().store.entities;
    const putKey = (
      id: string,
      members: Partial<KeyDocument> = {},
      createdMs?: number,
    ): Change => ({ kind: 'key', id, document: keyDocument(id, members, createdMs) });

    it('gives back what was written, and nothing for what was not', async () => {
      const document = keyDocument('a', {
        metadata: { 'né\u0000': [1.5, null, '\ud800', { x: '😀' }] },
      });
      const [version] = await entities().write([{ kind: 'key', id: 'a', document }]);
      expect(await entities().get('key', 'a')).toEqual({ id: 'a', version, document });
      expect(await entities().get('team', 'a')).toBeUndefined();
      expect(await entities().get('key', 'b')).toBeUndefined();
      const many = await entities().getMany('key', ['b', 'a', 'c']);
      expect(many.map(({ id }) => id)).toEqual(['a']);
      expect(await entities().getMany('key', [])).toEqual([]);
      expect(await entities().write([])).toEqual([]);
    });

    it('writes only over the version that was expected', async () => {
      const change = putKey('versions');
      const [first] = await entities().write([{ ...change, expected: absent }]);
      await expect(entities().write([{ ...change, expected: absent }])).rejects.toEqual(
        new ConflictError('key', 'versions'),
      );
      const [second] = await entities().write([{ ...change, expected: first }]);
      expect(second).not.toBe(first);
      await expect(entities().write([{ ...change, expected: first }])).rejects.toThrow(
        ConflictError,
      );
      await expect(
        entities().write([{ kind: 'key', id: 'versions', document: undefined, expected: first }]),
      ).rejects.toThrow(ConflictError);
      const [third] = await entities().write([change]);
      expect((await entities().get('key', 'versions'))?.version).toBe(third);
    });

    it('removes, also what is not there, and never uses a version again', async () => {
      const gone: Change = { kind: 'key', id: 'removed', document: undefined };
      expect(await entities().write([gone])).toEqual([undefined]);
      const [first] = await entities().write([putKey('removed')]);
      await entities().write([{ ...gone, expected: first }]);
      expect(await entities().get('key', 'removed')).toBeUndefined();
      await expect(entities().write([{ ...gone, expected: first }])).rejects.toThrow(ConflictError);
      await entities().write([putKey('removed')]);
      await expect(entities().write([{ ...putKey('removed'), expected: first }])).rejects.toThrow(
        ConflictError,
      );
    });

    it('makes all changes of a write or none', async () => {
      await entities().write([putKey('all-1', { key_alias: 'all-taken' })]);
      const failing: readonly Change[][] = [
        [putKey('all-2'), { ...putKey('all-1'), expected: absent }],
        [putKey('all-2'), { ...putKey('all-3'), expected: 'no version' }],
        [putKey('all-2'), putKey('all-3', { key_alias: 'all-taken' })],
        [putKey('all-2', { key_alias: 'all-same' }), putKey('all-3', { key_alias: 'all-same' })],
        [
          { kind: 'key', id: 'all-1', document: undefined },
          { ...putKey('all-3'), expected: 'none' },
        ],
      ];
      for (const changes of failing) {
        await expect(entities().write(changes)).rejects.toThrow(/expected to be|another key has/);
      }
      const there = await entities().getMany('key', ['all-1', 'all-2', 'all-3']);
      expect(there.map(({ id }) => id)).toEqual(['all-1']);
    });

    it('makes a write only while what it read stands, and says what does not', async () => {
      const team = (): Change => ({ kind: 'team', id: 'held', document: teamDocument('held') });
      const given = putKey('premise', { team_id: 'held' });
      const expected = async (): Promise<string> =>
        (await entities().get('team', 'held'))?.version ?? absent;
      const held = async (): Promise<Premise> => ({
        kind: 'team',
        id: 'held',
        expected: await expected(),
      });
      const refused = async (premise: Premise, found = new ConflictError('team', 'held')) => {
        const records = await subject().store.audit.count({});
        await expect(entities().write([given], auditEntry(), [premise])).rejects.toEqual(found);
        // Alone as well: whoever writes nothing learns it too.
        await expect(entities().write([], undefined, [premise])).rejects.toEqual(found);
        expect(await entities().get('key', 'premise')).toBeUndefined();
        expect(await subject().store.audit.count({})).toBe(records);
      };
      const none = await held();
      await entities().write([team()]);
      await refused(none);
      const first = await held();
      await entities().write([team()]);
      await refused(first);
      const second = await held();
      await entities().write([{ ...team(), document: undefined } as Change]);
      await refused(second);
      await entities().write([team()]);
      await refused(second);

      await entities().write([given], auditEntry(), [
        await held(),
        // Of what the write itself changes its `expected` speaks.
        { kind: 'key', id: 'premise', expected: 'another' },
      ]);
      expect(await entities().get('key', 'premise')).toBeDefined();
      await entities().write([{ ...given, document: undefined } as Change]);
    });

    it('makes a write only while a search finds no more than it found', async () => {
      const gone: Change = { kind: 'team', id: 'searched', document: undefined };
      const where = { team_id: ['searched', 'elsewhere'] };
      const found = (...among: string[]): Premise => ({ kind: 'key', where, among });
      const take = (...premises: Premise[]) => entities().write([gone], auditEntry(), premises);
      await take(found(), { kind: 'key', where: { team_id: [] }, among: [] });
      await entities().write([
        { ...gone, document: teamDocument('searched') } as Change,
        putKey('searched-1', { team_id: 'searched' }),
        putKey('searched-2', { team_id: 'searched', user_id: 'u' }),
      ]);
      const both = found('searched-1', 'searched-2');
      for (const premise of [found('searched-1'), found('searched-1', 'another')]) {
        await expect(take(both, premise)).rejects.toEqual(new ConflictError('key', 'searched-2'));
      }
      const wide: Premise = { kind: 'key', where: {}, among: ['searched-1'] };
      await expect(take(both, wide)).rejects.toThrow(ConflictError);
      const narrow = { team_id: 'searched', user_id: 'u' };
      await expect(take({ kind: 'key', where: narrow, among: [] })).rejects.toThrow(ConflictError);
      const undeclared = { kind: 'key', where: { models: 'x' }, among: [] } as never;
      await expect(take(undeclared)).rejects.toThrow(RangeError);
      expect(await entities().get('team', 'searched')).toBeDefined();

      // Those that the write changes do not count, nor those that are there no more.
      const made = putKey('searched-3', { team_id: 'searched' });
      await entities().write(
        [{ kind: 'key', id: 'searched-1', document: undefined }, made],
        undefined,
        [both],
      );
      await take(found('searched-1', 'searched-2', 'searched-3'));
      expect(await entities().get('team', 'searched')).toBeUndefined();
    });

    it('refuses a write that changes one entity twice, and ids that no index holds', async () => {
      for (const changes of [
        [putKey('twice'), putKey('twice')],
        [putKey('')],
        [putKey('x'.repeat(1_201))],
        [{ ...putKey('late'), document: { ...keyDocument('late'), created_at: 'yesterday' } }],
      ] as Change[][]) {
        await expect(entities().write(changes)).rejects.toThrow(RangeError);
      }
      expect(await entities().get('key', 'x'.repeat(1_201))).toBeUndefined();
      // Nothing that a database could make smaller.
      const long = ideographs(400);
      await entities().write([putKey(long, { key_alias: ideographs(2_000), team_id: long })]);
      const { rows } = await entities().find('key', { where: { team_id: long }, limit: 2 });
      expect(rows.map(({ id }) => id)).toEqual([long]);
    });

    it('gives a unique value to one entity at a time', async () => {
      const secret = (hash: string) => ({ hash, name: 'sk-...', not_after: null });
      await entities().write([
        putKey('unique-1', { key_alias: 'u1', secrets: [secret('h1'), secret('h2')] }),
        putKey('unique-2', { key_alias: 'u2' }),
      ]);
      await expect(entities().write([putKey('unique-2', { key_alias: 'u1' })])).rejects.toEqual(
        new UniqueError('key', 'key_alias'),
      );
      await expect(
        entities().write([putKey('unique-3', { secrets: [secret('h3'), secret('h2')] })]),
      ).rejects.toEqual(new UniqueError('key', 'hash'));
      // Within one write they may change places, and what is given up is free.
      await entities().write([
        putKey('unique-1', { key_alias: 'u2', secrets: [secret('h1')] }),
        putKey('unique-2', { key_alias: 'u1', secrets: [secret('h2')] }),
      ]);
      await entities().write([{ kind: 'key', id: 'unique-2', document: undefined }]);
      await entities().write([putKey('unique-3', { key_alias: 'u1', secrets: [secret('h2')] })]);
      const { rows } = await entities().find('key', { where: { hash: 'h2' }, limit: 5 });
      expect(rows.map(({ id }) => id)).toEqual(['unique-3']);
    });

    it('finds by any of a list of values in every index that is named, each entity once', async () => {
      const member = (user_id: string) => ({ role: 'user' as const, user_id, user_email: null });
      await entities().write([
        {
          kind: 'team',
          id: 'find-1',
          document: teamDocument('find-1', {
            organization_id: 'o',
            members_with_roles: [member('u'), member('v'), member('u')],
          }),
        },
        {
          kind: 'team',
          id: 'find-2',
          document: teamDocument('find-2', { members_with_roles: [member('v')] }),
        },
      ]);
      const found = async (where: NonNullable<Parameters<typeof find>[0]>): Promise<string[]> => {
        const ids = await find(where);
        expect(await entities().count('team', where)).toBe(ids.length);
        return ids;
      };
      const find = async (where: {
        member?: string | string[];
        organization_id?: string | string[];
      }): Promise<string[]> => {
        const { rows } = await entities().find('team', { where, limit: 10, order: 'oldest' });
        return rows.map(({ id }) => id);
      };
      expect(await found({ member: 'v' })).toEqual(['find-1', 'find-2']);
      expect(await found({ member: ['u', 'v', 'w'] })).toEqual(['find-1', 'find-2']);
      expect(await found({ member: 'v', organization_id: ['o', 'p'] })).toEqual(['find-1']);
      expect(await found({ member: ['u', 'v'], organization_id: ['o', 'p'] })).toEqual(['find-1']);
      expect(await found({ member: [] })).toEqual([]);
      expect(await found({ member: 'x' })).toEqual([]);
      await expect(found({ team_id: 'x' } as never)).rejects.toThrow(RangeError);
    });

    it('pages by time of creation and then id, whatever is written meanwhile', async () => {
      const team_id = 'paged';
      // Three for each time, so that ids decide.
      const ids = Array.from({ length: 30 }, (_, at) => `paged-${String(at).padStart(2, '0')}`);
      await entities().write(
        ids.map((id, at) => putKey(id, { team_id }, noon + Math.floor(at / 3))),
      );
      for (const where of [{ team_id }, { team_id: [team_id, 'other'] }]) {
        for (const order of ['oldest', 'newest'] as const) {
          const expected = order === 'oldest' ? ids : ids.toReversed();
          const seen: string[] = [];
          let after: string | undefined;
          do {
            const page = await entities().find('key', {
              where,
              order,
              limit: 7,
              ...(after && { after }),
            });
            seen.push(...page.rows.map(({ id }) => id));
            after = page.next;
            // Written again, an entity keeps its place.
            await entities().write([putKey(ids[15]!, { team_id }, noon + 5)]);
          } while (after);
          expect(seen).toEqual(expected);
          const { rows } = await entities().find('key', { where, order, limit: 3, offset: 9 });
          expect(rows.map(({ id }) => id)).toEqual(expected.slice(9, 12));
        }
      }
      await expect(entities().find('key', { limit: 1, after: 'elsewhere' })).rejects.toThrow(
        RangeError,
      );
      await expect(entities().find('key', { limit: 0 })).rejects.toThrow(RangeError);
    });

    it('takes any text for an id and for a value of an index, and mixes no two up', async () => {
      const text = fc
        .array(fc.integer({ min: 0, max: 0xff_ff }), { minLength: 1, maxLength: 40 })
        .map((units) => String.fromCharCode(...units));
      const awkward = fc.oneof(
        text,
        fc.constantFrom(
          '\0',
          '\\0000',
          '\\',
          '\ud800',
          '\udc00',
          "'; --",
          '%',
          '"',
          'é',
          'e\u0301',
        ),
        text.map((start) => start + 'x'.repeat(3_000)),
      );
      let round = 0;
      await fc.assert(
        fc.asyncProperty(fc.uniqueArray(awkward, { maxLength: 8 }), async (values) => {
          round += 1;
          const ids = values.map((value) => `${round}${value}`);
          const kept = ids.filter((id) => id.length < 200);
          const team_id = (id: string): string => `${id}team`;
          await entities().write(
            kept.map((id) => putKey(id, { team_id: team_id(id), key_alias: `${id}` })),
          );
          await entities().write(
            ids
              .filter((id) => id.length >= 200)
              .map((id, at) =>
                putKey(`${round}-long-${at}`, { team_id: team_id(id), key_alias: id }),
              ),
          );
          for (const id of kept) {
            expect((await entities().get('key', id))?.document.key_id).toBe(id);
          }
          for (const id of ids) {
            const byTeam = await entities().find('key', {
              where: { team_id: team_id(id) },
              limit: 5,
            });
            expect(byTeam.rows.map(({ document }) => document.key_alias)).toEqual([id]);
          }
        }),
        { numRuns: runs },
      );
    });

    it('does as a model of it does, write after write', async () => {
      const ids = ['m0', 'm1', 'm2'];
      const values = fc.constantFrom(null, 'x', 'y', 'z');
      const step = fc.array(
        fc.record({
          id: fc.constantFrom(...ids),
          remove: fc.boolean(),
          alias: values,
          team: values,
          expected: fc.constantFrom('any', 'any', 'absent', 'current', 'stale'),
        }),
        { minLength: 1, maxLength: 3 },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 10 }), async (steps) => {
          await entities().write(ids.map((id) => ({ kind: 'key', id, document: undefined })));
          let model = new Map<string, Stored<'key'>>();
          for (const given of steps) {
            const changes = [...new Map(given.map((change) => [change.id, change])).values()].map(
              ({ id, remove, alias, team, expected }) => ({
                kind: 'key' as const,
                id,
                document: remove ? undefined : keyDocument(id, { key_alias: alias, team_id: team }),
                expected: {
                  any: undefined,
                  absent,
                  current: model.get(id)?.version ?? absent,
                  stale: 'stale',
                }[expected],
              }),
            );
            const next = modelWrite(model, changes);
            if (next instanceof Error) {
              await expect(entities().write(changes)).rejects.toThrow(next.constructor as never);
            } else {
              const versions = await entities().write(changes);
              model = new Map(
                [...next].map(([id, stored]) => {
                  const at = changes.findIndex((change) => change.id === id);
                  return [id, at < 0 ? stored : { ...stored, version: versions[at]! }];
                }),
              );
            }
            await expectSame(entities(), model, ids);
          }
        }),
        { numRuns: runs },
      );
    });
  });

  describe(`${name}: very many entities`, () => {
    const subject = underTest(create);

    it('goes through every entity of a kind once, and gives a thousand at most on one page', async () => {
      const { entities } = subject().store;
      const ids = Array.from({ length: 1_001 }, (_, at) => `every-${at}`);
      await entities.write(
        ids.map((id) => ({
          kind: 'budget' as const,
          id,
          document: { ...keyDocument(id), budget_id: id, budget_reset_at: null },
        })),
      );
      const seen: string[] = [];
      for await (const { id } of entities.all('budget')) seen.push(id);
      expect(seen.toSorted()).toEqual(ids.toSorted());
      const page = await entities.find('budget', { limit: 5_000 });
      expect(page.rows).toHaveLength(1_000);
      expect(await entities.getMany('budget', ids)).toHaveLength(1_001);
    });
  });

  describe(`${name}: entities under many writers`, () => {
    const subject = underTest(create);
    const writers = Array.from({ length: 20 }, (_, at) => at);

    it('loses no change that was made over the version it read', async () => {
      const { entities } = subject().store;
      await entities.write([{ kind: 'key', id: 'counter', document: keyDocument('counter') }]);
      const addOne = async (): Promise<void> => {
        for (;;) {
          const read = await entities.get('key', 'counter');
          const document = { ...read!.document, rotation_count: read!.document.rotation_count + 1 };
          try {
            await entities.write([
              { kind: 'key', id: 'counter', document, expected: read!.version },
            ]);
            return;
          } catch (error) {
            if (!(error instanceof ConflictError)) throw error;
          }
        }
      };
      await Promise.all(writers.map(addOne));
      expect((await entities.get('key', 'counter'))?.document.rotation_count).toBe(20);
    });

    it('lets one of many have an id or a unique value, also over several stores', async () => {
      const { store } = subject();
      const other = await subject().another();
      try {
        const results = await Promise.allSettled(
          writers.flatMap((at) => {
            const { entities } = at % 2 === 0 ? store : other;
            const id = `alias-${at}`;
            return [
              entities.write([
                { kind: 'key', id, document: keyDocument(id, { key_alias: 'one' }) },
              ]),
              entities.write([
                { kind: 'key', id: 'one', document: keyDocument('one'), expected: absent },
              ]),
            ];
          }),
        );
        const failures = results.flatMap((result) =>
          result.status === 'rejected' ? [(result.reason as Error).name] : [],
        );
        expect(failures.filter((failure) => failure === 'UniqueError')).toHaveLength(19);
        expect(failures.filter((failure) => failure === 'ConflictError')).toHaveLength(19);
        expect(await store.entities.count('key', { key_alias: 'one' })).toBe(1);
      } finally {
        await other.close();
      }
    });

    it('takes away a holder with all that is given to it at the same time, over several stores', async () => {
      const { store } = subject();
      const other = await subject().another();
      const writing = async (work: () => Promise<unknown>): Promise<void> => {
        for (;;) {
          try {
            await work();
            return;
          } catch (error) {
            if (!(error instanceof ConflictError)) throw error;
          }
        }
      };
      /** A key for the team while there is one; what is recorded and what is not meet alike. */
      const give = ({ entities }: Store, id: string, entry?: AuditEntry) =>
        writing(async () => {
          const team = await entities.get('team', 'taken');
          if (!team) return;
          const document = keyDocument(id, { team_id: 'taken' });
          await entities.write([{ kind: 'key', id, document, expected: absent }], entry, [
            { kind: 'team', id: 'taken', expected: team.version },
          ]);
        });
      const take = ({ entities }: Store, entry?: AuditEntry) =>
        writing(async () => {
          const team = await entities.get('team', 'taken');
          const where = { team_id: 'taken' };
          const { rows } = await entities.find('key', { where, limit: 100 });
          const gone = rows.map(({ id, version }): Change => ({
            kind: 'key',
            id,
            document: undefined,
            expected: version,
          }));
          const holder: Change = {
            kind: 'team',
            id: 'taken',
            document: undefined,
            expected: team?.version,
          };
          const among = rows.map(({ id }) => id);
          await entities.write([holder, ...gone], entry, [{ kind: 'key', where, among }]);
        });
      try {
        for (let round = 0; round < 5; round += 1) {
          await store.entities.write([
            { kind: 'team', id: 'taken', document: teamDocument('taken') },
          ]);
          const givers = writers
            .slice(0, 8)
            .map((at) =>
              give(
                at % 2 === 0 ? store : other,
                `given-${round}-${at}`,
                at % 3 === 0 ? undefined : auditEntry(),
              ),
            );
          await Promise.all([...givers, take(round % 2 === 0 ? other : store, auditEntry())]);
          expect(await store.entities.get('team', 'taken')).toBeUndefined();
          expect(await store.entities.count('key', { team_id: 'taken' })).toBe(0);
        }
      } finally {
        await other.close();
      }
    });

    it('has indexes that agree with the documents, whoever wrote, removed and swapped', async () => {
      const { entities } = subject().store;
      const ids = ['i0', 'i1', 'i2', 'i3'];
      const work = async (writer: number): Promise<void> => {
        for (let turn = 0; turn < 12; turn += 1) {
          const [first, second] = [ids[(writer + turn) % 4]!, ids[(writer * 3 + turn) % 4]!];
          const aliases = [`swap-${(writer + turn) % 3}`, `swap-${(writer + turn + 1) % 3}`];
          const put = (id: string, alias: string | undefined): Change => ({
            kind: 'key',
            id,
            document:
              (writer + turn) % 4 === 0
                ? undefined
                : keyDocument(id, { key_alias: alias ?? null, team_id: `team-${writer % 2}` }),
          });
          const changes =
            first === second
              ? [put(first, aliases[0])]
              : [put(first, aliases[0]), put(second, aliases[1])];
          await entities.write(changes).catch((error: unknown) => {
            if (!(error instanceof UniqueError)) throw error;
          });
        }
      };
      const done = await Promise.allSettled(writers.map(work));
      expect(done.filter(({ status }) => status === 'rejected')).toEqual([]);
      const there = await entities.getMany('key', ids);
      await expectSame(entities, new Map(there.map((stored) => [stored.id, stored])), ids, [
        'swap-0',
        'swap-1',
        'swap-2',
        'team-0',
        'team-1',
      ]);
    });
  });
}

type KeyChange = {
  kind: 'key';
  id: string;
  document: KeyDocument | undefined;
  expected: string | undefined;
};

/** What a write makes of a model, in as few words as it can be said; versions are still to be filled in. */
function modelWrite(
  model: ReadonlyMap<string, Stored<'key'>>,
  changes: readonly KeyChange[],
): Map<string, Stored<'key'>> | Error {
  const next = new Map(model);
  for (const { id, document, expected } of changes) {
    if (expected !== undefined && expected !== (model.get(id)?.version ?? absent)) {
      return new ConflictError('key', id);
    }
    if (document) next.set(id, { id, version: '', document });
    else next.delete(id);
  }
  const aliases = [...next.values()].flatMap(({ document }) => document.key_alias ?? []);
  return new Set(aliases).size < aliases.length ? new UniqueError('key', 'key_alias') : next;
}

/** Whether a store has these keys and no others of the ids, and finds each by what is in it. */
async function expectSame(
  entities: Entities,
  model: ReadonlyMap<string, Stored<'key'>>,
  ids: readonly string[],
  values: readonly string[] = ['x', 'y', 'z'],
): Promise<void> {
  const there = await entities.getMany('key', ids);
  expect(new Map(there.map((stored) => [stored.id, stored]))).toEqual(model);
  for (const index of ['key_alias', 'team_id'] as const) {
    for (const value of values) {
      const having = [...model.values()].filter(({ document }) => document[index] === value);
      const { rows } = await entities.find('key', { where: { [index]: value }, limit: 10 });
      const found = rows.map(({ id }) => id).filter((id) => ids.includes(id));
      expect(found.toSorted()).toEqual(having.map(({ id }) => id).toSorted());
    }
  }
}
