import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createSharedBus } from './bus.ts';
import { startPlane } from './plane.ts';
import type { RoleInput, Running } from './roles.ts';
import { sealerOf } from './sealer.ts';
import type { SharedRedis } from './shared-redis.ts';

/** The management API by itself. */
export async function startControlRole(input: RoleInput, redis: SharedRedis): Promise<Running> {
  const { server } = input.configuration.compiled;
  const sealer = sealerOf(input);
  const bus = createSharedBus(redis, input, sealer);
  const plane = await startPlane({ ...input, bus, sealer, limiter: undefined });
  const http = createServer(plane.handler);
  await new Promise<void>((listening, failed) => {
    http.once('error', failed);
    http.listen(server.port, server.host, listening);
  });
  const { port } = http.address() as AddressInfo;
  return {
    proxy: undefined,
    url: `http://127.0.0.1:${port}`,
    logger: input.logger,
    put: (next) => plane.put(next),
    async stop() {
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      http.closeIdleConnections();
      await Promise.race([closed, delay(server.drainMs, undefined, { ref: false })]);
      http.closeAllConnections();
      await closed;
      await plane.close();
      await redis.close();
    },
  };
}
