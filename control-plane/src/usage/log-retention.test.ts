import type { LogRetention } from '@aigateway/contract/compile';
import { describe, expect, it } from 'vitest';
import { createLogKeeper, type DroppedLogs, type LogKeeperOptions } from './log-retention.ts';
import type { Lease } from './lease.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const noon = Date.parse('2026-11-26T12:00:00Z');

/** A ledger that has these days, and says of which day it was asked. */
function ledgerOf(...days: string[]) {
  const asked: string[] = [];
  return {
    days,
    asked,
    failing: undefined as Error | undefined,
    dropOldestLogs(before: string): Promise<string | undefined> {
      asked.push(before);
      const [oldest] = days.toSorted();
      if (oldest === undefined || oldest >= before) return Promise.resolve(undefined);
      if (this.failing) return Promise.reject(this.failing);
      days.splice(days.indexOf(oldest), 1);
      return Promise.resolve(oldest);
    },
  };
}

function keeperOf(options: Pick<LogKeeperOptions, 'ledger' | 'lease'>) {
  const time = { now: noon };
  const retention: { periodMs?: number; everyMs: number } = { periodMs: dayMs, everyMs: dayMs };
  const told: DroppedLogs[] = [];
  const keeper = createLogKeeper({
    ...options,
    retention: () => Promise.resolve<LogRetention>({ ...retention }),
    onDropped: (dropped) => told.push(dropped),
    now: () => time.now,
    pollMs: 0,
  });
  return { keeper, time, retention, told };
}

describe('the keeping of old usage', () => {
  it('drops every day all of which is older than the period, and no other', async () => {
    const ledger = ledgerOf('2026-11-22', '2026-11-25', '2026-11-23', '2026-11-24', '2026-11-26');
    const { keeper, told } = keeperOf({ ledger });
    expect(await keeper.look()).toBe(3);
    // The 25th has half a day that is younger than a day.
    expect(ledger.days).toEqual(['2026-11-25', '2026-11-26']);
    expect(told).toEqual([{ days: 3, first: '2026-11-22', last: '2026-11-24' }]);
    expect(keeper.standing()).toEqual({ dropped: 3, isFailing: false });
  });

  it('drops nothing where no period is set, and begins when one is', async () => {
    const ledger = ledgerOf('2020-01-01');
    const { keeper, retention } = keeperOf({ ledger });
    delete retention.periodMs;
    expect(await keeper.look()).toBe(0);
    expect(ledger.asked).toEqual([]);
    retention.periodMs = 30 * dayMs;
    expect(await keeper.look()).toBe(1);
  });

  it('looks again after the interval, and at once where the period is another', async () => {
    const ledger = ledgerOf('2026-11-24', '2026-11-25');
    const { keeper, time, retention, told } = keeperOf({ ledger });
    retention.periodMs = 3 * dayMs;
    await keeper.look();
    expect(ledger.asked).toEqual(['2026-11-23']);
    time.now += dayMs - 1;
    await keeper.look();
    expect(ledger.asked).toHaveLength(1);
    time.now += 1;
    await keeper.look();
    expect(ledger.asked).toEqual(['2026-11-23', '2026-11-24']);
    expect(told).toEqual([]);
    retention.periodMs = dayMs;
    expect(await keeper.look()).toBe(2);
    retention.everyMs = hourMs;
    time.now += hourMs;
    ledger.days.push('2026-11-25');
    expect(await keeper.look()).toBe(1);
  });

  it('says what went where the next day could not go, and goes on with that when it looks again', async () => {
    const ledger = ledgerOf('2026-11-20', '2026-11-21', '2026-11-22');
    const { keeper, told } = keeperOf({
      ledger: {
        dropOldestLogs: (before) => {
          ledger.failing = ledger.days.length === 2 ? new Error('taken') : undefined;
          return ledger.dropOldestLogs(before);
        },
      },
    });
    await expect(keeper.look()).rejects.toThrow('taken');
    expect(told).toEqual([{ days: 1, first: '2026-11-20', last: '2026-11-20' }]);
    expect(keeper.standing()).toEqual({ dropped: 1, isFailing: true });
    ledger.days.shift();
    expect(await keeper.look()).toBe(1);
    expect(keeper.standing()).toEqual({ dropped: 2, isFailing: false });
  });

  it('is not kept by usage that comes to an old day as often as that goes', async () => {
    const ledger = ledgerOf('2026-11-20', '2026-11-21');
    let asked = 0;
    const { keeper, told } = keeperOf({
      ledger: {
        async dropOldestLogs(before) {
          const day = await ledger.dropOldestLogs(before);
          asked += 1;
          if (day !== undefined && asked < 100) ledger.days.push(day);
          return day;
        },
      },
    });
    expect(await keeper.look()).toBe(1);
    expect(asked).toBe(2);
    expect(told).toEqual([{ days: 1, first: '2026-11-20', last: '2026-11-20' }]);
  });

  it('leaves it to another process that is at it, and gives the lease back', async () => {
    const holder: { lease: Lease | undefined } = { lease: undefined };
    const leaseOf = (): Lease => {
      const lease: Lease = {
        take: () => {
          if (holder.lease) return Promise.resolve(false);
          holder.lease = lease;
          return Promise.resolve(true);
        },
        renew: () => Promise.resolve(holder.lease === lease),
        release: () => {
          if (holder.lease === lease) holder.lease = undefined;
          return Promise.resolve();
        },
      };
      return lease;
    };
    const ledger = ledgerOf('2026-11-20');
    const one = leaseOf();
    await one.take();
    const { keeper } = keeperOf({ ledger, lease: leaseOf() });
    expect(await keeper.look()).toBe(0);
    expect(ledger.asked).toEqual([]);
    await one.release();
    expect(await keeper.look()).toBe(1);
    expect(holder.lease).toBeUndefined();

    ledger.days.push('2026-11-21');
    ledger.failing = new Error('away');
    const other = keeperOf({ ledger, lease: leaseOf() });
    await expect(other.keeper.look()).rejects.toThrow('away');
    expect(holder.lease).toBeUndefined();
  });

  it('begins with no further day once it is stopped', async () => {
    const ledger = ledgerOf('2026-11-20', '2026-11-21');
    const { keeper } = keeperOf({
      ledger: {
        dropOldestLogs: (before) => {
          keeper.stop();
          return ledger.dropOldestLogs(before);
        },
      },
    });
    expect(await keeper.look()).toBe(1);
    expect(ledger.days).toEqual(['2026-11-21']);
    await keeper.stopped();
  });
});
