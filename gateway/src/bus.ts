import { logRetentionLeaseKey } from '@aigateway/contract/channels';
import type { ScopeKind } from '@aigateway/contract/limits';
import { createMemoryBus } from '@aigateway/contract/memory-bus';
import { sealSecrets } from '@aigateway/contract/sealed-secrets';
import type { Sealer } from '@aigateway/contract/sealer';
import type { Catalogue, SnapshotPublisher, SnapshotSource } from '@aigateway/contract/snapshot';
import { createRedisPublisher } from '@aigateway/control-plane/publish/redis';
import type { Ledger } from '@aigateway/control-plane/store/ledger';
import {
  createBudgetKeeper,
  raiseToLedger,
  type BudgetCalendar,
  type EarlierUse,
} from '@aigateway/control-plane/usage/budget-keeper';
import { setSharedSpend } from '@aigateway/control-plane/spend/shared-counters';
import { createUsageConsumer } from '@aigateway/control-plane/usage/consumer';
import { redisLease, type Lease } from '@aigateway/control-plane/usage/lease';
import type { UsageIntake } from '@aigateway/proxy/telemetry/readings';
import type { RoleInput } from './roles.ts';
import type { Calendar, SharedRedis } from './shared-redis.ts';

/** What planes meet in. */
export type Bus = {
  /** @param onLost - called when proxies hold nothing any more: everything is to be published anew */
  createPublisher(onLost: () => void): SnapshotPublisher;
  createSource(): SnapshotSource;
  /** What is done to records before they are published. */
  outgoing(catalogue: Catalogue): Catalogue;
  /** Sets what a holder has spent, for all proxies that count together. */
  setSpend(kind: ScopeKind, id: string, nanoUsd: number): Promise<void>;
  /** Sees to it that what several processes count together is at least what a ledger knows of. */
  raiseUse(used: readonly EarlierUse[], calendar: BudgetCalendar): Promise<void>;
  /** Brings the usage of proxies in other processes to a ledger, until it is closed. */
  consumeUsage(ledger: Ledger): {
    /** Undefined where nothing waits anywhere: usage goes straight to the ledger. */
    readonly standing: (() => UsageIntake) | undefined;
    close(): Promise<void>;
  };
  /**
   * Tells the counters of budgets, where several processes share them, what was used, until it is closed.
   *
   * @param used - what a ledger knows of every limit that outlasts processes
   */
  keepBudgets(used: () => Promise<EarlierUse[]>, calendar: Calendar): { close(): Promise<void> };
  /** Held by the one process that drops old usage; undefined where there is one only. */
  readonly logRetentionLease: Lease | undefined;
};

const logRetentionLeaseMs = 600_000;

/** The bus of two planes in one process, which nobody else reaches. */
export function createLocalBus(): Bus {
  const bus = createMemoryBus();
  return {
    createPublisher: () => bus.publisher,
    createSource: () => bus.createSource(),
    outgoing: (catalogue) => catalogue,
    setSpend: () => Promise.resolve(),
    raiseUse: () => Promise.resolve(),
    consumeUsage: () => ({ standing: undefined, close: () => Promise.resolve() }),
    keepBudgets: () => ({ close: () => Promise.resolve() }),
    logRetentionLease: undefined,
  };
}

/** The log line that tells of usage which is in no store and on no disk; from and to are sequences of its producer. */
export const missingUsage = 'usage is missing';

/** The bus of planes in several processes. Secrets are sealed before they leave this one. */
export function createSharedBus(
  redis: SharedRedis,
  { logger, secret }: Pick<RoleInput, 'logger' | 'secret'>,
  sealer: Sealer,
): Bus {
  return {
    createPublisher: (onLost) =>
      createRedisPublisher({
        redis: redis.client,
        secret,
        onLost,
        onError: (error) => logger.warn({ error }, 'snapshot'),
      }),
    createSource: () => redis.createSource(),
    outgoing: (catalogue) => sealSecrets(catalogue, sealer),
    setSpend: (kind, id, nanoUsd) => setSharedSpend(redis.client, kind, id, nanoUsd),
    raiseUse: (used, calendar) => raiseToLedger(redis.client, used, calendar),
    consumeUsage(ledger) {
      const consumer = createUsageConsumer({
        redis: redis.client,
        ledger,
        secret,
        onTrouble: (error, producer) => {
          if (error !== undefined) logger.warn({ error, producer }, 'usage');
        },
        onRefused: ({ producer, sequence, error }) =>
          logger.error({ error, producer, sequence }, 'usage was refused'),
        onMissing: (missing) => logger.error(missing, missingUsage),
      });
      return { standing: () => consumer.standing(), close: () => consumer.close() };
    },
    keepBudgets: (used, calendar) =>
      createBudgetKeeper({
        redis: redis.client,
        calendar,
        used,
        onTrouble: (error) => {
          if (error !== undefined) logger.warn({ error }, 'budgets');
        },
      }),
    logRetentionLease: redisLease(redis.client, logRetentionLeaseKey, logRetentionLeaseMs),
  };
}
