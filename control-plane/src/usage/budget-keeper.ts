import { setTimeout as delay } from 'node:timers/promises';
import { budgetsKeptKey, ledgerPart, limitKey, limitSpendKey } from '@aigateway/contract/channels';
import { budgetWindow } from '@aigateway/contract/duration';
import { limitsKnownFrom } from '@aigateway/contract/limits-known';
import type { ScopeKind } from '@aigateway/contract/limits';
import { optional } from '@aigateway/contract/optional';
import { poll } from '@aigateway/contract/poll';
import { redisScript } from '@aigateway/contract/script';
import type { Cluster, Redis } from 'ioredis';

/** What the ledger says was spent of the present window of one budget. */
export type SpentBudget = {
  readonly kind: ScopeKind;
  readonly id: string;
  /** Absent for a budget that never resets. */
  readonly window?: string;
  /** Start of the window, in milliseconds since the epoch. */
  readonly startMs?: number;
  readonly usedNanoUsd: number;
};

/** How many requests the ledger says that a holder of a limit of requests ever had. */
export type UsedRequests = {
  readonly kind: ScopeKind;
  readonly id: string;
  readonly requestsInTotal: number;
};

/** What a limit counts that outlasts processes. */
export type EarlierUse = SpentBudget | UsedRequests;

export type BudgetCalendar = { readonly timezone: string; readonly budgetResetTime: string };

export type BudgetKeeperOptions = {
  /** Not closed with the keeper. */
  readonly redis: Redis | Cluster;
  /** What was used of every budget's present window, and of requests in total, by the ledger. */
  readonly used: (signal: AbortSignal) => Promise<readonly EarlierUse[]>;
  /** By which windows end. */
  readonly calendar: () => BudgetCalendar;
  /** What has failed, and is tried again; with undefined, when it no longer fails. */
  readonly onTrouble?: (error: unknown) => void;
  /** How often it is looked whether Redis has lost anything; 0 = only when {@link BudgetKeeper.look} is called. Default 1 s. */
  readonly pollMs?: number;
  /** How long proxies are given to say what they granted themselves. Default 5 s. */
  readonly settleMs?: number;
};

/** Sees to it that budgets, and limits of requests in total, in Redis know of all use that the ledger knows of. */
export interface BudgetKeeper {
  /** Looks whether Redis has lost anything, and tells it what was spent if so. @returns whether it had */
  look(): Promise<boolean>;
  close(): Promise<void>;
}

const never = Number.MAX_SAFE_INTEGER;

/**
 * Sets the ledger's part of a counter: what was used of the window beyond what proxies say that they granted. An absolute number, so
 * that doing it again corrects it, or raises it only. A budget that is in another window is left alone.
 *
 * Where the spend was set within the window, what was spent counts from there: the counter need not be set again.
 *
 * KEYS counter, and of a budget what the holder's spend was set to; ARGV start and end of the window, what was used of it, the field of the
 * ledger's part, 1 = only raises it.
 */
const setLedgerPart = redisScript(`
local function text(number) return string.format('%.0f', number) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local start, ends, spent = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if now < start or now >= ends then return 0 end
local fields, granted, known, knownEnd = redis.call('HGETALL', KEYS[1]), 0, 0, nil
for i = 1, #fields, 2 do
  if fields[i] == 'end' then
    knownEnd = tonumber(fields[i + 1])
  else
    local part = tonumber(string.match(fields[i + 1], '^%d+:(%d+)$') or 0)
    if fields[i] == ARGV[4] then known = part else granted = granted + part end
  end
end
if knownEnd and now < knownEnd then
  -- Clients read the largest number as one more.
  if math.min(knownEnd, ${never}) ~= ends then return 0 end
else
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'start', text(start), 'end', text(ends))
  if ends < ${never} then redis.call('PEXPIRE', KEYS[1], text(ends - now + 60000)) end
  granted, known = 0, 0
  local setAt = KEYS[2] and redis.call('HGET', KEYS[2], 'at')
  if setAt and tonumber(setAt) >= start then redis.call('HSET', KEYS[1], 'set', setAt) end
end
local part = math.max(ARGV[5] == '1' and known or 0, spent - granted)
redis.call('HSET', KEYS[1], 'used', text(granted + part), ARGV[4], '0:' .. text(part))
return 1`);

