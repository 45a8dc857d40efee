import type { RoleInput, Running } from './roles.ts';
import type { SharedRedis } from './shared-redis.ts';
import { startWith } from './start.ts';

/** Who gives every process the same file has proxies that know no key of the control plane and count no usage. */
export const standsBesideControlPlane =
  'a control plane publishes in this Redis, and a proxy with models in its file takes nothing from it: keys made there are refused here, and usage is kept nowhere';
export const howToFollow =
  'Leave model_list and AZURE_OPENAI_URL to the control plane, and this proxy follows it.';

/**
 * A proxy with a configuration of its own and no control plane.
 *
 * @param redis - counts its limits together with those of other proxies; undefined = it counts them by itself
 */
export async function startStandalone(
  input: RoleInput,
  redis: SharedRedis | undefined,
): Promise<Running> {
  const { compiled } = input.configuration;
  let { settings } = compiled.records;
  const limiter = redis?.createLimiter(() => settings);
  const proxy = await startWith(
    compiled.records,
    { ...input, compiled },
    {
      logger: input.logger,
      ...(limiter !== undefined && { limiter }),
      ...(redis !== undefined && {
        estimates: redis.createEstimates(),
        standingChanges: redis.standingChanges,
      }),
    },
  );
  if ((await redis?.isPublishedIn()) === true)
    input.logger.warn(
      { code: 'risk', setting: 'model_list' },
      `${standsBesideControlPlane}. ${howToFollow}`,
    );
  return {
    proxy,
    url: proxy.url,
    logger: input.logger,
    put(next) {
      const { records } = next.compiled;
      settings = records.settings;
      proxy.update(records);
      return Promise.resolve();
    },
    async stop() {
      await proxy.drain();
      await limiter?.close();
      await redis?.close();
    },
  };
}
