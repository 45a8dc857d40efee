import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noTokens, type UsageRecord, type UsageTransport } from '@aigateway/contract/usage';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDirectTransport } from '../../../control-plane/src/usage/direct.ts';
import type { MissingEvents } from '../../../control-plane/src/usage/set-aside.ts';
import { openUsageSpool, wasUsedSince, type UsageSpool } from '../../src/stores/file/spool.ts';
import { GatewayError } from '../../src/errors.ts';
import { CountingLedger, openedCall, usageRecord } from '../usage.fixture.ts';

describe('the usage spool', () => {
  let directory: string;
  let ledger: CountingLedger;
  let transport: UsageTransport;
  let spools: UsageSpool[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'aigateway-spool-'));
    ledger = new CountingLedger();
    transport = createDirectTransport(ledger);
    spools = [];
  });
  afterEach(async () => {
    for (const spool of spools) await spool.close();
    await rm(directory, { recursive: true });
  });

  const folder = () => join(directory, 'usage');

  async function open(options: Partial<Parameters<typeof openUsageSpool>[0]> = {}) {
    // It ships when it is told to: nothing here depends on time.
    const spool = await openUsageSpool({ directory, transport, shipMs: 3_600_000, ...options });
    spools.push(spool);
    return spool;
  }

  /** Ends a process the hard way: what was written stays, nothing more is. */
  async function kill(spool: UsageSpool): Promise<void> {
    const files = await readdir(folder());
    const kept = await Promise.all(
      files.map(async (name) => [name, await readFile(join(folder(), name))] as const),
    );
    spools = spools.filter((one) => one !== spool);
    ledger.isAway = true;
    await spool.close();
    ledger.isAway = false;
    for (const name of await readdir(folder())) await rm(join(folder(), name));
    for (const [name, content] of kept) await writeFile(join(folder(), name), content);
    await rm(join(folder(), 'lock'), { force: true });
  }

  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

  function call(spool: UsageSpool, requestId: string): void {
    spool.settle(usageRecord(requestId), spool.open(openedCall(requestId), 1));
  }

  it('takes every record to the ledger, in the order of their ends, once', async () => {
    const spool = await open();
    const first = spool.open(openedCall('first'), 1);
    call(spool, 'second');
    spool.settle(usageRecord('first'), first);
    await spool.ship();
    await spool.ship();
    expect(ledger.requestIds()).toEqual(['second', 'first']);
    expect(spool.standing()).toMatchObject({ last: 2, mark: 2 });
  });

  it('keeps what the ledger cannot take, over the end of the process', async () => {
    ledger.isAway = true;
    const first = await open();
    const { producer } = first.standing();
    for (let index = 0; index < 3; index += 1) call(first, `a${index}`);
    await first.ship();
    await first.close();
    expect(ledger.requestIds()).toEqual([]);
    ledger.isAway = false;
    const second = await open();
    call(second, 'b');
    await second.ship();
    expect(second.standing()).toMatchObject({ producer, last: 4, mark: 4 });
    expect(ledger.requestIds()).toEqual(['a0', 'a1', 'a2', 'b']);
  });

  it('counts a call whose end was never written once, by estimate', async () => {
    const first = await open();
    first.open(openedCall('lost'), 5);
    call(first, 'whole');
    await turn();
    await kill(first);
    for (let start = 0; start < 3; start += 1) {
      const next = await open();
      await next.ship();
      await next.close();
    }
    expect(ledger.requestIds()).toEqual(['whole', 'lost']);
    expect(ledger.records[1]).toMatchObject({
      requestId: 'lost',
      startedAt: 5,
      keyId: 'k1',
      teamId: 't1',
      status: 0,
      outcome: 'interrupted',
      usageSource: 'estimated',
      tokens: { ...noTokens, input: 10, output: 20 },
      costNanoUsd: 30,
    });
  });

  it('charges two calls of the same request id apart', async () => {
    const first = await open();
    const account = first.open(openedCall('same'), 1);
    first.open(openedCall('same'), 2);
    first.settle(usageRecord('same'), account);
    await turn();
    await kill(first);
    await (await open()).ship();
    expect(ledger.records.map(({ outcome }) => outcome)).toEqual(['completed', 'interrupted']);
  });

  it('passes over a line that was cut off', async () => {
    ledger.isAway = true;
    const first = await open();
    call(first, 'a');
    await first.close();
    const [name = ''] = (await readdir(folder())).filter((file) => file.endsWith('.jsonl'));
    await appendFile(join(folder(), name), '["end",2,2,{"requestId":"tor');
    ledger.isAway = false;
    const second = await open();
    call(second, 'b');
    await second.ship();
    expect(ledger.requestIds()).toEqual(['a', 'b']);
  });

  it('drops files that are counted, but not the beginning of a call that is still open', async () => {
    const spool = await open({ segmentBytes: 2_000 });
    spool.open(openedCall('long'), 1);
    for (let index = 0; index < 40; index += 1) {
      call(spool, `r${index}`);
      await turn();
    }
    await spool.ship();
    const files = (await readdir(folder())).filter((file) => file.endsWith('.jsonl'));
    expect(files).toHaveLength(1);
    expect((await stat(join(folder(), files[0] ?? ''))).size).toBe(spool.standing().bytes);
    await kill(spool);
    const next = await open();
    await next.ship();
    expect(ledger.records.at(-1)).toMatchObject({ requestId: 'long', usageSource: 'estimated' });
    expect(ledger.records).toHaveLength(41);
  });

  it('gives no sequence twice after everything was counted and dropped', async () => {
    const first = await open();
    call(first, 'a');
    await first.ship();
    await first.close();
    for (const requestId of ['b', 'c']) {
      const next = await open();
      await next.ship();
      call(next, requestId);
      await next.close();
    }
    expect(ledger.requestIds()).toEqual(['a', 'b', 'c']);
  });

  it('reads a backlog from the disk that memory does not hold', async () => {
    ledger.isAway = true;
    const spool = await open({ segmentBytes: 200_000 });
    for (let index = 0; index < 5_000; index += 1) {
      call(spool, `r${index}`);
      if (index % 100 === 0) await turn();
    }
    await spool.ship();
    ledger.isAway = false;
    await spool.ship();
    expect(ledger.records).toHaveLength(5_000);
    expect(new Set(ledger.requestIds()).size).toBe(5_000);
  });

  it('refuses calls when it is full, and takes them again when there is room', async () => {
    ledger.isAway = true;
    const spool = await open({ maxBytes: 3_000, segmentBytes: 1_000 });
    let admitted = 0;
    const refused = async (): Promise<unknown> => {
      for (;;) {
        try {
          call(spool, `r${admitted}`);
        } catch (error) {
          return error;
        }
        admitted += 1;
        await turn();
      }
    };
    const error = await refused();
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ code: 'accounting_unavailable', status: 503 });
    expect(spool.standing().isFull).toBe(true);
    ledger.isAway = false;
    await spool.ship();
    call(spool, 'after');
    await spool.ship();
    expect(ledger.records).toHaveLength(admitted + 1);
  });

  it('takes the end of a call in whose beginning it took, however full it is', async () => {
    ledger.isAway = true;
    // Room for the header of a file, and one byte of a call.
    const spool = await open({ maxBytes: '["segment",1]\n'.length + 1 });
    const first = spool.open(openedCall('first'), 1);
    await turn();
    expect(() => spool.open(openedCall('refused'), 1)).toThrow(GatewayError);
    spool.settle(usageRecord('first'), first);
    ledger.isAway = false;
    await spool.ship();
    expect(ledger.requestIds()).toEqual(['first']);
  });

  it('tells whether its directory was used since a time', async () => {
    expect(wasUsedSince(directory, 0)).toBe(false);
    const spool = await open();
    call(spool, 'a');
    await spool.ship();
    expect(wasUsedSince(directory, Date.now() - 60_000)).toBe(true);
    expect(wasUsedSince(directory, Date.now() + 60_000)).toBe(false);
  });

  it('is not shared by two processes', async () => {
    await open();
    await writeFile(join(folder(), 'lock'), `${process.ppid}\n`);
    await expect(open()).rejects.toThrow(`in use by process ${process.ppid}`);
  });

  it('takes over the directory of a process that is gone', async () => {
    const first = await open();
    await first.close();
    // No process has this id: it is above what systems give.
    await writeFile(join(folder(), 'lock'), '2147483646\n');
    const second = await open();
    expect(second.standing().producer).toBe(first.standing().producer);
  });

  it('is another producer when the directory was put back to an earlier state', async () => {
    const first = await open();
    call(first, 'a');
    await first.ship();
    await turn();
    const early = await readdir(folder());
    const kept = await Promise.all(
      early.map(async (name) => [name, await readFile(join(folder(), name))] as const),
    );
    for (let index = 0; index < 5; index += 1) call(first, `b${index}`);
    await first.close();
    for (const name of await readdir(folder())) await rm(join(folder(), name));
    for (const [name, content] of kept) await writeFile(join(folder(), name), content);
    await rm(join(folder(), 'lock'));
    const second = await open();
    call(second, 'c');
    await second.ship();
    expect(second.standing().producer).not.toBe(first.standing().producer);
    expect(ledger.requestIds()).toEqual(['a', 'b0', 'b1', 'b2', 'b3', 'b4', 'c']);
    await second.close();
    // Not even to a store that was put back to before it was known.
    ledger.putBack(second.standing().producer, 0);
    const third = await open();
    call(third, 'd');
    await third.ship();
    expect(ledger.requestIds()).toEqual(['c', 'd']);
  });

  it('gives again what the ledger no longer knows, and says what is on no disk any more', async () => {
    const missing: MissingEvents[] = [];
    const told = createDirectTransport(ledger, { onMissing: (events) => missing.push(events) });
    const first = await open({ transport: told });
    for (let index = 0; index < 5; index += 1) call(first, `a${index}`);
    await first.close();
    const { producer } = first.standing();
    ledger.putBack(producer, 2);
    const second = await open({ transport: told, segmentBytes: 1 });
    call(second, 'b');
    await second.ship();
    expect(ledger.requestIds()).toEqual(['a2', 'a3', 'a4', 'b']);
    expect(missing).toEqual([]);
    await second.close();
    // The files of the first are gone by now.
    ledger.putBack(producer, 2);
    const third = await open({ transport: told });
    call(third, 'c');
    await third.ship();
    expect(ledger.requestIds().at(-1)).toBe('c');
    const to = 7 - ledger.records.length;
    expect(to).toBeGreaterThan(2);
    expect(missing).toEqual([{ producer, from: 3, to }]);
  });

  it('tells of trouble once, and when it is over', async () => {
    const told: unknown[] = [];
    const spool = await open({ onTrouble: (error) => told.push(error) });
    ledger.isAway = true;
    call(spool, 'a');
    await spool.ship();
    await spool.ship();
    ledger.isAway = false;
    await spool.ship();
    expect(told).toEqual([expect.any(Error), undefined]);
  });

  it('keeps what a killed process had begun and ended', async () => {
    const program = new URL('../spool-process.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [program, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    let said = '';
    for await (const chunk of child.stdout) {
      said += String(chunk);
      if (said.split('\n').length > 400) child.kill('SIGKILL');
    }
    await ended;
    const spool = await open();
    await spool.ship();
    const counted = new Map(ledger.records.map((record) => [record.requestId, record.outcome]));
    // Each at most once.
    expect(counted.size).toBe(ledger.records.length);
    const announced = said.slice(0, said.lastIndexOf('\n')).split('\n');
    expect(announced.length).toBeGreaterThan(398);
    for (const requestId of announced) {
      expect([requestId, counted.get(requestId)]).toEqual([
        requestId,
        requestId.startsWith('ended') ? 'completed' : 'interrupted',
      ]);
    }
  });

  it('loses no record and counts none twice, whenever the process and the ledger fail', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constant('call' as const) },
      { weight: 2, arbitrary: fc.constant('open' as const) },
      { weight: 2, arbitrary: fc.constant('end' as const) },
      { weight: 2, arbitrary: fc.constant('ship' as const) },
      { weight: 1, arbitrary: fc.constant('kill' as const) },
      { weight: 1, arbitrary: fc.constant('fail before' as const) },
      { weight: 1, arbitrary: fc.constant('fail after' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        for (const name of await readdir(directory)) {
          await rm(join(directory, name), { recursive: true });
        }
        ledger = new CountingLedger();
        transport = createDirectTransport(ledger);
        let spool = await open({ segmentBytes: 3_000 });
        let count = 0;
        let expected: string[] = [];
        let opened: { requestId: string; account: number }[] = [];
        for (const one of steps) {
          const requestId = `r${(count += 1)}`;
          if (one === 'call') {
            call(spool, requestId);
            expected.push(requestId);
          } else if (one === 'open') {
            opened.push({ requestId, account: spool.open(openedCall(requestId), 1) });
          } else if (one === 'end') {
            const ended = opened.shift();
            if (ended === undefined) continue;
            spool.settle(usageRecord(ended.requestId), ended.account);
            expected.push(ended.requestId);
          } else if (one === 'ship') {
            await spool.ship();
          } else if (one === 'kill') {
            await turn();
            await kill(spool);
            expected = [...expected, ...opened.map((call) => `${call.requestId} estimated`)];
            opened = [];
            spool = await open({ segmentBytes: 3_000 });
          } else {
            ledger.failNext(one);
            await spool.ship();
          }
          await turn();
        }
        await kill(spool);
        spool = await open();
        await spool.ship();
        await spool.ship();
        spools = [];
        await spool.close();
        const counted = ledger.records.map(({ requestId, usageSource }: UsageRecord) =>
          usageSource === 'estimated' ? `${requestId} estimated` : requestId,
        );
        const all = [...expected, ...opened.map((call) => `${call.requestId} estimated`)];
        expect(counted.toSorted()).toEqual(all.toSorted());
      }),
      { numRuns: 60 },
    );
  });
});
