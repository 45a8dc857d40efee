import { ContainerApp } from '@cdktn/provider-azurerm/lib/container-app/index.js';
import { memoryOf } from '../config.ts';
import type { Identity } from './identity.ts';
import type { Site } from './site.ts';

/** A variable of a container: a value, or the name of a secret of the vault. */
export type Variable = { readonly value: string } | { readonly secret: string };

export type AppSettings = {
  readonly role: 'proxy' | 'control-plane' | 'all';
  readonly name: string;
  readonly image: string;
  readonly identity: Identity;
  readonly environmentId: string;
  readonly vaultUri: string;
  readonly variables: { readonly [name: string]: Variable };
  readonly scale: Scale;
  readonly isExternal: boolean;
  /** Addresses that get in; none means that all do. */
  readonly allowedIps: readonly string[];
};

type Scale = Pick<Site['configuration']['proxy'], 'cpu' | 'minReplicas' | 'maxReplicas'> & {
  readonly concurrentRequests?: number;
};

/** Ports that the gateway listens on unless told otherwise. */
const apiPort = 8080;
const operationsPort = 9090;

/** Where the image keeps what must survive a restart of the container. */
export const dataDirectory = '/data';

/** Streams may last that long after a revision was told to stop. */
export const graceSeconds = 600;

/** A container app that runs one role of the gateway. */
export function createApp(site: Site, settings: AppSettings): ContainerApp {
  const { stack, base, configuration } = site;
  const { role, identity, scale } = settings;
  const identityId = identity.resource.id;
  const registry = configuration.registry;
  const probe = { port: operationsPort, transport: 'HTTP' };
  return new ContainerApp(stack, `app-${role}`, {
    resourceGroupName: base.resourceGroupName,
    tags: base.tags,
    name: settings.name,
    containerAppEnvironmentId: settings.environmentId,
    workloadProfileName: 'Consumption',
    // A new revision takes no call before it was tried: the pipeline shifts traffic. Of control planes the one before must end, which works
    // without any call: it takes usage in.
    revisionMode: role === 'control-plane' ? 'Single' : 'Multiple',
    maxInactiveRevisions: 10,
    identity: { type: 'UserAssigned', identityIds: [identityId] },
    ...(registry !== undefined && {
      registry: [{ server: registry.loginServer, identity: identityId }],
    }),
    secret: secretReferences(settings),
    ingress: {
      externalEnabled: settings.isExternal,
      targetPort: apiPort,
      transport: 'http',
      allowInsecureConnections: false,
      clientCertificateMode: 'ignore',
      // The ingress looks at the connection: X-Forwarded-For, which a caller can write, does not count. All rules allow, so all else is refused.
      ipSecurityRestriction: settings.allowedIps.map((range, index) => ({
        name: `allowed-${index + 1}`,
        action: 'Allow',
        ipAddressRange: range,
      })),
      trafficWeight: [{ latestRevision: true, percentage: 100 }],
    },
    template: {
      minReplicas: scale.minReplicas,
      maxReplicas: scale.maxReplicas,
      terminationGracePeriodSeconds: graceSeconds,
      container: [
        {
          name: 'gateway',
          image: settings.image,
          args: ['--role', role],
          cpu: Number(scale.cpu),
          memory: memoryOf(scale.cpu),
          env: environmentOf(settings.variables),
          startupProbe: [
            { ...probe, path: '/livez', intervalSeconds: 1, timeout: 1, failureCountThreshold: 30 },
          ],
          livenessProbe: [
            { ...probe, path: '/livez', intervalSeconds: 10, timeout: 5, failureCountThreshold: 3 },
          ],
          readinessProbe: [
            { ...probe, path: '/readyz', intervalSeconds: 5, timeout: 3, failureCountThreshold: 2 },
          ],
          volumeMounts: [{ name: 'data', path: dataDirectory }],
        },
      ],
      volume: [{ name: 'data', storageType: 'EmptyDir' }],
      ...(scale.concurrentRequests !== undefined && {
        httpScaleRule: [{ name: 'calls', concurrentRequests: String(scale.concurrentRequests) }],
      }),
      // Many long streams are few new calls: what they cost shows as work. With this rule nothing scales to zero.
      ...(scale.minReplicas > 0 && {
        customScaleRule: [
          { name: 'cpu', customRuleType: 'cpu', metadata: { type: 'Utilization', value: '70' } },
        ],
      }),
    },
    dependsOn: [...identity.grants],
    // Written back as they were read, so that an update does not undo where the pipeline sent traffic.
    lifecycle: { ignoreChanges: ['ingress[0].traffic_weight'] },
  });
}

/** Variables as containers have them. */
export function environmentOf(
  variables: AppSettings['variables'],
): { name: string; value?: string; secretName?: string }[] {
  return Object.entries(variables).map(([name, variable]) =>
    'secret' in variable ? { name, secretName: variable.secret } : { name, value: variable.value },
  );
}

/** The secrets that variables refer to, each a reference to its newest version in the vault. */
export function secretReferences({
  variables,
  vaultUri,
  identity,
}: Pick<AppSettings, 'variables' | 'vaultUri' | 'identity'>): {
  name: string;
  keyVaultSecretId: string;
  identity: string;
}[] {
  const names = Object.values(variables).flatMap((variable) =>
    'secret' in variable ? [variable.secret] : [],
  );
  return [...new Set(names)].toSorted().map((name) => ({
    name,
    keyVaultSecretId: `${vaultUri}secrets/${name}`,
    identity: identity.resource.id,
  }));
}
