import { setTimeout as delay } from 'node:timers/promises';
import type { UsageRecord } from '@aigateway/contract/usage';
import { balance, type Entry, type Line } from './balance.ts';
import { Fleet, masterKey } from './fleet.ts';
import { load } from './load.ts';
import {
  holders,
  oneOf,
  seeded,
  shuffled,
  type Holder,
  type LedgerPlan,
  type Trouble,
} from './plan.ts';

export type LedgerResult = {
  readonly lines: readonly Line[];
  /** Tries by how they ended. */
  readonly ends: ReadonlyMap<string, number>;
  /** Troubles in the order in which they were made. */
  readonly troubles: readonly Trouble[];
};

const minuteMs = 60_000;

/**
 * Puts load on a fleet while its parts fail, lets it settle, and compares the store's ledger with what the simulator and the
 * callers saw.
 *
 * @param tell - is given what is going on, a line at a time
 */
export async function runLedger(
  plan: LedgerPlan,
  tell: (text: string) => void = () => undefined,
): Promise<LedgerResult> {
  tell(`starting ${plan.skewsMs.length} proxies and ${plan.controlPlanes} control planes`);
  const fleet = await Fleet.start(plan);
  try {
    const made = await makeKeys(fleet);
    const keys = new Map([...made].map(([holder, { key }]) => [holder, key]));
    const chance = seeded(plan.seed);
    const order = shuffled(plan.troubles, chance);
    const apart = Math.floor(plan.calls / (order.length + 1));
    const during = new Set<Promise<void>>();
    let isOver = false;
    const trouble = createTroubleMaker(fleet, chance, {
      /** Resolves after so many further tries, or when there are no more. */
      later: async (share) => {
        const until = tries + Math.floor(share * apart);
        while (tries < until && !isOver) await delay(10);
      },
    });
    let tries = 0;
    const startedAt = Date.now();
    const seen = await load(fleet, plan, keys, (count) => {
      tries = count;
      const next = order[Math.floor(count / apart) - 1];
      if (count === 0 || count % apart !== 0 || next === undefined) return;
      tell(`${next} at try ${count}`);
      during.add(trouble(next));
    });
    isOver = true;
    const endedAt = Date.now();
    await Promise.all(during);
    tell('settling');
    await fleet.drainProxies();
    while ((await fleet.usageWaiting()) > 0) await delay(50);
    const entries = await entriesOf(fleet);
    const lines = balance({
      entries,
      sums: await sumsOf(fleet),
      upstream: fleet.simulator.requests().filter(({ operation }) => operation !== undefined),
      whole: seen.whole,
      keyIds: new Map([...made].map(([holder, { keyId }]) => [holder, keyId])),
      minutes: Math.floor(endedAt / minuteMs) - Math.floor(startedAt / minuteMs) + 1,
      kills: order.filter((one) => one === 'proxy killed').length,
      callers: plan.callers,
    });
    return { lines, ends: seen.ends, troubles: order };
  } finally {
    await fleet.close();
  }
}

/**
 * Makes troubles. Each promise resolves when what failed serves again; what fails a second time by then does so after that, or a replica
 * would follow a Redis that is gone.
 */
function createTroubleMaker(
  fleet: Fleet,
  chance: () => number,
  { later }: { later: (share: number) => Promise<void> },
): (trouble: Trouble) => Promise<void> {
  const parts = new Map<string, Promise<void>>();
  return (trouble) => {
    const [part = ''] = trouble.split(' ');
    const made = (parts.get(part) ?? Promise.resolve()).then(() => make(trouble));
    parts.set(part, made);
    return made;
  };

  async function make(trouble: Trouble): Promise<void> {
    switch (trouble) {
      case 'proxy killed':
        return fleet.kill(oneOf(fleet.proxies, chance));
      case 'proxy held up':
        return fleet.holdUp(oneOf(fleet.proxies, chance));
      case 'control plane killed':
        return fleet.kill(oneOf(fleet.controlPlanes, chance));
      case 'store away':
        fleet.store.cut();
        await later(0.5);
        return fleet.store.mend();
      case 'redis away':
        fleet.redis.cut();
        await later(0.5);
        return fleet.redis.mend();
      case 'redis failed over':
        return fleet.failOver();
      case 'redis failed over with loss': {
        const replica = await fleet.replica();
        await fleet.detach(replica);
        await later(0.2);
        return fleet.takeOver(replica);
      }
      case 'redis emptied':
        return fleet.emptyRedis();
    }
  }
}

async function makeKeys(fleet: Fleet): Promise<Map<Holder, { key: string; keyId: string }>> {
  const url = await fleet.controlUrl();
  const made = new Map<Holder, { key: string; keyId: string }>();
  for (const [holder, limits] of Object.entries(holders)) {
    const answer = await fetch(`${url}/key/generate`, {
      method: 'POST',
      headers: { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ key_alias: holder, ...limits }),
    });
    if (answer.status !== 200) throw new Error(`no key was made: ${await answer.text()}`);
    const { key, key_id: keyId } = (await answer.json()) as { key: string; key_id: string };
    made.set(holder as Holder, { key, keyId });
  }
  return made;
}

async function entriesOf(fleet: Fleet): Promise<Entry[]> {
  const rows = await fleet.query('select producer, sequence, record from usage_record');
  return rows.map(({ producer, sequence, record }) => ({
    producer: String(producer),
    sequence: Number(sequence),
    record: JSON.parse(String(record)) as UsageRecord,
  }));
}

async function sumsOf(
  fleet: Fleet,
): Promise<Map<string, { requests: number; costNanoUsd: number }>> {
  const rows = await fleet.query(`
    select id, sum(requests) as requests, sum(cost_nano_usd) as cost from usage_daily
    where dimension = 'key' and by_dimension = '' group by id`);
  return new Map(
    rows.map(({ id, requests, cost }) => [
      String(id),
      { requests: Number(requests), costNanoUsd: Number(cost) },
    ]),
  );
}
