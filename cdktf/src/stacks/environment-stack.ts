import type { ContainerApp } from '@cdktn/provider-azurerm/lib/container-app/index.js';
import { type App, TerraformOutput } from '../cdk.ts';
import type { Configuration } from '../config.ts';
import { gatewayConfiguration, type AccountSettings } from '../gateway-settings.ts';
import { createApp, dataDirectory, graceSeconds, type Variable } from './app.ts';
import { createAvailabilityTest } from './availability.ts';
import { createIdentity, grant, proxyIdentityOf, type Actor, type Identity } from './identity.ts';
import { createAlerts, createBudget } from './monitoring.ts';
import { accountsOf, createAccounts, type Account } from './openai.ts';
import { createPlatform, type Platform } from './platform.ts';
import { createRedis, grantRedis, redisOf, redisVariables, type SharedRedis } from './redis.ts';
import { createSite, type Site } from './site.ts';
import { createStoreJobs } from './store-jobs.ts';
import { createStore } from './store.ts';

type Variables = { readonly [name: string]: Variable };

/** All resources of one environment in its first region. */
export function addEnvironmentStack(app: App, id: string, configuration: Configuration): void {
  const site = createSite(app, id, configuration);
  const platform = createPlatform(site);
  const accounts = createAccounts(site, platform.network);
  const redis = createRedis(site, platform.network);
  const identity = createActor(site, platform, 'proxy');
  grantModels(site, identity, accounts);
  grantRedis(site, redis, identity);
  const shared = { accounts, redis, proxyIdentity: identity };
  const control =
    configuration.topology === 'separate' ? createControlPlane(site, platform, shared) : undefined;
  const proxy = createProxy(site, platform, { ...shared, control: control?.app });
  const outputs: { [output: string]: string } = {
    resource_group: site.base.resourceGroupName,
    key_vault: platform.vault.name,
    url: `https://${proxy.app.ingress.fqdn}`,
    proxy_app: proxy.app.name,
    applied_image: platform.image,
    ...(control !== undefined && { control_plane_app: control.app.name }),
    ...(control ?? proxy).jobs,
  };
  for (const [output, value] of Object.entries(outputs))
    new TerraformOutput(site.stack, output, { value });

  const store = control?.watched ?? proxy.watched;
  const actionGroup = createAlerts(site, {
    proxy: proxy.app,
    workspaceId: platform.workspaceId,
    redisId: redis?.id,
    store,
  });
  if (actionGroup !== undefined) createBudget(site, actionGroup);
  createAvailabilityTest(site, {
    url: proxy.app.ingress.fqdn,
    workspaceId: platform.workspaceId,
    actionGroup,
  });
}

/**
 * Proxies of a further region: of models and keys they know what the first region's control plane publishes, and its Redis counts limits
 * for all of them. Everything else, logs and secrets too, is the region's own.
 */
export function addFurtherRegion(
  app: App,
  id: string,
  configuration: Configuration,
  location: string,
): void {
  const site = createSite(app, id, configuration, location);
  const platform = createPlatform(site);
  const identity = proxyIdentityOf(site);
  grantSecrets(site, identity, platform);
  const { app: proxy } = createProxy(site, platform, {
    accounts: accountsOf(configuration),
    redis: redisOf(configuration),
    proxyIdentity: identity,
    control: undefined,
  });
  const outputs = {
    resource_group: site.base.resourceGroupName,
    key_vault: platform.vault.name,
    url: `https://${proxy.ingress.fqdn}`,
    proxy_app: proxy.name,
    applied_image: platform.image,
  };
  for (const [output, value] of Object.entries(outputs))
    new TerraformOutput(site.stack, output, { value });
}

type Shared = {
  readonly accounts: readonly AccountSettings[];
  readonly redis: SharedRedis | undefined;
  readonly proxyIdentity: Identity;
};

/** What was made for one role. Without a store of its own it has no jobs. */
type Process = {
  readonly app: ContainerApp;
  readonly jobs?: ReturnType<typeof createStoreJobs>;
  readonly watched?: ReturnType<typeof createStore>['watched'];
};

/** The app that callers talk to: proxies, or both planes in one. */
function createProxy(
  site: Site,
  platform: Platform,
  {
    accounts,
    redis,
    proxyIdentity: identity,
    control,
  }: Shared & { control: ContainerApp | undefined },
): Process {
  const { configuration, name } = site;
  const { topology, proxy: scale, frontDoor } = configuration;
  const regions = 1 + configuration.furtherRegions.length;
  const role = topology === 'all' ? 'all' : 'proxy';
  const store = topology === 'all' ? createStore(site, identity, platform.network) : undefined;
  const variables: Variables = {
    ...common(identity, {
      hops: frontDoor === undefined ? 1 : 2,
      replicas: scale.maxReplicas * regions,
    }),
    ...redisVariables(redis, identity),
    ...store?.variables,
    ...(topology !== 'proxy' && saltKeys),
    // A proxy that follows a control plane has models and keys from there; upstreams' keys it looks up itself.
    ...(topology !== 'separate' && {
      ...models(site, accounts, identity),
      ...callersKey(topology),
    }),
    ...upstreamKey(accounts),
    ...(control !== undefined &&
      !isReachedByAdministrators(configuration) && {
        AIGATEWAY_CONTROL_PLANE_URL: { value: `https://${control.ingress.fqdn}` },
      }),
  };
  const running = {
    image: platform.image,
    identity,
    environmentId: platform.environmentId,
    vaultUri: platform.vault.uri,
  };
  const app = createApp(site, {
    ...running,
    variables,
    role,
    name: name('ca'),
    scale,
    isExternal: true,
    allowedIps: scale.allowedIps,
  });
  if (store === undefined) return { app };
  const jobs = createStoreJobs(site, { ...running, seals, store: store.variables });
  return { app, jobs, watched: store.watched };
}

