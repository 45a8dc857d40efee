import type { RequestHandler } from 'express';
import { createRedisTransport } from '@aigateway/proxy/stores/redis/usage-transport';
import { createProxyRules } from '@aigateway/proxy/upstream/proxy-rules';
import { createContext } from '@aigateway/proxy/upstream/transport';
import { startDataPlane } from './data-plane.ts';
import type { RoleInput, Running } from './roles.ts';
import { sealerOf } from './sealer.ts';
import type { SharedRedis } from './shared-redis.ts';
import { transportOptions } from './start.ts';

/** A proxy that a control plane tells through Redis what it needs to know. */
export async function startFollower(input: RoleInput, redis: SharedRedis): Promise<Running> {
  const { logger } = input;
  const management = await managementForwarder(input);
  const data = await startDataPlane(
    {
      ...input,
      redis,
      sealer: sealerOf(input),
      source: redis.createSource(),
      transport: createRedisTransport({ redis: redis.client, secret: input.secret }),
    },
    { ...(management !== undefined && { management }) },
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

/** How long a control plane may be silent: reports over many rows take seconds. */
const longestSilenceMs = 60_000;

/** What forwards management paths, where a control plane is named for them; nobody else pays for loading it. */
async function managementForwarder({
  configuration,
  environment,
}: RoleInput): Promise<RequestHandler | undefined> {
  const { server } = configuration.compiled;
  const { controlPlaneUrl, trustedHops } = server;
  if (controlPlaneUrl === undefined) return undefined;
  const { proxyUrl, noProxy = '', caCertificates } = transportOptions(server, environment);
  const isDirect = createProxyRules(noProxy);
  const { forwardManagement } = await import('./forward.ts');
  return forwardManagement({
    target: controlPlaneUrl,
    trustedHops,
    silenceMs: longestSilenceMs,
    proxyUrl: isDirect(controlPlaneUrl) ? undefined : proxyUrl,
    ...(caCertificates !== undefined && { secureContext: createContext(caCertificates) }),
  });
}
