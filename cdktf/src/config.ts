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

/** A network of addresses; "every address" is none, and must not stand where somebody means a list. */
const cidr = z.cidrv4().refine((text) => !text.endsWith('/0'), 'means every address');

/** Only these addresses get in; none means that all do. */
const allowedIps = z.array(cidr).default([]);

const proxy = z
  .strictObject({
    cpu: size,
    minReplicas: replicas.default(1),
    maxReplicas: replicas.min(1).default(10),
    /** Calls at once that one replica more is started for. Container Apps counts long streams too low, so it is small. */
    concurrentRequests: z.int().min(1).max(1000).default(15),
    allowedIps,
  })
  .prefault({})
  .refine(({ minReplicas, maxReplicas }) => minReplicas <= maxReplicas, {
    message: 'minReplicas is above maxReplicas',
    path: ['minReplicas'],
  });

const controlPlane = z
  .strictObject({
    cpu: size,
    minReplicas: z.int().min(1).max(10).default(1),
    maxReplicas: z.int().min(1).max(10).default(2),
    /** Addresses of administrators. None: it is reached through the proxies alone. */
    allowedIps,
  })
  .prefault({});

const redis = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('managed'),
    sku: z.string().min(1).default('Balanced_B0'),
    /** Cannot be changed later. */
    isHighlyAvailable: z.boolean().default(true),
  }),
  /** One that is there already: the secret `redis-url` of the vault names it. */
  z.strictObject({ kind: z.literal('existing') }),
]);

const store = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('cosmos'),
    /** Request units a second at most, in steps of 1000; paid by request where there is none. */
    maxThroughput: z.int().min(1000).multipleOf(1000).optional(),
  }),
  z.strictObject({
    kind: z.literal('postgres'),
    sku: z.string().min(1).default('B_Standard_B1ms'),
    /** Grows by itself. */
    storageGb: z.literal([32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384]).default(32),
    isHighlyAvailable: z.boolean().default(false),
  }),
  /** One that is there already, named by the secret `database-url` of the vault. */
  z.strictObject({ kind: z.literal('existing-postgres') }),
  /** One that is there already. Its owner grants the identity of the control plane data access. */
  z.strictObject({ kind: z.literal('existing-cosmos'), endpoint: z.url({ protocol: /^https$/ }) }),
]);

const network = z
  .strictObject({
    addressSpace: cidr.default('10.60.0.0/16'),
    apps: cidr.default('10.60.0.0/23'),
    endpoints: cidr.default('10.60.2.0/24'),
    /** The gateway itself has no public address. */
    isInternal: z.boolean().default(false),
    /** Addresses that may write secrets into the vault, besides what is in the network. */
    vaultAllowedIps: allowedIps,
  })
  .superRefine(({ addressSpace, apps, endpoints }, context) => {
    const space = rangeOf(addressSpace);
    for (const [key, text] of Object.entries({ apps, endpoints })) {
      const { first, last } = rangeOf(text);
      if (first < space.first || last > space.last)
        context.addIssue({
          code: 'custom',
          path: [key],
          message: `lies outside of ${addressSpace}`,
        });
    }
    const [one, other] = [rangeOf(apps), rangeOf(endpoints)];
    if (one.first <= other.last && other.first <= one.last)
      context.addIssue({ code: 'custom', path: ['endpoints'], message: `overlaps with ${apps}` });
    if (Number(apps.split('/')[1]) > 27)
      context.addIssue({ code: 'custom', path: ['apps'], message: 'is smaller than /27' });
  });

/** First and last address of a network, as numbers. */
function rangeOf(text: string): { first: number; last: number } {
  const [address = '', bits = '32'] = text.split('/');
  const number = address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(number / size) * size;
  return { first, last: first + size - 1 };
}

const frontDoor = z.strictObject({
  allowedIps,
  /** `Detection` only notes what `Prevention` refuses. Prompts look like attacks: begin with the first. */
  wafMode: z.enum(['Detection', 'Prevention']).default('Detection'),
  /** Requests a minute from one address. */
  rateLimit: z.int().positive().default(3000),
});

const budget = z.strictObject({
  /** A month, in the currency of the subscription. */
  amount: z.number().positive(),
  /** First of a month that has not passed when it is made. */
  from: z.iso.date().refine((text) => text.endsWith('-01'), 'must be the first of a month'),
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

/** People: the identity that applies may give no other identity the right to write secrets. */
const writer = z.strictObject({
  principalId: z.guid(),
  principalType: z.enum(['User', 'Group']),
});

const state = z.strictObject({
  resourceGroup: z.string().min(1),
  storageAccount: z.string().regex(/^[a-z0-9]{3,24}$/),
  container: z.string().regex(/^[a-z0-9-]{3,63}$/),
});

const schema = z
  .strictObject({
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
    /** Who writes secrets into the vault, by object ids. */
    secretWriters: z.array(writer).default([]),
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
    /**
     * What runs: `proxy` alone, with the models of this file and one key; `all`, both planes in one app; `separate`, proxies
     * and a control plane.
     */
    topology: z.enum(['proxy', 'all', 'separate']).default('proxy'),
    proxy,
    controlPlane,
    redis: redis.optional(),
    store: store.optional(),
    /** A virtual network, and private endpoints of everything that has data or models. */
    network: network.optional(),
    /** Front Door with a web application firewall; then the apps have no other public entrance. */
    frontDoor: frontDoor.optional(),
    /** Further regions that have proxies alone, and share what the first one has. */
    furtherRegions: z.array(z.strictObject({ location: region })).default([]),
    applicationInsights: z.boolean().default(false),
    /** Addresses of those who are told of alerts; none are made where nobody is. */
    contacts: z.array(z.email()).default([]),
    budget: budget.optional(),
  })
  .superRefine((settings, context) => {
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    const { topology, store: kept, redis: shared, network: own, proxy: scale } = settings;
    if (topology === 'proxy' && kept !== undefined)
      refuse('store', 'is for a control plane, and topology has none');
    if (topology !== 'proxy' && kept === undefined)
      refuse('store', `is needed by topology ${topology}`);
    if (topology === 'separate' && shared === undefined)
      refuse('redis', 'is where proxies and control plane meet');
    if (topology === 'all' && scale.maxReplicas > 1)
      refuse('proxy', 'topology all is one process: maxReplicas 1');
    if (settings.furtherRegions.length > 0) {
      if (topology === 'all') refuse('furtherRegions', 'need topology separate or proxy');
      if (own !== undefined)
        refuse('furtherRegions', 'would not reach the private endpoints of the first region');
      const all = [settings.location, ...settings.furtherRegions.map(({ location }) => location)];
      if (new Set(all).size < all.length) refuse('furtherRegions', 'has a region twice');
    }
    if (own?.isInternal === true && settings.frontDoor !== undefined)
      refuse('frontDoor', 'reaches apps through a private link of its own: leave isInternal out');
    if (settings.frontDoor !== undefined && scale.allowedIps.length > 0)
      refuse('proxy', 'behind Front Door addresses are allowed there: frontDoor.allowedIps');
    if (settings.budget !== undefined && settings.contacts.length === 0)
      refuse('contacts', 'are who is told of the budget');
    const regions = settings.openai
      .filter(({ existing }) => existing === undefined)
      .map(({ region: at }) => at);
    if (new Set(regions).size < regions.length)
      refuse('openai', 'has two new accounts in one region, whose names would be the same');
    if (
      settings.openai.some(({ existing }) => existing?.signIn === 'key') &&
      settings.openai.length > 1
    )
      refuse('openai', 'an account with a key must be the only one: there is one secret for it');
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
