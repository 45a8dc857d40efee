import * as z from 'zod';
import { type JsonSchema, chartConfigSchema } from './chart-config-schema.ts';

/**
 * The values of the chart: names, what they do, what they are unless set. values.yaml, values.schema.json and the table of the chart's
 * README are written from here, by `node scripts/reference.ts`.
 */

/** A part of an object of Kubernetes, as its API has it. */
const kubernetesObject = () => z.looseObject({});
const objects = () => z.array(kubernetesObject()).default([]);
const names = () => z.record(z.string(), z.string()).default({});
const text = (fallback = '') => z.string().default(fallback);
const flag = (fallback: boolean) => z.boolean().default(fallback);
const count = (fallback: number, min = 0) => z.int().min(min).default(fallback);

const resources = (cpu: string, memory: string, limit: string, disk: string) =>
  kubernetesObject().default({
    requests: { cpu, memory, 'ephemeral-storage': '100Mi' },
    limits: { memory: limit, 'ephemeral-storage': disk },
  });

const autoscaling = (maxReplicas: number) =>
  z
    .strictObject({
      kind: z
        .enum(['none', 'hpa', 'keda'])
        .default('none')
        .describe(
          'Who sets the number of replicas: nobody, a HorizontalPodAutoscaler, or a ScaledObject of KEDA',
        ),
      minReplicas: count(2, 0).describe('Fewest replicas; 0 with KEDA alone'),
      maxReplicas: count(maxReplicas, 1).describe('Most replicas'),
      targetCpu: count(60, 1).describe('CPU in per cent of the request to keep at'),
      metrics: objects().describe('More `metrics` of the HorizontalPodAutoscaler'),
      triggers: objects().describe('More `triggers` of the ScaledObject'),
      scaleDownSeconds: count(300).describe(
        'How long fewer replicas must be enough before one goes: streams under way end with it',
      ),
    })
    .prefault({});

const ingress = z
  .strictObject({
    enabled: flag(false).describe('Makes an Ingress'),
    className: text().describe('Its class'),
    annotations: names().describe(
      'Its annotations; streams need buffering off and a long time to read, see the README',
    ),
    hosts: z.array(z.string()).default([]).describe('Host names, each with all paths'),
    tlsSecretName: text().describe('Secret with the certificate; none: no TLS section'),
  })
  .prefault({});

const httpRoute = z
  .strictObject({
    enabled: flag(false).describe('Makes an HTTPRoute of the Gateway API'),
    parentRefs: objects().describe('Gateways that it attaches to'),
    hostnames: z.array(z.string()).default([]).describe('Host names'),
  })
  .prefault({});

type Defaults = {
  readonly enabled: boolean;
  readonly replicas: number;
  readonly port: number;
  readonly cpu: string;
};

/** What runs one role. */
function workload({ enabled, replicas, port, cpu }: Defaults) {
  return {
    enabled: flag(enabled).describe('Whether it runs'),
    replicas: count(replicas).describe('How many pods, where no autoscaler says it'),
    resources: resources(cpu, '512Mi', '1Gi', '2Gi').describe(
      'Requests and limits; no limit of CPU, which would hold streams up',
    ),
    autoscaling: autoscaling(10),
    azureClientId: text().describe(
      'Client id of its managed identity, with `azureWorkloadIdentity`',
    ),
    serviceAccount: z
      .strictObject({
        create: flag(true).describe('Makes its ServiceAccount'),
        name: text().describe('Its name; made of the release and the role unless set'),
        annotations: names().describe('Its annotations'),
      })
      .prefault({}),
    service: z
      .strictObject({
        type: z
          .enum(['ClusterIP', 'NodePort', 'LoadBalancer'])
          .default('ClusterIP')
          .describe('Type of the Service'),
        port: count(port, 1).describe('Port of the Service'),
        annotations: names().describe('Annotations of the Service'),
      })
      .prefault({}),
    ingress,
    httpRoute,
    from: objects().describe(
      'Who may reach the API port, as `from` of a NetworkPolicy; empty: see `networkPolicy`',
    ),
    podDisruptionBudget: flag(true).describe(
      'Lets an eviction take one pod at a time, where there are several',
    ),
    dataVolume: kubernetesObject()
      .default({})
      .describe(
        'Volume of the data directory (spool, last snapshot, SQLite), as in `volumes` of a pod; empty: an emptyDir',
      ),
    podAnnotations: names().describe('Annotations of the pods'),
    podLabels: names().describe('Labels of the pods'),
    nodeSelector: names().describe('Nodes that may be used'),
    tolerations: objects().describe('Taints that are tolerated'),
    affinity: kubernetesObject()
      .default({})
      .describe('Affinity; empty: pods keep apart from each other where they can'),
    topologySpreadConstraints: objects().describe(
      'How pods are spread; empty: over zones and hosts, as far as it goes',
    ),
    priorityClassName: text().describe('Priority class of the pods'),
    extraArgs: z
      .array(z.string())
      .default([])
      .describe('More arguments of the gateway, `--help` lists them'),
    extraEnv: objects().describe('More variables, as `env` of a container'),
    extraVolumes: objects().describe('More volumes of the pod'),
    extraVolumeMounts: objects().describe('Where they are mounted'),
  };
}

