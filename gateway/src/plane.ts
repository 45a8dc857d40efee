import type { ControlPlanePorts } from '@aigateway/control-plane/http/registry';
import { createLogKeeper } from '@aigateway/control-plane/usage/log-retention';
import type { LoginThrottle } from '@aigateway/contract/login-throttle';
import type { Sealer } from '@aigateway/contract/sealer';
import { clientAddress } from '@aigateway/proxy/pipeline/client-address';
import type { MemoryLimiter } from '@aigateway/proxy/stores/memory/limiter';
import type { ManagementCalls } from '@aigateway/proxy/telemetry/management-calls';
import { logReadings, registerReadings, usageReadings } from '@aigateway/proxy/telemetry/readings';
import type { createRegistry } from '@aigateway/proxy/telemetry/registry';
import type { Bus } from './bus.ts';
import type { Configuration } from './configuration.ts';
import { startControl, type Control } from './control.ts';
import type { RoleInput } from './roles.ts';
import { spendTeller } from './spend-keeper.ts';

/** A control plane that tells proxies what it holds and counts what they used, without the server in front of it. */
export type Plane = Pick<Control, 'store' | 'handler' | 'readiness' | 'earlierUse' | 'close'> & {
  /** Puts a configuration that was read again in force. */
  put(configuration: Configuration): Promise<void>;
};

export type PlaneInput = RoleInput &
  Pick<ControlPlanePorts, 'isStopping' | 'standingChanges'> & {
    readonly bus: Bus;
    readonly sealer: Sealer;
    /** Slows down who guesses keys; undefined = nobody does. */
    readonly logins: LoginThrottle | undefined;
    /** Told of every call of the management API. */
    readonly calls: ManagementCalls;
    /** Takes in the metrics of what it does. */
    readonly registry: ReturnType<typeof createRegistry>;
    /** Counts spend, where this process is all that does; its counts are set back with those of the store. */
    readonly limiter: MemoryLimiter | undefined;
  };

/**
 * Starts a control plane. What it holds is published once it is there, or is tried again where that fails.
 *
 * @throws {StoreUnavailableError} when the store cannot be reached
 */
export async function startPlane(input: PlaneInput): Promise<Plane> {
  const { bus, calls, isStopping, limiter, logger, logins, registry, standingChanges } = input;
  const { trustedHops } = input.configuration.compiled.server;
  let current = input.configuration;
  const control = await startControl({
    ...input,
    publisher: bus.createPublisher(() => void republish()),
    outgoing: (catalogue) => bus.outgoing(catalogue),
    tellSpend: spendTeller(limiter, bus),
    async tellEarlierUse(used) {
      if (limiter !== undefined) for (const use of used) limiter.seed(use);
      await bus.raiseUse(used, current.compiled.records.settings);
    },
    onFault: (message, cause) => logger.error({ error: cause }, message),
    management: {
      ...(logins !== undefined && { logins }),
      ...(isStopping !== undefined && { isStopping }),
      ...(standingChanges !== undefined && { standingChanges }),
      onAnswered: (call) => calls.answered(call),
      clientAddress: (request) => clientAddress(request, trustedHops),
    },
  });
  const republish = (): Promise<void> => control.publish(current);
  await republish();
  const usage = bus.consumeUsage(control.store.ledger);
  if (usage.standing !== undefined) registerReadings(registry, usageReadings(usage.standing));
  const budgets = bus.keepBudgets(
    () => control.earlierUse(Date.now()),
    () => current.compiled.records.settings,
  );
  const logs = createLogKeeper({
    ledger: control.store.ledger,
    retention: () => control.logRetention(),
    lease: bus.logRetentionLease,
    onDropped: (dropped) => logger.info(dropped, 'old usage was dropped'),
    onTrouble: (error) => {
      if (error !== undefined)
        logger.warn({ error }, 'old usage could not be dropped, it is tried again');
    },
  });
  registerReadings(
    registry,
    logReadings(() => logs.standing()),
  );
  return {
    store: control.store,
    handler: control.handler,
    readiness: control.readiness,
    earlierUse: (nowMs) => control.earlierUse(nowMs),
    async put(next) {
      current = next;
      await republish();
    },
    async close() {
      logs.stop();
      await budgets.close();
      await usage.close();
      await control.close();
      await logs.stopped();
    },
  };
}
