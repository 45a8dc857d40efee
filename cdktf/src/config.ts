import * as z from 'zod';
import { defaultParts, partPattern, suffixPattern } from './names.ts';
import { regionCodes } from './regions.ts';

const part = z.string().regex(partPattern, 'must be lower-case letters and digits, a letter first');
const region = part.refine(
  (name) => Object.hasOwn(regionCodes, name),
  'is no region that regions.ts knows',
);
const replicas = z.int().min(0).max(300);

/** What one container may have: the pairs that the Consumption profile offers. */
const size = z.enum(['0.25', '0.5', '1', '2', '4']).default('0.5');

/** Memory of a container is always twice its cores, in Gi. */
export function memoryOf(cpu: string): string {
  return `${Number(cpu) * 2}Gi`;
}

const proxy = z
  .strictObject({
    cpu: size,
    minReplicas: replicas.default(1),
    maxReplicas: replicas.min(1).default(10),
    /** Calls at once that one replica more is started for. Container Apps counts long streams too low, so it is small. */
    concurrentRequests: z.int().min(1).max(1000).default(15),
  })
  .prefault({})
  .refine(({ minReplicas, maxReplicas }) => minReplicas <= maxReplicas, {
    message: 'minReplicas is above maxReplicas',
    path: ['minReplicas'],
  });

/** An image that is pulled with the identity of the apps; other registries need no credential. */
const registry = z.strictObject({
  loginServer: z.hostname(),
  resourceId: z.string().regex(/^\/subscriptions\/.+\/registries\/[^/]+$/),
});

const deployment = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  /** Name that callers use, where it is not the deployment's. The same alias on several accounts makes a group. */
  alias: z.string().min(1).optional(),
  model: z.string().min(1),
  version: z.string().min(1).optional(),
  /** Provisioned kinds are tried first. */
  sku: z
    .enum([
      'Standard',
      'GlobalStandard',
      'DataZoneStandard',
      'ProvisionedManaged',
      'GlobalProvisionedManaged',
      'DataZoneProvisionedManaged',
    ])
    .default('GlobalStandard'),
  /** Thousands of tokens a minute, or provisioned units. */
  capacity: z.int().positive(),
  /** Dated api-version; `/openai/v1` where there is none. */
  apiVersion: z.string().min(1).optional(),
});

/** An account that is there already, also one of another subscription. */
const existingAccount = z.strictObject({
  endpoint: z.url({ protocol: /^https$/ }),
  resourceId: z.string().regex(/^\/subscriptions\/.+\/accounts\/[^/]+$/),
  /** With `key` the secret `azure-openai-api-key` of the vault signs in. */
  signIn: z.enum(['identity', 'key']).default('identity'),
});

const account = z.strictObject({
  /** Region of the models, which need not be that of the gateway. */
  region,
  existing: existingAccount.optional(),
  deployments: z.array(deployment).min(1),
});

const state = z.strictObject({
  resourceGroup: z.string().min(1),
  storageAccount: z.string().regex(/^[a-z0-9]{3,24}$/),
  container: z.string().regex(/^[a-z0-9-]{3,63}$/),
});

const schema = z.strictObject({
  /** Names the folder, the stack and a tag; part of no resource's name. */
  client: part,
  environment: part,
  /** Three letters, for an environment that is none of dev, staging and prod. */
  environmentCode: z
    .string()
    .regex(/^[a-z][a-z0-9]{2}$/)
    .optional(),
  prefix: part.default(defaultParts.prefix),
  project: part.default(defaultParts.project),
  /** Four hexadecimal digits in names that can exist once in the world. */
  uniqueSuffix: z.string().regex(suffixPattern).optional(),
  /** Azure region of everything but models, `southafricanorth`. */
  location: region.default(defaultParts.region),
  /** Where the one who applies says nothing (`TF_VAR_tenant_id`, `TF_VAR_subscription_id`). */
  tenantId: z.guid().optional(),
  subscriptionId: z.guid().optional(),
  /** A tag. */
  repository: z.string().min(1).optional(),
  /** Where the Terraform state is; a storage account of the environment's own unless set. */
  state: state.optional(),
  registry: registry.optional(),
  openai: z.array(account).min(1),
  /** Models of requests that name none. */
  defaultModels: z
    .strictObject({ chat: z.string(), responses: z.string(), embeddings: z.string() })
    .partial()
    .optional(),
  logs: z
    .strictObject({
      retentionDays: z.int().min(30).max(730).default(30),
      dailyGb: z.number().positive().default(1),
    })
    .prefault({}),
  /** Protects what could not be made again: the vault against purging, the store and the vault against `destroy`. */
  isProtected: z.boolean().default(false),
  proxy,
});

/** What a client's environment is made of, complete and checked. */
export type Configuration = z.infer<typeof schema>;

/** The same as it is written down: only `client` and `environment` must be said. */
export type ConfigurationInput = z.input<typeof schema>;

/**
 * Checks the configuration of one environment.
 *
 * @throws {Error} listing everything that is wrong: unknown keys, addresses that are none, flags that exclude each other
 */
export function configuration(input: ConfigurationInput): Configuration {
  const name = `${input.client}/${input.environment}`;
  const result = schema.safeParse(input);
  if (!result.success) {
    const lines = result.error.issues.map(
      ({ path, message }) => `  ${path.join('.') || '(top)'}: ${message}`,
    );
    throw new Error(`${name} cannot be used:\n${lines.join('\n')}`);
  }
  return result.data;
}