export const chartValues = z.strictObject({
  nameOverride: text().describe("Name in place of the chart's"),
  fullnameOverride: text().describe('Begin of the names of all objects'),
  commonLabels: names().describe('Labels of all objects'),
  image: z
    .strictObject({
      repository: text().describe('Registry and repository; required'),
      tag: text().describe("Tag; the version of the chart's app unless set, never `latest`"),
      digest: text().describe('`sha256:…`, which counts before the tag'),
      pullPolicy: z
        .enum(['IfNotPresent', 'Always', 'Never'])
        .default('IfNotPresent')
        .describe('When it is pulled'),
      pullSecrets: z.array(z.string()).default([]).describe('Secrets to pull it with'),
    })
    .prefault({}),
  config: z
    .looseObject({})
    .default({})
    .describe(
      "The gateway's config.yaml: docs/reference/configuration.md. Secrets as os.environ/NAME or keyvault/VAULT/NAME",
    ),
  secrets: z
    .strictObject({
      existingSecret: text().describe(
        'Secret with the keys AIGATEWAY_SECRET, LITELLM_MASTER_KEY, REDIS_URL, DATABASE_URL …; required unless one of the next two makes it',
      ),
      modelKeys: z
        .array(z.string())
        .default([])
        .describe(
          'More of its keys, which `config` refers to as os.environ/NAME: every role gets them',
        ),
      revision: z
        .union([z.string(), z.number()])
        .default('')
        .describe('Any text or number; pods restart when it changes, as after a rotation'),
      externalSecret: z
        .strictObject({
          enabled: flag(false).describe('Makes an ExternalSecret (external-secrets.io)'),
          storeName: text().describe('Name of the store'),
          storeKind: z
            .enum(['SecretStore', 'ClusterSecretStore'])
            .default('ClusterSecretStore')
            .describe('Kind of the store'),
          refreshInterval: text('1h').describe('How often it is read'),
          data: names().describe('Secret of the store by key, as `AIGATEWAY_SECRET: root-secret`'),
        })
        .prefault({}),
      secretsStore: z
        .strictObject({
          enabled: flag(false).describe(
            'Makes a SecretProviderClass of the Secrets Store CSI driver for Azure Key Vault, and mounts it',
          ),
          keyVault: text().describe('Name of the vault'),
          tenantId: text().describe('Its tenant'),
          clientId: text().describe(
            'Client id of the identity that reads it, federated with the ServiceAccounts of all pods',
          ),
          objects: names().describe(
            'Secret of the vault by key, as `AIGATEWAY_SECRET: root-secret`',
          ),
        })
        .prefault({}),
    })
    .prefault({}),
  store: z
    .strictObject({
      kind: z
        .enum(['postgresql', 'cosmos', 'sqlite'])
        .default('postgresql')
        .describe(
          'Where keys, teams and usage are: DATABASE_URL of the secret, Cosmos DB, or a file, which is for one pod with a volume',
        ),
      cosmosEndpoint: text().describe('`https://ACCOUNT.documents.azure.com`'),
      cosmosDatabase: text('aigateway').describe('Its database'),
    })
    .prefault({}),
  migration: z
    .strictObject({
      enabled: flag(true).describe(
        'Brings the schema of the store up to date before pods change (`--migrate apply`)',
      ),
      azureClientId: text().describe(
        'Client id of its managed identity, with `azureWorkloadIdentity`',
      ),
      backoffLimit: count(3).describe('How often it is tried again'),
      activeDeadlineSeconds: count(600, 1).describe(
        'After which it has failed, and the release with it',
      ),
      resources: resources('100m', '256Mi', '512Mi', '256Mi').describe('Requests and limits'),
    })
    .prefault({}),
  azureWorkloadIdentity: z
    .strictObject({
      enabled: flag(false).describe('Pods sign in to Azure as the identities of `azureClientId`'),
      tenantId: text().describe("Tenant of the identities; the cluster's unless set"),
    })
    .prefault({}),
  shutdown: z
    .strictObject({
      delaySeconds: count(5).describe(
        'How long a pod that stops still takes calls, until nobody sends it any',
      ),
      drainSeconds: count(285).describe('How long calls under way may go on then'),
    })
    .prefault({}),
  proxy: z
    .strictObject(workload({ enabled: true, replicas: 2, port: 80, cpu: '500m' }))
    .prefault({})
    .describe('The data plane: serves models'),
  controlPlane: z
    .strictObject(workload({ enabled: true, replicas: 1, port: 80, cpu: '250m' }))
    .prefault({})
    .describe(
      'The control plane: management API. Without it proxies take models and keys from `config` alone',
    ),
  all: z
    .strictObject({
      ...workload({ enabled: false, replicas: 1, port: 80, cpu: '500m' }),
      persistence: z
        .strictObject({
          enabled: flag(false).describe('Keeps the data directory of one pod on a volume'),
          existingClaim: text().describe('Claim to use; one is made unless set'),
          size: text('8Gi').describe('Size of the claim'),
          storageClassName: text().describe("Its class; the cluster's unless set"),
        })
        .prefault({}),
    })
    .prefault({})
    .describe('Both planes in one process (`--role all`), in place of the two'),
  networkPolicy: z
    .strictObject({
      enabled: flag(true).describe(
        'Models are reached from everywhere, the management API from the proxies and from where `controlPlane.from` says',
      ),
      metricsFrom: objects().describe(
        'Who may reach the operations port, as `from` of a NetworkPolicy; empty: the namespace of the release',
      ),
      egressPorts: z
        .array(z.int().min(1).max(65_535))
        .default([443, 5432, 6379, 6380, 10000])
        .describe('TCP ports that may be called: Azure, PostgreSQL, Redis'),
      extraEgress: objects().describe('More `egress` rules'),
    })
    .prefault({}),
  serviceMonitor: z
    .strictObject({
      enabled: flag(false).describe('Makes a ServiceMonitor of the Prometheus operator'),
      interval: text('30s').describe('How often metrics are read'),
      labels: names().describe('Labels that the operator selects by'),
    })
    .prefault({}),
  prometheusRule: z
    .strictObject({
      enabled: flag(false).describe('Makes a PrometheusRule with alerts'),
      labels: names().describe('Labels that the operator selects by'),
    })
    .prefault({}),
  dashboard: z
    .strictObject({
      enabled: flag(false).describe('Makes a ConfigMap with a dashboard for Grafana'),
      labels: names()
        .default({ grafana_dashboard: '1' })
        .describe("Labels that Grafana's sidecar selects by"),
    })
    .prefault({}),
  test: z
    .strictObject({
      callerKey: text().describe(
        'Key of the secret that holds a key for callers: `helm test` then lists the models with it',
      ),
    })
    .prefault({}),
  extraObjects: objects().describe('More objects, templates are filled in'),
});

