import { ContainerAppJob } from '@cdktn/provider-azurerm/lib/container-app-job/index.js';
import type { ResourceType } from '../names.ts';
import { environmentOf, secretReferences, type AppSettings, type Variable } from './app.ts';
import type { Site } from './site.ts';

/** A job that takes longer than this has met something that somebody must see. */
const limitSeconds = 1800;

type Variables = { readonly [name: string]: Variable };

type Settings = Pick<AppSettings, 'image' | 'identity' | 'environmentId' | 'vaultUri'> & {
  /** How the store is reached. */
  readonly store: Variables;
  /** What seals the secrets in the store. */
  readonly seals: Variables;
};

/**
 * What is done to a store from time to time: started by the pipeline or a person, never by itself. One brings its schema up to date before
 * a new revision takes calls, one seals its secrets anew after a rotation.
 *
 * @returns their names, as outputs of the stack
 */
export function createStoreJobs(site: Site, settings: Settings): { [output: string]: string } {
  const { store, seals } = settings;
  const migration = createJob(site, settings, {
    id: 'migration',
    type: 'caj',
    args: ['--migrate', 'apply'],
    variables: store,
  });
  const reseal = createJob(site, settings, {
    id: 'reseal',
    type: 'cajrs',
    args: ['--reseal', 'apply'],
    variables: { AIGATEWAY_PROFILE: { value: 'production' }, ...seals, ...store },
  });
  return { migration_job: migration.name, reseal_job: reseal.name };
}

function createJob(
  { stack, base, name, configuration }: Site,
  { image, identity, environmentId, vaultUri }: Settings,
  job: { id: string; type: ResourceType; args: string[]; variables: Variables },
): ContainerAppJob {
  const { registry } = configuration;
  const variables: Variables = {
    AZURE_CLIENT_ID: { value: identity.resource.clientId },
    ...job.variables,
  };
  return new ContainerAppJob(stack, job.id, {
    ...base,
    name: name(job.type),
    containerAppEnvironmentId: environmentId,
    workloadProfileName: 'Consumption',
    replicaTimeoutInSeconds: limitSeconds,
    replicaRetryLimit: 1,
    manualTriggerConfig: { parallelism: 1, replicaCompletionCount: 1 },
    identity: { type: 'UserAssigned', identityIds: [identity.resource.id] },
    ...(registry !== undefined && {
      registry: [{ server: registry.loginServer, identity: identity.resource.id }],
    }),
    secret: secretReferences({ variables, vaultUri, identity }),
    template: {
      container: [
        {
          name: job.id,
          image,
          args: job.args,
          cpu: 0.5,
          memory: '1Gi',
          env: environmentOf(variables),
        },
      ],
    },
    dependsOn: [...identity.grants],
  });
}
