import { join, resolve } from 'node:path';
import { minuteMs } from '@aigateway/contract/limits';
import { openSecrets } from '@aigateway/contract/sealed-secrets';
import type { Sealer } from '@aigateway/contract/sealer';
import type { SnapshotSource } from '@aigateway/contract/snapshot';
import type { UsageTransport } from '@aigateway/contract/usage';
import type { Proxy, ProxyPorts } from '@aigateway/proxy/proxy';
import { openEstimates } from '@aigateway/proxy/stores/file/estimates';
import { openUsageSpool, wasUsedSince } from '@aigateway/proxy/stores/file/spool';
import { registerReadings, spoolReadings } from '@aigateway/proxy/telemetry/readings';
import { createRegistry } from '@aigateway/proxy/telemetry/registry';
import type { RoleInput } from './roles.ts';
import type { SharedRedis } from './shared-redis.ts';
import { startWith } from './start.ts';

/** A running proxy that is told what it knows. */
export type DataPlane = { readonly proxy: Proxy; stop(): Promise<void> };

export type DataPlaneInput = RoleInput & {
  readonly sealer: Sealer;
  /** Where its records come from. */
  readonly source: SnapshotSource;
  /** Where its usage goes. */
  readonly transport: UsageTransport;
  /** Counts its limits together with those of other proxies, where there is one. */
  readonly redis: SharedRedis | undefined;
};

/**
 * Starts a proxy that follows a source, its usage on its way to the ledger.
 *
 * @param ports - more of its ports; a limiter counts where Redis does not
 */
export async function startDataPlane(
  input: DataPlaneInput,
  ports: Pick<ProxyPorts, 'limiter' | 'logins' | 'management' | 'registry'>,
): Promise<DataPlane> {
  const { source, transport, sealer, logger } = input;
  const { compiled } = input.configuration;
  let { settings } = compiled.records;
  const directory = resolve(compiled.server.dataDir);
  const grantedOfLate = wasUsedSince(directory, Date.now() - minuteMs);
  const shared = input.redis?.createLimiter(() => settings, { grantedOfLate });
  const limiter = shared ?? ports.limiter;
  const usage = await openUsageSpool({
    directory,
    transport,
    onTrouble: (error) => {
      if (error !== undefined) logger.warn({ error }, 'usage waits on the disk');
    },
  });
  const registry = ports.registry ?? createRegistry();
  registerReadings(
    registry,
    spoolReadings(() => usage.standing()),
  );
  const proxy = await startWith(
    undefined,
    { ...input, compiled },
    {
      ...ports,
      registry,
      ...(limiter !== undefined && { limiter }),
      logger,
      usage,
      // The spool has its directory to itself.
      estimates:
        input.redis?.createEstimates() ??
        (await openEstimates(join(directory, 'usage'), { now: Date.now })),
      ...(input.redis !== undefined && { standingChanges: input.redis.standingChanges }),
      findKey: (hash) => source.findKey(hash),
      standing: () => source.standing(),
    },
  );
  void source.start({
    replace(records) {
      settings = records.settings;
      proxy.update({ ...records, ...openSecrets(records, sealer) });
    },
    change(change) {
      if (change.kind !== 'catalogue') {
        proxy.apply(change);
        return;
      }
      settings = change.catalogue.settings;
      proxy.apply({ ...change, catalogue: openSecrets(change.catalogue, sealer) });
    },
  });
  return {
    proxy,
    async stop() {
      await proxy.drain();
      await source.close();
      await usage.close();
      await shared?.close();
    },
  };
}
