import { createMemoryBus } from '@aigateway/contract/memory-bus';
import { sealSecrets } from '@aigateway/contract/sealed-secrets';
import type { Sealer } from '@aigateway/contract/sealer';
import type { Catalogue, SnapshotPublisher, SnapshotSource } from '@aigateway/contract/snapshot';
import { createRedisPublisher } from '@aigateway/control-plane/publish/redis';
import type { Ledger } from '@aigateway/control-plane/store/ledger';
import { createBudgetKeeper } from '@aigateway/control-plane/usage/budget-keeper';
import { createUsageConsumer } from '@aigateway/control-plane/usage/consumer';
import type { RoleInput } from './roles.ts';
import { earlierSpend } from './earlier-spend.ts';
import type { Calendar, SharedRedis } from './shared-redis.ts';

/** What planes meet in. */
export type Bus = {
  /** @param onLost - called when proxies hold nothing any more: everything is to be published anew */
  createPublisher(onLost: () => void): SnapshotPublisher;
  createSource(): SnapshotSource;
  /** What is done to records before they are published. */
  outgoing(catalogue: Catalogue): Catalogue;
  /** Brings the usage of proxies in other processes to a ledger, until it is closed. */
  consumeUsage(ledger: Ledger): { close(): Promise<void> };
  /** Tells the counters of budgets, where several processes share them, what a ledger knows of, until it is closed. */
  keepBudgets(ledger: Ledger, calendar: Calendar): { close(): Promise<void> };
};

/** The bus of two planes in one process, which nobody else reaches. */
export function createLocalBus(): Bus {
  const bus = createMemoryBus();
  return {
    createPublisher: () => bus.publisher,
    createSource: () => bus.createSource(),
    outgoing: (catalogue) => catalogue,
    consumeUsage: () => ({ close: () => Promise.resolve() }),
    keepBudgets: () => ({ close: () => Promise.resolve() }),
  };
}

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
    consumeUsage: (ledger) =>
      createUsageConsumer({
        redis: redis.client,
        ledger,
        secret,
        onTrouble: (error, producer) => logger.warn({ error, producer }, 'usage'),
        onRefused: ({ producer, sequence, error }) =>
          logger.error({ error, producer, sequence }, 'usage was refused'),
      }),
    keepBudgets: (ledger, calendar) =>
      createBudgetKeeper({
        redis: redis.client,
        calendar,
        spent: async (signal) => {
          const { keys } = await redis.readRecords(signal);
          return earlierSpend(keys, calendar(), ledger, Date.now());
        },
        onTrouble: (error) => logger.warn({ error }, 'budgets'),
      }),
  };
}