/** The management API and its store. */
function createControlPlane(
  site: Site,
  platform: Platform,
  { accounts, redis, proxyIdentity }: Shared,
): Process {
  const { configuration, name } = site;
  const identity = createActor(site, platform, 'control-plane');
  grantRedis(site, redis, identity);
  const store = createStore(site, identity, platform.network);
  const { controlPlane: scale } = configuration;
  const isExternal = isReachedByAdministrators(configuration);
  const running = {
    image: platform.image,
    identity,
    environmentId: platform.environmentId,
    vaultUri: platform.vault.uri,
  };
  const app = createApp(site, {
    ...running,
    role: 'control-plane',
    name: name('caadm'),
    scale,
    isExternal,
    allowedIps: isExternal ? scale.allowedIps : [],
    variables: {
      // Forwarded by a proxy there is one hop more: the proxy's own line, and the ingress between the two.
      ...common(identity, { hops: isExternal ? 1 : 2, replicas: scale.maxReplicas }),
      ...redisVariables(redis, identity),
      ...store.variables,
      ...saltKeys,
      ...models(site, accounts, proxyIdentity),
      // Not used there, but a reference to what is not set counts as a mistake.
      ...upstreamKey(accounts),
      ...masterKey,
    },
  });
  const jobs = createStoreJobs(site, { ...running, seals, store: store.variables });
  return { app, jobs, watched: store.watched };
}

/** Whether the control plane has an address of its own, for those on the list. */
function isReachedByAdministrators({ controlPlane }: Configuration): boolean {
  return controlPlane.allowedIps.length > 0;
}

/** An identity that may read secrets and pull the image. */
function createActor(site: Site, platform: Platform, who: Actor): Identity {
  const identity = createIdentity(site, who);
  grantSecrets(site, identity, platform);
  const { registry } = site.configuration;
  if (registry !== undefined)
    grant(site, identity, { role: 'AcrPull', scope: registry.resourceId, target: 'registry' });
  return identity;
}

function grantSecrets(site: Site, identity: Identity, { vault }: Platform): void {
  grant(site, identity, { role: 'Key Vault Secrets User', scope: vault.id, target: 'vault' });
}

function grantModels(site: Site, identity: Identity, accounts: readonly Account[]): void {
  for (const [index, { id, settings }] of accounts.entries()) {
    if (settings.existing?.signIn === 'key') continue;
    const target = `openai-${settings.region}${index === 0 ? '' : `-${index + 1}`}`;
    grant(site, identity, { role: 'Cognitive Services OpenAI User', scope: id, target });
  }
}

// Those before are always there: when a secret has a new version Container Apps starts processes again by itself, and they must know it.
const rootSecrets: Variables = {
  AIGATEWAY_SECRET: { secret: 'aigateway-secret' },
  AIGATEWAY_SECRET_PREVIOUS: { secret: 'aigateway-secret-previous' },
};

/** What seals secrets in the store, and on their way from the control plane to the proxies: both need the same. */
const saltKeys: Variables = {
  LITELLM_SALT_KEY: { secret: 'salt-key' },
  LITELLM_SALT_KEY_PREVIOUS: { secret: 'salt-key-previous' },
};

/** Root secrets seal where no salt key does, and open what they did. */
const seals: Variables = { ...rootSecrets, ...saltKeys };

const masterKey: Variables = { LITELLM_MASTER_KEY: { secret: 'master-key' } };

/** Who may call where no control plane gives out keys, and who gives them out where one does. */
function callersKey(topology: Configuration['topology']): Variables {
  return topology === 'all' ? masterKey : { PROXY_API_KEY: { secret: 'proxy-api-key' } };
}

function upstreamKey(accounts: readonly AccountSettings[]): Variables {
  return accounts.some(({ settings }) => settings.existing?.signIn === 'key')
    ? { AZURE_OPENAI_API_KEY: { secret: 'azure-openai-api-key' } }
    : {};
}

function models(
  { configuration }: Site,
  accounts: readonly AccountSettings[],
  { resource }: Identity,
): Variables {
  const { defaultModels } = configuration;
  const value = JSON.stringify(gatewayConfiguration(accounts, resource.clientId, defaultModels));
  return { AIGATEWAY_CONFIG_TEXT: { value } };
}

/** What every process is told. */
function common(
  identity: Identity,
  { hops, replicas }: { hops: number; replicas: number },
): Variables {
  return {
    AIGATEWAY_PROFILE: { value: 'production' },
    ...rootSecrets,
    AIGATEWAY_DATA_DIR: { value: dataDirectory },
    AIGATEWAY_TRUSTED_HOPS: { value: String(hops) },
    AIGATEWAY_REPLICAS: { value: String(replicas) },
    // Some seconds are left to write usage out.
    AIGATEWAY_DRAIN_TIME: { value: `${graceSeconds - 30}s` },
    AZURE_CLIENT_ID: { value: identity.resource.clientId },
  };
}
