import type { UsageRecord } from '@aigateway/contract/usage';
import { noTokens } from '@aigateway/contract/usage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type {
  ActivityQuery,
  ActivityRow,
  Dimension,
  Ledger,
  LedgerEvent,
  LedgerSums,
} from '../../src/store/ledger.ts';
import { dayOf, sumNames } from '../../src/store/usage-sums.ts';
import { dropLogs } from './drop-logs.ts';
import { dayMs, hourMs, ideographs, noon, usageRecord } from './documents.ts';
import { underTest, type CreateStore, type Trials } from './store-under-test.ts';

const today = '2026-11-26';
const everyDay = { fromDay: '1970-01-01', toDay: '9999-12-31' };

/** What the ledger of every store promises. */
export function describeLedger(name: string, create: CreateStore, { runs }: Trials): void {
  describe(`${name}: ledger`, () => {
    const subject = underTest(create);
    const ledger = (): Ledger => subject().store.ledger;

    it('sums a request in every dimension it has, by day and broken down', async () => {
      const record = usageRecord({
        keyId: 'sum-key',
        userId: 'sum-user',
        teamId: 'sum-team',
        organizationId: 'sum-organization',
        customerId: 'sum-customer',
        model: 'sum-model',
        deploymentId: 'sum-deployment',
        tags: ['sum-a', 'sum-b', 'sum-a'],
      });
      const failed: UsageRecord = {
        ...record,
        outcome: 'failed',
        tokens: noTokens,
        costNanoUsd: 0,
      };
      const before = await ledger().spend({ dimension: 'all', ids: ['all'] });
      expect(
        await ledger().append('sums', [
          { sequence: 1, record },
          { sequence: 2, record: failed },
          { sequence: 3, record: { ...record, startedAt: noon + dayMs } },
        ]),
      ).toBe(3);
      const sums: LedgerSums = {
        requests: 2,
        failed: 1,
        inputTokens: 10,
        cachedInputTokens: 4,
        cacheWriteTokens: 1,
        outputTokens: 5,
        reasoningTokens: 2,
        costNanoUsd: 1_000,
      };
      const ids: { [dimension in Exclude<Dimension, 'all'>]: string } = {
        key: 'sum-key',
        user: 'sum-user',
        team: 'sum-team',
        organization: 'sum-organization',
        customer: 'sum-customer',
        model: 'sum-model',
        deployment: 'sum-deployment',
        tag: 'sum-a',
        member: 'sum-team:sum-user',
        key_model: 'sum-key:sum-model',
      };
      const whole = await ledger().spend({ dimension: 'all', ids: ['all'] });
      expect(whole.get('all')).toBe((before.get('all') ?? 0) + 2_000);
      const range = { fromDay: today, toDay: today };
      for (const [dimension, id] of Object.entries(ids) as [Dimension, string][]) {
        const asked = { dimension, ids: [id, 'nobody'] };
        expect(await ledger().activity({ ...asked, ...range })).toEqual([{ day: today, id, sums }]);
        expect(await ledger().spend(asked)).toEqual(new Map([[id, 2_000]]));
        const isUndivided = ['member', 'key_model'].includes(dimension);
        if (isUndivided) {
          await expect(ledger().activity({ ...asked, ...range, by: 'model' })).rejects.toThrow(
            RangeError,
          );
        } else if (dimension !== 'model' && dimension !== 'deployment') {
          expect(await ledger().activity({ ...asked, ...range, by: 'model' })).toEqual([
            { day: today, id, byId: 'sum-model', sums },
          ]);
        }
      }
      const all = await ledger().activity({ dimension: 'tag', ...everyDay });
      expect(
        all.map(({ day, id }) => [day, id]).filter(([, id]) => id?.startsWith('sum-')),
      ).toEqual([
        [today, 'sum-a'],
        [today, 'sum-b'],
        ['2026-11-27', 'sum-a'],
        ['2026-11-27', 'sum-b'],
      ]);
      const others = [
        ['team', 'key', 'sum-key'],
        ['team', 'deployment', 'sum-deployment'],
        ['key', 'deployment', 'sum-deployment'],
        ['model', 'deployment', 'sum-deployment'],
      ] as const;
      for (const [dimension, by, byId] of others) {
        const asked = { dimension, ids: [ids[dimension]], by, ...range };
        expect(await ledger().activity(asked)).toMatchObject([{ byId, sums }]);
      }
      for (const [dimension, by] of [
        ['team', 'user'],
        ['model', 'team'],
        ['deployment', 'model'],
      ] as const) {
        await expect(ledger().activity({ dimension, by, ...range })).rejects.toThrow(RangeError);
      }
    });

    it('tells the hour that the last request of each id started in, whatever came of it and in whichever order they came', async () => {
      const [usedTwice, failedAt] = [noon + 2 * dayMs + 90 * 60_000, noon - 5 * hourMs - 1];
      const of = (keyId: string, startedAt: number, more: Partial<UsageRecord> = {}) =>
        usageRecord({ keyId, startedAt, ...more });
      const corrects = 'last-request';
      const records: UsageRecord[] = [
        of('last-twice', usedTwice),
        of('last-twice', noon, { requestId: corrects }),
        of('last-failed', failedAt, { outcome: 'failed', tokens: noTokens, costNanoUsd: 0 }),
        of('last-twice', noon, { corrects }),
      ];
      const events = records.map((record, at) => ({ sequence: at + 1, record }));
      await ledger().append('last-uses', events);
      const ids = ['last-twice', 'last-failed', 'last-nobody', 'last-twice'];
      expect(await ledger().lastUse('key', ids)).toEqual(
        new Map([
          ['last-twice', noon + 2 * dayMs + hourMs],
          ['last-failed', noon - 6 * hourMs],
        ]),
      );
      expect(await ledger().lastUse('key', [])).toEqual(new Map());
    });

    it('adds up the days of each id and the ids of each day, as their single sums do', async () => {
      const records = Array.from({ length: 40 }, (_, at) =>
        usageRecord({
          // What comes first by name came last.
          keyId: `added-${9 - (at % 5)}`,
          teamId: `added-${(at * 3) % 4}`,
          model: `added-${(at * 7) % 3}`,
          startedAt: noon + 700 * dayMs + Math.floor((at % 9) / 2) * dayMs,
          outcome: at % 6 === 0 ? 'failed' : 'completed',
          // Many cost the same.
          costNanoUsd: 100 * (at % 3),
        }),
      );
      await ledger().append(
        'added',
        records.map((record, at) => ({ sequence: at + 1, record })),
      );
      const ids = Array.from({ length: 10 }, (_, at) => `added-${at}`);
      const plain = {
        fromDay: dayOf(noon + 700 * dayMs),
        toDay: dayOf(noon + 704 * dayMs),
      };
      for (const asked of [
        { ...plain, dimension: 'key' },
        { ...plain, dimension: 'key', ids: ['added-5', 'added-6', 'nobody'] },
        { ...plain, dimension: 'team', ids, by: 'model' },
        { ...plain, dimension: 'team', by: 'key' },
        { ...plain, dimension: 'team', ids, by: 'model', byId: 'added-1' },
        { ...plain, dimension: 'team', ids, by: 'model', byId: 'nothing' },
      ] as const satisfies readonly ActivityQuery[]) {
        const { byId, ...whole }: ActivityQuery = asked;
        const single = (await ledger().activity(whole)).filter(
          (row) => byId === undefined || row.byId === byId,
        );
        expect(await ledger().activity(asked)).toEqual(single);
        if (byId !== 'nothing') expect(single.length).toBeGreaterThan(5);
        const overDays = addedUp(single, ({ id, byId: part }) => `${id} ${part}`);
        const overIds = addedUp(single, ({ day, byId: part }) => `${day} ${part}`);
        expect(await ledger().activity({ ...asked, over: 'days' })).toEqual(overDays);
        expect(await ledger().activity({ ...asked, over: 'ids' })).toEqual(overIds);
        for (const highest of [1, 3, 1000]) {
          const cut = (rows: readonly ActivityRow[]): ActivityRow[] =>
            rows.toSorted((a, b) => b.sums.costNanoUsd - a.sums.costNanoUsd).slice(0, highest);
          expect(await ledger().activity({ ...asked, highest })).toEqual(cut(single));
          expect(await ledger().activity({ ...asked, over: 'days', highest })).toEqual(
            cut(overDays),
          );
        }
      }
      const asked = { ...plain, dimension: 'team' } as const;
      for (const wrong of [{ byId: 'added-1' }, { highest: 0 }, { highest: 1.5 }]) {
        await expect(ledger().activity({ ...asked, ...wrong })).rejects.toThrow(RangeError);
      }
    });

    it('counts each event once, however they are split and repeated', async () => {
      let producers = 0;
      const events = fc.array(anyRecord, { minLength: 1, maxLength: 30 });
      const slices = fc.array(fc.tuple(fc.nat(29), fc.nat(12)), { maxLength: 12 });
      const total = new Map<string, number>();
      await fc.assert(
        fc.asyncProperty(events, slices, async (records, given) => {
          producers += 1;
          const producer = `split-${producers}`;
          const all = records.map((record, at): LedgerEvent => ({ sequence: at + 1, record }));
          let mark = 0;
          for (const [from, length] of given) {
            const slice = all.slice(from, from + length);
            // What does not follow the mark is not taken.
            if (from <= mark) mark = Math.max(mark, from + slice.length);
            expect(await ledger().append(producer, slice)).toBe(mark);
          }
          expect(await ledger().append(producer, all)).toBe(all.length);
          expect(await ledger().append(producer, all)).toBe(all.length);
          expect(await ledger().mark(producer)).toBe(all.length);

          for (const { keyId, costNanoUsd } of records) {
            total.set(keyId, (total.get(keyId) ?? 0) + costNanoUsd);
          }
          const spend = await ledger().spend({ dimension: 'key', ids: keys });
          expect(spend).toEqual(new Map([...total].filter(([, cost]) => cost > 0)));
        }),
        { numRuns: runs },
      );
      const counted = await logsOf(ledger(), { keyId: keys[0]! });
      const activity = await ledger().activity({ dimension: 'key', ids: [keys[0]!], ...everyDay });
      const requests = activity.reduce((sum, { sums }) => sum + sums.requests, 0);
      expect(counted.length).toBe(requests);
    });

    it('goes on after what nobody can give any more, and counts what follows once', async () => {
      const at = (sequence: number): LedgerEvent => ({
        sequence,
        record: usageRecord({ keyId: 'floor', requestId: `floor-${sequence}`, costNanoUsd: 1 }),
      });
      const append = (floor: number, ...sequences: number[]) =>
        ledger().append('floor', sequences.map(at), floor);
      expect(await append(0, 1, 2)).toBe(2);
      // A floor below the mark, or before a gap that it does not cover, changes nothing.
      expect(await append(1, 3)).toBe(3);
      expect(await append(2, 6, 7)).toBe(3);
      expect(await append(5, 6, 7)).toBe(7);
      expect(await append(5, 4, 5, 6, 7, 8)).toBe(8);
      expect(await append(10)).toBe(10);
      expect(await ledger().mark('floor')).toBe(10);
      expect(await append(0, 9, 10, 11)).toBe(11);
      expect(await append(2, 2, 3)).toBe(11);
      const counted = await logsOf(ledger(), { keyId: 'floor' });
      const ids = counted.map(({ requestId }) => requestId);
      const kept = [1, 2, 3, 6, 7, 8, 11].map((sequence) => `floor-${sequence}`);
      expect(ids.toSorted()).toEqual(kept.toSorted());
      expect(await ledger().spend({ dimension: 'key', ids: ['floor'] })).toEqual(
        new Map([['floor', 7]]),
      );
    });

    it('tells the spend since an hour to the hour', async () => {
      const at = [
        noon - 25 * hourMs,
        noon - 13 * hourMs,
        noon - 1,
        noon,
        noon + hourMs,
        noon + dayMs,
      ];
      await ledger().append(
        'since',
        at.map((startedAt, index) => ({
          sequence: index + 1,
          record: usageRecord({ keyId: 'since', startedAt, costNanoUsd: 10 ** index }),
        })),
      );
      const since = async (fromMs: number): Promise<number | undefined> =>
        (await ledger().spend({ dimension: 'key', ids: ['since'], fromMs })).get('since');
      expect(await since(noon - 2 * dayMs)).toBe(111_111);
      expect(await since(noon - 12 * hourMs)).toBe(111_100);
      expect(await since(noon - hourMs)).toBe(111_100);
      expect(await since(noon)).toBe(111_000);
      expect(await since(noon + hourMs - 1)).toBe(111_000);
      expect(await since(noon + 2 * hourMs)).toBe(100_000);
      expect(await since(noon + 2 * dayMs)).toBeUndefined();
    });

    it('takes none of a batch that holds what is no amount', async () => {
      const good = usageRecord({ keyId: 'no-amount' });
      for (const bad of [
        { ...good, costNanoUsd: 0.5 },
        { ...good, costNanoUsd: -1 },
        { ...good, startedAt: Number.NaN },
        { ...good, startedAt: Date.UTC(10_000, 0, 1) },
        { ...good, tokens: { ...good.tokens, input: Infinity } },
      ]) {
        const events = [
          { sequence: 1, record: good },
          { sequence: 2, record: bad },
        ];
        await expect(ledger().append('no-amount', events)).rejects.toThrow(RangeError);
      }
      expect(await ledger().mark('no-amount')).toBe(0);
      expect(await ledger().spend({ dimension: 'key', ids: ['no-amount'] })).toEqual(new Map());
    });

    it('counts one correction of an estimate, whoever gives it, in whatever order', async () => {
      const record = usageRecord({ keyId: 'background', requestId: 'b-1', costNanoUsd: 9_000 });
      const correction: UsageRecord = {
        ...record,
        tokens: { ...noTokens, input: 2, output: -4 },
        costNanoUsd: -5_000,
        corrects: 'background-1',
      };
      const upwards = { ...correction, costNanoUsd: 7, corrects: 'background-2' };
      // It may overtake what it corrects, which came by another producer.
      const first = [
        { sequence: 1, record: correction },
        { sequence: 2, record: correction },
      ];
      expect(await ledger().append('corrects-1', first)).toBe(2);
      expect(await ledger().append('corrected', [{ sequence: 1, record }])).toBe(1);
      const second = [
        { sequence: 1, record: correction },
        { sequence: 2, record: upwards },
      ];
      expect(await ledger().append('corrects-2', second)).toBe(2);

      const asked = { dimension: 'key' as const, ids: ['background'] };
      expect(await ledger().spend(asked)).toEqual(new Map([['background', 4_007]]));
      const [day] = await ledger().activity({ ...asked, fromDay: today, toDay: today });
      const { tokens } = record;
      expect(day?.sums).toMatchObject({
        requests: 1,
        failed: 0,
        inputTokens: tokens.input + 4,
        outputTokens: tokens.output - 8,
        costNanoUsd: 4_007,
      });
      expect(await logsOf(ledger(), { requestId: 'b-1' })).toHaveLength(3);
    });

    it('counts a sum of requests where it says, and shows it among no single records', async () => {
      const record: UsageRecord = {
        ...usageRecord({ keyId: 'carried-key', teamId: 'carried-team', model: 'carried-model' }),
        startedAt: Date.UTC(2024, 1, 3),
        requestId: 'carried',
        costNanoUsd: 700,
        sum: { countsIn: ['team', 'key'], requests: 12, failed: 5 },
      };
      const events = [
        { sequence: 1, record },
        { sequence: 2, record: { ...record, sum: { countsIn: ['key'], requests: 1, failed: 0 } } },
      ];
      expect(await ledger().append('carries', events)).toBe(2);
      expect(await ledger().append('carries', events)).toBe(2);
      const days = { fromDay: '2024-02-03', toDay: '2024-02-03' };
      const sumsIn = async (dimension: Dimension, id: string, by?: Dimension) =>
        (await ledger().activity({ dimension, ids: [id], ...days, ...(by && { by }) })).map(
          ({ byId, sums: { requests, failed, costNanoUsd } }) => [
            byId ?? '',
            requests,
            failed,
            costNanoUsd,
          ],
        );
      expect(await sumsIn('team', 'carried-team')).toEqual([['', 12, 5, 700]]);
      expect(await sumsIn('team', 'carried-team', 'key')).toEqual([['carried-key', 12, 5, 700]]);
      expect(await sumsIn('team', 'carried-team', 'model')).toEqual([
        ['carried-model', 12, 5, 700],
      ]);
      expect(await sumsIn('key', 'carried-key')).toEqual([['', 13, 5, 1_400]]);
      expect(await sumsIn('model', 'carried-model')).toEqual([]);
      expect(await sumsIn('all', 'all')).toEqual([]);
      const spent = { dimension: 'team' as const, ids: ['carried-team'] };
      const all = new Map([['carried-team', 700]]);
      expect(await ledger().spend(spent)).toEqual(all);
      expect(await ledger().spend({ ...spent, fromMs: record.startedAt })).toEqual(all);
      expect(await logsOf(ledger(), { requestId: 'carried' })).toEqual([]);
      const broken = { ...record, sum: { countsIn: ['key'], requests: 0.5, failed: 0 } };
      await expect(ledger().append('carries', [{ sequence: 3, record: broken }])).rejects.toThrow(
        RangeError,
      );
    });

    it('takes any text that a caller put into a request', async () => {
      const texts = [
        '\0',
        '\ud800',
        '\\0000',
        "'; drop table x",
        '😀',
        ideographs(5_000),
        ideographs(400),
        '',
      ];
      await ledger().append(
        'text \0',
        texts.map((text, at) => ({
          sequence: at + 1,
          record: usageRecord({
            requestId: text,
            customerId: text,
            userId: text,
            tags: [text],
            model: text,
            costNanoUsd: at + 1,
          }),
        })),
      );
      for (const [at, text] of texts.entries()) {
        const logs = await logsOf(ledger(), { customerId: text });
        expect(logs.map(({ customerId }) => customerId)).toEqual([text]);
        const spend = await ledger().spend({ dimension: 'customer', ids: [text] });
        expect([...spend.values()]).toEqual([at + 1]);
        // Of a long one its beginning and a digest are kept.
        if (text.length < 5_000) expect([...spend.keys()]).toEqual([text]);
      }
    });

    it('shows single records, the newest first, by what they are looked for', async () => {
      const records = Array.from({ length: 40 }, (_, at) =>
        usageRecord({
          requestId: `log-${at}`,
          // Pairs of the same time, over a week.
          startedAt: noon + Math.floor(at / 2) * 9 * hourMs,
          keyId: `log-key-${at % 2}`,
          teamId: 'log-team',
          ...(at % 3 === 0 && { userId: 'log-user', customerId: 'log-customer' }),
          model: `log-model-${at % 4}`,
          outcome: at % 5 === 0 ? 'aborted' : 'completed',
        }),
      );
      await ledger().append(
        'logs',
        records.map((record, at) => ({ sequence: at + 1, record })),
      );
      const newest = records.toReversed();
      const team = { teamId: 'log-team' };
      expect(await logsOf(ledger(), team)).toEqual(newest);
      expect(await logsOf(ledger(), { ...team, keyId: 'log-key-1', model: 'log-model-3' })).toEqual(
        newest.filter(({ model }) => model === 'log-model-3'),
      );
      for (const where of [{ userId: 'log-user' }, { customerId: 'log-customer' }]) {
        expect(await logsOf(ledger(), where)).toEqual(newest.filter(({ userId }) => userId));
      }
      expect(await logsOf(ledger(), { requestId: 'log-7' })).toEqual([records[7]]);
      for (const status of ['success', 'failure'] as const) {
        expect(await logsOf(ledger(), { ...team, status })).toEqual(
          newest.filter(({ outcome }) => (outcome === 'completed') === (status === 'success')),
        );
      }
      const fromMs = noon + 9 * hourMs;
      const toMs = noon + 45 * hourMs;
      expect(await logsOf(ledger(), { ...team, fromMs, toMs })).toEqual(
        newest.filter(({ startedAt }) => startedAt >= fromMs && startedAt < toMs),
      );
    });

    it('drops single records by the day, the oldest first, and keeps the sums', async () => {
      const old = noon - 400 * dayMs;
      const ofDay = (day: number): UsageRecord =>
        usageRecord({
          keyId: 'drop',
          userId: 'drop-user',
          teamId: 'drop-team',
          tags: ['drop-tag'],
          startedAt: old + day * dayMs,
        });
      const days = [0, 1, 2].map((day) => dayOf(old + day * dayMs));
      const [first = '', second = '', third = ''] = days;
      const append = (from: number, ...records: readonly UsageRecord[]): Promise<number> =>
        ledger().append(
          'drop',
          records.map((record, at) => ({ sequence: from + at, record })),
        );
      await append(1, ofDay(1), ofDay(0), ofDay(2), { ...ofDay(0), corrects: 'drop-background' });
      const range = { fromDay: first, toDay: third };
      const sums = async (): Promise<unknown> =>
        Promise.all([
          ledger().activity({ dimension: 'key', ids: ['drop'], ...range }),
          ledger().activity({ dimension: 'team', ids: ['drop-team'], by: 'key', ...range }),
          ledger().activity({ dimension: 'tag', ids: ['drop-tag'], ...range }),
          ledger().activity({ dimension: 'all', ...range }),
          // Within a day, which goes by hours, and since ever.
          ledger().spend({ dimension: 'user', ids: ['drop-user'], fromMs: old - hourMs }),
          ledger().spend({ dimension: 'member', ids: ['drop-team:drop-user'] }),
        ]);
      const before = await sums();

      expect(await ledger().dropOldestLogs(first)).toBeUndefined();
      expect(await ledger().dropOldestLogs(third)).toBe(first);
      expect(await logsOf(ledger(), { keyId: 'drop' })).toEqual([ofDay(2), ofDay(1)]);
      expect(await dropLogs(ledger(), third)).toEqual([second]);
      expect(await dropLogs(ledger(), third)).toEqual([]);
      expect(await logsOf(ledger(), { keyId: 'drop' })).toEqual([ofDay(2)]);
      expect(await sums()).toEqual(before);

      // What was counted is not counted again, as an event or a correction; what comes late is, once, and goes with the next.
      expect(await append(1, ofDay(1), ofDay(0), ofDay(2))).toBe(4);
      expect(await append(5, { ...ofDay(0), corrects: 'drop-background' })).toBe(5);
      expect(await sums()).toEqual(before);
      for (const _ of ['once', 'again']) expect(await append(6, ofDay(0))).toBe(6);
      const spend = await ledger().spend({ dimension: 'key', ids: ['drop'] });
      expect(spend).toEqual(new Map([['drop', 5_000]]));
      expect(await logsOf(ledger(), { keyId: 'drop' })).toContainEqual(ofDay(0));
      expect(await dropLogs(ledger(), third)).toEqual([first]);
      expect(await logsOf(ledger(), { keyId: 'drop' })).toEqual([ofDay(2)]);
      expect(await ledger().spend({ dimension: 'key', ids: ['drop'] })).toEqual(spend);
      await expect(ledger().dropOldestLogs("2026-01-01'; --")).rejects.toThrow(RangeError);
    });

    it('counts what comes late for days that two stores drop meanwhile', async () => {
      const old = noon - 800 * dayMs;
      const before = dayOf(old + 2 * dayMs);
      const other = await subject().another();
      const producers = [1, 2, 3];
      const batches = Math.min(6, runs + 1);
      try {
        const late = producers.map(async (producer) => {
          for (let batch = 0; batch < batches; batch += 1) {
            const events = [0, 1].map((at) => ({
              sequence: 2 * batch + at + 1,
              record: usageRecord({
                requestId: `late-${producer}-${batch}-${at}`,
                keyId: 'late',
                startedAt: old + ((producer + batch + at) % 2) * dayMs,
              }),
            }));
            await ledger().append(`late-${producer}`, events);
          }
        });
        const dropping = [ledger(), other.ledger].map(async (one) => {
          for (let round = 0; round < batches; round += 1) await dropLogs(one, before);
        });
        await Promise.all([...late, ...dropping]);
      } finally {
        await other.close();
      }
      const requests = producers.length * batches * 2;
      expect(await ledger().spend({ dimension: 'key', ids: ['late'] })).toEqual(
        new Map([['late', requests * 1_000]]),
      );
      await dropLogs(ledger(), before);
      expect(await logsOf(ledger(), { keyId: 'late' })).toEqual([]);
    });

    it('sums more than a number holds exactly without failing', async () => {
      const record = usageRecord({ keyId: 'rich', costNanoUsd: Number.MAX_SAFE_INTEGER });
      await ledger().append('rich', [
        { sequence: 1, record },
        { sequence: 2, record: { ...record, startedAt: noon + dayMs } },
      ]);
      const spend = await ledger().spend({ dimension: 'key', ids: ['rich'] });
      expect(spend.get('rich')).toBe(2 * Number.MAX_SAFE_INTEGER);
    });
  });

  describe(`${name}: ledger under many writers`, () => {
    const subject = underTest(create);

    it('has exact totals when many producers write at once over two stores, to days that are new', async () => {
      const { store } = subject();
      const other = await subject().another();
      const batches = Math.min(5, runs + 1);
      const batch = 20;
      const producers = Math.min(20, runs * 2);
      const append = async (producer: number): Promise<void> => {
        for (let from = 0; from < batches * batch; from += batch) {
          const events = Array.from({ length: batch }, (_, at): LedgerEvent => ({
            sequence: from + at + 1,
            record: usageRecord({
              requestId: `many-${producer}-${from + at}`,
              keyId: `many-${(producer + at) % 7}`,
              teamId: `many-${at % 3}`,
              model: `many-${(producer * 5 + at) % 4}`,
              startedAt: noon + (from / batch) * dayMs,
              costNanoUsd: 1,
            }),
          }));
          // Two consumers may both have the same events, e.g. when one takes over.
          await Promise.all([
            store.ledger.append(`many-${producer}`, events),
            other.ledger.append(`many-${producer}`, events),
          ]);
        }
      };
      try {
        await Promise.all(Array.from({ length: producers }, (_, producer) => append(producer)));
      } finally {
        await other.close();
      }
      const { ledger } = store;
      const ids = Array.from({ length: 7 }, (_, at) => `many-${at}`);
      for (const dimension of ['key', 'team', 'model'] as const) {
        const spend = await ledger.spend({ dimension, ids });
        expect([...spend.values()].reduce((a, b) => a + b, 0)).toBe(producers * batches * batch);
        const activity = await ledger.activity({ dimension, ids, ...everyDay });
        const requests = activity.reduce((sum, { sums }) => sum + sums.requests, 0);
        expect(requests).toBe(producers * batches * batch);
      }
      const logs = await logsOf(ledger, {});
      expect(new Set(logs.map(({ requestId }) => requestId)).size).toBe(
        producers * batches * batch,
      );
      expect(logs).toHaveLength(producers * batches * batch);
    });
  });
}

