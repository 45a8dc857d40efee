import { ContainerAppJob } from '@cdktn/provider-azurerm/lib/container-app-job/index.js';
import { environmentOf, secretReferences, type AppSettings } from './app.ts';
import type { Site } from './site.ts';

/** A migration that takes longer than this has met something that somebody must see. */
const limitSeconds = 1800;

/** Brings the store's schema up to date: started by the pipeline before a new revision takes traffic, never by itself. */
export function createMigrationJob(
  site: Site,
  settings: Pick<
    AppSettings,
    'name' | 'image' | 'identity' | 'environmentId' | 'vaultUri' | 'variables'
  >,
): ContainerAppJob {
  const { stack, base, configuration } = site;
  const { identity } = settings;
  const { registry } = configuration;
  return new ContainerAppJob(stack, 'migration', {
    ...base,
    name: settings.name,
    containerAppEnvironmentId: settings.environmentId,
    workloadProfileName: 'Consumption',
    replicaTimeoutInSeconds: limitSeconds,
    replicaRetryLimit: 1,
    manualTriggerConfig: { parallelism: 1, replicaCompletionCount: 1 },
    identity: { type: 'UserAssigned', identityIds: [identity.resource.id] },
    ...(registry !== undefined && {
      registry: [{ server: registry.loginServer, identity: identity.resource.id }],
    }),
    secret: secretReferences(settings),
    template: {
      container: [
        {
          name: 'migration',
          image: settings.image,
          args: ['--migrate', 'apply'],
          cpu: 0.5,
          memory: '1Gi',
          env: environmentOf(settings.variables),
        },
      ],
    },
    dependsOn: [...identity.grants],
  });
}
