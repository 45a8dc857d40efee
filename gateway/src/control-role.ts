import { requestIdOf } from '@aigateway/contract/request-id';
import { onlyFromAllowed } from '@aigateway/proxy/allowed-addresses';
import { cors } from '@aigateway/proxy/cors';
import { createOpsServer } from '@aigateway/proxy/ops';
import { clientAddress } from '@aigateway/proxy/pipeline/client-address';
import { refuse as answerRefused } from '@aigateway/proxy/pipeline/refuse';
import { startServer, type Refuse } from '@aigateway/proxy/server';
import { AccessLog } from '@aigateway/proxy/telemetry/access-log';
import { ManagementCalls } from '@aigateway/proxy/telemetry/management-calls';
import { createRegistry } from '@aigateway/proxy/telemetry/registry';
import { createSharedBus } from './bus.ts';
import { startPlane } from './plane.ts';
import type { RoleInput, Running } from './roles.ts';
import { sealerOf } from './sealer.ts';
import type { SharedRedis } from './shared-redis.ts';
import { loginThrottle, serverOptions } from './start.ts';

/** The management API by itself, on a server like that of a proxy. */
export async function startControlRole(input: RoleInput, redis: SharedRedis): Promise<Running> {
  const { server } = input.configuration.compiled;
  const sealer = sealerOf(input);
  const registry = createRegistry();
  const accessLog = new AccessLog();
  let isStopping = false;
  const calls = new ManagementCalls(registry, accessLog);
  const plane = await startPlane({
    ...input,
    bus: createSharedBus(redis, input, sealer),
    sealer,
    limiter: undefined,
    logins: loginThrottle(server),
    calls,
    registry,
    isStopping: () => isStopping,
    standingChanges: () => redis.standingChanges.recent(),
  });
  const allow = cors(server.corsOrigins);
  const refuse: Refuse = (request, response, error) => {
    const requestId = requestIdOf(request.headers);
    answerRefused(response, ['x-request-id', requestId], error);
    calls.answered({
      requestId,
      startedAt: Date.now(),
      durationMs: 0,
      client: clientAddress(request, server.trustedHops),
      method: request.method ?? '',
      endpoint: 'unknown',
      status: error.status,
    });
  };
  const listening = await startServer(
    serverOptions(server),
    onlyFromAllowed(
      server,
      (request, response) => allow(request, response, () => plane.handler(request, response)),
      refuse,
    ),
    refuse,
    createOpsServer(registry, plane.readiness),
  );
  return {
    proxy: undefined,
    url: listening.url,
    logger: input.logger,
    put: (next) => plane.put(next),
    async stop() {
      isStopping = true;
      await listening.drain();
      await plane.close();
      await redis.close();
      accessLog.flush();
    },
  };
}