/** Rows of the same group as one, which stands in the place of the first. */
function addedUp(
  rows: readonly ActivityRow[],
  groupOf: (row: ActivityRow) => string,
): readonly ActivityRow[] {
  return [...Map.groupBy(rows, groupOf).values()].map(([first, ...others]) => {
    const row = structuredClone(first as ActivityRow);
    for (const { sums } of others) for (const name of sumNames) row.sums[name] += sums[name];
    return row;
  });
}

const keys = ['split-a', 'split-b', 'split-c'];

const anyRecord: fc.Arbitrary<UsageRecord> = fc
  .record({
    keyId: fc.constantFrom(...keys),
    teamId: fc.constantFrom('split-t', 'split-u'),
    tags: fc.subarray(['split-x', 'split-y']),
    model: fc.constantFrom('split-m', 'split-n'),
    startedAt: fc.integer({ min: noon - 2 * dayMs, max: noon + 2 * dayMs }),
    costNanoUsd: fc.nat(1_000_000),
    outcome: fc.constantFrom('completed' as const, 'failed' as const),
  })
  .map((members) => usageRecord(members));

async function logsOf(
  ledger: Ledger,
  where: Omit<Parameters<Ledger['logs']>[0], 'limit'>,
): Promise<UsageRecord[]> {
  const records: UsageRecord[] = [];
  let after: string | undefined;
  do {
    const page = await ledger.logs({ ...where, limit: 7 * 11, ...(after && { after }) });
    records.push(...page.rows);
    after = page.next;
  } while (after);
  return records;
}