/** Starts keeping budgets. Several control planes may do so at once: what they write is the same. */
export function createBudgetKeeper(options: BudgetKeeperOptions): BudgetKeeper {
  const keeper = new Keeper(options);
  keeper.start();
  return keeper;
}

class Keeper implements BudgetKeeper {
  readonly #options: BudgetKeeperOptions;
  readonly #redis: Redis | Cluster;
  readonly #end = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** It was seen that Redis knows of everything. */
  #hasKept = false;

  constructor(options: BudgetKeeperOptions) {
    this.#options = options;
    this.#redis = options.redis;
  }

  start(): void {
    const { pollMs = 1000 } = this.#options;
    if (pollMs === 0) return;
    this.#running = poll(() => this.look(), {
      signal: this.#end.signal,
      everyMs: pollMs,
      ...optional('onTrouble', this.#options.onTrouble),
    });
  }

  async look(): Promise<boolean> {
    const servers = await this.#servers();
    if ((await this.#redis.get(budgetsKeptKey)) === servers) {
      this.#hasKept = true;
      return false;
    }
    // Proxies that start from now on must not grant what is left of a minute that they know nothing of.
    await limitsKnownFrom(this.#redis, this.#hasKept ? 'earlier' : 'nothing');
    const { settleMs = 5000 } = this.#options;
    await this.#tell();
    // By now every proxy has noticed the loss and said what it granted: that is not to be counted twice.
    await delay(settleMs, undefined, { signal: this.#end.signal });
    await this.#tell();
    await this.#redis.set(budgetsKeptKey, servers);
    return true;
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  /** Another server in the place of one may lack what that one had, as one without our note does. */
  async #servers(): Promise<string> {
    const nodes = 'nodes' in this.#redis ? this.#redis.nodes('master') : [this.#redis];
    const ids = await Promise.all(
      nodes.map(async (node) => /run_id:(\w+)/.exec(await node.info('server'))?.[1] ?? ''),
    );
    return ids.toSorted().join(' ');
  }

  async #tell(): Promise<void> {
    const { signal } = this.#end;
    for (const use of await this.#options.used(signal)) {
      signal.throwIfAborted();
      await tell(this.#redis, use, this.#options.calendar(), false);
    }
  }
}

/**
 * Sees to it that counters in Redis have at least what the ledger knows of: for limits that their holders have not had before, or not all
 * the time.
 */
export async function raiseToLedger(
  redis: Redis | Cluster,
  used: readonly EarlierUse[],
  calendar: BudgetCalendar,
): Promise<void> {
  for (const use of used) await tell(redis, use, calendar, true);
}

async function tell(
  redis: Redis | Cluster,
  use: EarlierUse,
  { timezone, budgetResetTime }: BudgetCalendar,
  isRaisedOnly: boolean,
): Promise<void> {
  const { kind, id } = use;
  const how = [ledgerPart, isRaisedOnly ? 1 : 0];
  if ('requestsInTotal' in use) {
    const counter = limitKey(kind, id, 'requests:total');
    await setLedgerPart(redis, [counter], [0, never, use.requestsInTotal, ...how]);
    return;
  }
  const { window, startMs = 0, usedNanoUsd } = use;
  const endMs =
    window === undefined ? never : budgetWindow(startMs, window, timezone, budgetResetTime).endMs;
  await setLedgerPart(
    redis,
    [limitKey(kind, id, `budget:${window ?? 'total'}`), limitSpendKey(kind, id)],
    [startMs, endMs, usedNanoUsd, ...how],
  );
}