/** JSON Schema of the values, for values.schema.json. */
export function valuesSchema(): JsonSchema {
  const schema = z.toJSONSchema(chartValues, { target: 'draft-7', io: 'input' }) as JsonSchema;
  const { properties = {} } = schema;
  const { description } = properties['config'] ?? {};
  properties['config'] = { ...chartConfigSchema(), ...(description && { description }) };
  // Helm adds it to the values of every chart that is part of another.
  properties['global'] = { type: 'object' };
  return schema;
}

/** One value: its path, and what it is unless set. */
export type ValueRow = {
  readonly path: string;
  readonly description: string;
  readonly fallback: unknown;
};

/** All values, in the order of the schema; sections have rows of their own where they are described. */
export function valueRows(): ValueRow[] {
  const { properties = {} } = z.toJSONSchema(chartValues, { io: 'input' }) as JsonSchema;
  return rowsOf(properties, '', chartValues.parse({}));
}

function rowsOf(
  properties: { readonly [key: string]: JsonSchema },
  prefix: string,
  fallbacks: { readonly [key: string]: unknown },
): ValueRow[] {
  return Object.entries(properties).flatMap(([key, { properties: inner, description = '' }]) => {
    const path = prefix + key;
    const fallback = fallbacks[key];
    if (inner === undefined || Object.keys(inner).length === 0)
      return [{ path, description, fallback }];
    const rows = rowsOf(inner, `${path}.`, fallback as { [key: string]: unknown });
    return description === '' ? rows : [{ path, description, fallback: undefined }, ...rows];
  });
}
