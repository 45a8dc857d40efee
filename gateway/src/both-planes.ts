import { createDirectTransport } from '@aigateway/control-plane/usage/direct';
import { createMemoryLimiter } from '@aigateway/proxy/stores/memory/limiter';
import { AccessLog } from '@aigateway/proxy/telemetry/access-log';
import { ManagementCalls } from '@aigateway/proxy/telemetry/management-calls';
import { createRegistry } from '@aigateway/proxy/telemetry/registry';
import { createLocalBus, createSharedBus, missingUsage } from './bus.ts';
import { startDataPlane } from './data-plane.ts';
import { startPlane } from './plane.ts';
import type { RoleInput, Running } from './roles.ts';
import { sealerOf } from './sealer.ts';
import { loginThrottle } from './start.ts';
import type { SharedRedis } from './shared-redis.ts';

/**
 * Both planes on one port.
 *
 * @param redis - what they meet in, so that further proxies can follow; undefined = this process's memory
 */
export async function startBothPlanes(
  input: RoleInput,
  redis: SharedRedis | undefined,
): Promise<Running> {
  const { logger } = input;
  let { settings } = input.configuration.compiled.records;
  const sealer = sealerOf(input);
  const bus = redis === undefined ? createLocalBus() : createSharedBus(redis, input, sealer);
  const limiter =
    redis === undefined
      ? createMemoryLimiter({ clock: { now: Date.now }, calendar: () => settings })
      : undefined;
  const logins = loginThrottle(input.configuration.compiled.server);
  const registry = createRegistry();
  const accessLog = new AccessLog();
  const calls = new ManagementCalls(registry, accessLog);
  const plane = await startPlane({ ...input, bus, sealer, limiter, calls, logins, registry });
  const { ledger } = plane.store;
  if (limiter !== undefined) {
    // Before the first request: what an earlier process spent is spent.
    for (const use of await plane.earlierUse(Date.now())) limiter.seed(use);
  }
  const data = await startDataPlane(
    {
      ...input,
      sealer,
      redis,
      source: bus.createSource(),
      transport: createDirectTransport(ledger, {
        onRefused: ({ producer, sequence, error }) =>
          logger.error({ error, producer, sequence }, 'usage was refused'),
        onMissing: (missing) => logger.error(missing, missingUsage),
      }),
    },
    {
      registry,
      ...(logins !== undefined && { logins }),
      management: plane.handler,
      ...(limiter !== undefined && { limiter }),
    },
  );
  return {
    proxy: data.proxy,
    url: data.proxy.url,
    logger,
    async put(next) {
      ({ settings } = next.compiled.records);
      await plane.put(next);
    },
    async stop() {
      await data.stop();
      await plane.close();
      accessLog.flush();
      await redis?.close();
    },
  };
}
