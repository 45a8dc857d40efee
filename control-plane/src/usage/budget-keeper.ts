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

export type BudgetKeeperOptions = {
  /** Not closed with the keeper. */
  readonly redis: Redis | Cluster;
  /** What was spent of every budget's present window, by the ledger. */
  readonly spent: (signal: AbortSignal) => Promise<readonly SpentBudget[]>;
  /** By which windows end. */
  readonly calendar: () => { readonly timezone: string; readonly budgetResetTime: string };
  /** What has failed, and is tried again; with undefined, when it no longer fails. */
  readonly onTrouble?: (error: unknown) => void;
  /** How often it is looked whether Redis has lost anything; 0 = only when {@link BudgetKeeper.look} is called. Default 1 s. */
  readonly pollMs?: number;
  /** How long proxies are given to say what they granted themselves. Default 5 s. */
  readonly settleMs?: number;
};

/** Sees to it that budgets in Redis know of all spend that the ledger knows of. */
export interface BudgetKeeper {
  /** Looks whether Redis has lost anything, and tells it what was spent if so. @returns whether it had */
  look(): Promise<boolean>;
  close(): Promise<void>;
}

const never = Number.MAX_SAFE_INTEGER;

/**
 * Sets the ledger's part of a budget: what was spent of the window beyond what proxies say that they granted. An absolute number, so
 * that doing it again corrects it. A budget that is in another window is left alone.
 *
 * Where the spend was set within the window, what was spent counts from there: the counter need not be set again.
 *
 * KEYS budget, what the holder's spend was set to; ARGV start and end of the window, what was spent of it, the field of the ledger's part.
 */
const setLedgerPart = redisScript(`
local function text(number) return string.format('%.0f', number) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local start, ends, spent = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if now < start or now >= ends then return 0 end
local fields, granted, knownEnd = redis.call('HGETALL', KEYS[1]), 0, nil
for i = 1, #fields, 2 do
  if fields[i] == 'end' then
    knownEnd = tonumber(fields[i + 1])
  elseif fields[i] ~= ARGV[4] then
    granted = granted + tonumber(string.match(fields[i + 1], '^%d+:(%d+)$') or 0)
  end
end
if knownEnd and now < knownEnd then
  -- Clients read the largest number as one more.
  if math.min(knownEnd, ${never}) ~= ends then return 0 end
else
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'start', text(start), 'end', text(ends))
  if ends < ${never} then redis.call('PEXPIRE', KEYS[1], text(ends - now + 60000)) end
  granted = 0
  local setAt = redis.call('HGET', KEYS[2], 'at')
  if setAt and tonumber(setAt) >= start then redis.call('HSET', KEYS[1], 'set', setAt) end
end
local part = math.max(0, spent - granted)
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
    for (const { kind, id, window, startMs = 0, usedNanoUsd } of await this.#options.spent(
      signal,
    )) {
      signal.throwIfAborted();
      const { timezone, budgetResetTime } = this.#options.calendar();
      const endMs =
        window === undefined
          ? never
          : budgetWindow(startMs, window, timezone, budgetResetTime).endMs;
      await setLedgerPart(
        this.#redis,
        [limitKey(kind, id, `budget:${window ?? 'total'}`), limitSpendKey(kind, id)],
        [startMs, endMs, usedNanoUsd, ledgerPart],
      );
    }
  }
}
