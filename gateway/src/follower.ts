import { createRedisTransport } from '@aigateway/proxy/stores/redis/usage-transport';
import { startDataPlane } from './data-plane.ts';
import type { RoleInput, Running } from './roles.ts';
import { sealerOf } from './sealer.ts';
import type { SharedRedis } from './shared-redis.ts';

/** A proxy that a control plane tells through Redis what it needs to know. */
export async function startFollower(input: RoleInput, redis: SharedRedis): Promise<Running> {
  const { logger } = input;
  const data = await startDataPlane(
    {
      ...input,
      redis,
      sealer: sealerOf(input),
      source: redis.createSource(),
      transport: createRedisTransport({ redis: redis.client, secret: input.secret }),
    },
    {},
  );
  return {
    proxy: data.proxy,
    url: data.proxy.url,
    logger,
    put({ compiled }) {
      if (compiled.records.deployments.length > 0)
        logger.warn({ settings: ['model_list'] }, 'needs a restart: model_list');
      return Promise.resolve();
    },
    async stop() {
      await data.stop();
      await redis.close();
    },
  };
}
