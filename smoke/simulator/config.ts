import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';

import { findModel, MODEL_OPERATIONS } from './models.ts';

/** Tenant of resources and identities that name none. */
export const DEFAULT_TENANT = '00000000-0000-4000-8000-0000000000bb';
/** Client id of the managed identity that exists unless identities are configured. */
export const DEFAULT_CLIENT_ID = '00000000-0000-4000-8000-0000000000aa';
/** Secret of that identity, for the client-credentials grant. */
export const DEFAULT_CLIENT_SECRET = 'simulated-secret';

const quotaSchema = z.strictObject({
  rpm: z.int().min(1).default(60_000).describe('Requests per minute'),
  tpm: z.int().min(1).default(10_000_000).describe('Tokens per minute'),
  sliceSeconds: z
    .union([z.literal(1), z.literal(10)])
    .default(10)
    .describe('Requests are counted in slices of this length'),
  assumedMaxTokens: z
    .int()
    .min(0)
    .default(16)
    .describe('Output tokens assumed at arrival when the caller names no maximum'),
  refusedCallsCount: z.boolean().default(true).describe('Refused calls use up quota as well'),
});

const provisionedSchema = z.strictObject({
  units: z.int().min(1).default(15).describe('Provisioned throughput units'),
  inputTpmPerUnit: z
    .number()
    .positive()
    .optional()
    .describe("Input tokens per minute of a unit; default: the model's"),
  outputRatio: z
    .number()
    .positive()
    .optional()
    .describe("Weight of an output token; default: the model's"),
  burstSeconds: z
    .number()
    .positive()
    .default(10)
    .describe('The bucket holds this many seconds of throughput'),
});

const deploymentSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/)
      .describe('Deployment name'),
    model: z.string().describe("Base model of the simulator's catalogue"),
    version: z.string().optional().describe('Model version; default: the newest known'),
    quota: quotaSchema.prefault({}).describe('Standard deployments: rate limits'),
    provisioned: provisionedSchema
      .optional()
      .describe('Makes it a provisioned (PTU) deployment; quota is then unused'),
    spilloverDeploymentName: z
      .string()
      .optional()
      .describe('PTU: where refused calls go, in the same resource'),
    operations: z
      .array(z.enum(MODEL_OPERATIONS))
      .optional()
      .describe("Overrides the model's operations"),
    refusedParameters: z
      .array(z.string())
      .default([])
      .describe('Parameters this deployment refuses besides those of its model'),
    contextWindow: z.int().min(1).optional().describe("Overrides the model's context window"),
    latencyMs: z.number().min(0).default(0).describe('Time before the status line'),
    chunkDelayMs: z
      .number()
      .min(0)
      .optional()
      .describe('Pause before every stream event; default: that of the simulator'),
    asyncFilter: z.boolean().default(false).describe('Asynchronous content filter mode'),
  })
  .refine((deployment) => findModel(deployment.model) !== undefined, {
    error: (issue) =>
      `unknown model ${JSON.stringify((issue.input as { model?: unknown }).model)}; see models.ts`,
    path: ['model'],
  });

const wordingSchema = z.enum(['classic', '2025', '2026']);

const resourceSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
    .describe('Custom subdomain, and the path prefix on loopback'),
  region: z.string().default('eastus2').describe('Azure region id'),
  hosts: z.array(z.string()).default([]).describe('Further host names that select the resource'),
  keys: z.array(z.string().min(1)).min(1).max(2).describe('API keys'),
  keyAuth: z.boolean().default(true).describe('false: key authentication is disabled by policy'),
  tenant: z.string().default(DEFAULT_TENANT).describe('Entra tenant of the resource'),
  audiences: z
    .array(z.string())
    .default(['https://cognitiveservices.azure.com', 'https://ai.azure.com'])
    .describe('Accepted token audiences'),
  customSubdomain: z.boolean().default(true).describe('false: tokens are refused'),
  network: z
    .enum(['open', 'public-access-disabled', 'private-endpoint-only', 'firewall', 'blocked'])
    .default('open')
    .describe('Anything but open answers every call with 403'),
  encryptionDomain: z
    .string()
    .optional()
    .describe('Resources of one domain read each other’s encrypted reasoning; default: own'),
  rateLimitWording: wordingSchema
    .optional()
    .describe('Text of a 429; default: that of the simulator'),
  deployments: z.array(deploymentSchema).default([]),
});

const identitySchema = z.strictObject({
  clientId: z.string().default(DEFAULT_CLIENT_ID),
  tenant: z.string().default(DEFAULT_TENANT),
  secret: z.string().optional().describe('Accepted by the client-credentials grant'),
  federatedToken: z
    .string()
    .optional()
    .describe('The only client assertion accepted; default: any non-empty text'),
  managed: z.boolean().default(true).describe('Offered at the managed-identity endpoints'),
  resources: z
    .array(z.string())
    .optional()
    .describe('Resources on which it holds the role; default: all'),
});

const identityServiceSchema = z.strictObject({
  header: z
    .string()
    .default('simulated-identity-header')
    .describe('Value of X-IDENTITY-HEADER that the identity endpoint demands'),
  tokenLifetimeSeconds: z.number().positive().default(3600),
  permissionWording: z.enum(['principal', 'data-action']).default('principal'),
  identities: z.array(identitySchema).default(() => [
    {
      clientId: DEFAULT_CLIENT_ID,
      tenant: DEFAULT_TENANT,
      secret: DEFAULT_CLIENT_SECRET,
      managed: true,
    },
  ]),
});

const vaultSchema = z.strictObject({
  tenant: z.string().default(DEFAULT_TENANT).describe('Entra tenant of the vault'),
  readers: z
    .array(z.string())
    .optional()
    .describe('Client ids that may read secrets; default: all identities'),
  secrets: z
    .record(z.string().regex(/^[0-9a-zA-Z-]{1,127}$/), z.string())
    .default({})
    .describe('Names and first values'),
});

/** The whole configuration; every field has a default but the resources. */
export const simulatorConfigSchema = z
  .strictObject({
    resources: z.array(resourceSchema).min(1),
    identity: identityServiceSchema.prefault({}),
    vault: vaultSchema.optional().describe('A Key Vault at the paths below /secrets'),
    rateLimitWording: wordingSchema.default('classic').describe('Text of a 429'),
    maxCustomHeaders: z.int().min(0).default(10).describe('More custom headers answer 431'),
    chunkDelayMs: z.number().min(0).default(0).describe('Pause before every stream event'),
    splitBytes: z
      .int()
      .min(1)
      .optional()
      .describe('Stream bodies are written in pieces of this many bytes'),
    background: z
      .strictObject({
        queuedMs: z.number().min(0).default(500),
        runMs: z.number().min(0).default(1500),
      })
      .prefault({})
      .describe('How long a background response is queued and in progress, by the clock'),
    itemVisibilityDelayMs: z
      .number()
      .min(0)
      .default(0)
      .describe('Stored responses and items are "not found" for this long after creation'),
    recordedRequests: z.int().min(0).default(200).describe('How many requests are remembered'),
  })
  .superRefine((config, context) => {
    const names = new Set<string>();
    for (const [index, resource] of config.resources.entries()) {
      if (names.has(resource.name)) {
        context.addIssue({
          code: 'custom',
          message: `resource ${resource.name} is defined twice`,
          path: ['resources', index, 'name'],
        });
      }
      names.add(resource.name);
    }
  });

/** Configuration as written: defaults may be left out. */
export type SimulatorConfig = z.input<typeof simulatorConfigSchema>;
/** Configuration with every default filled in. */
export type ResolvedConfig = z.output<typeof simulatorConfigSchema>;
/** One resource, defaults filled in. */
export type ResourceConfig = ResolvedConfig['resources'][number];
/** One deployment, defaults filled in. */
export type DeploymentConfig = ResourceConfig['deployments'][number];
/** Texts a rate-limit refusal can have, by the year they appeared. */
export type RateLimitWording = z.output<typeof wordingSchema>;

/** What `npm start` runs against: one resource with a deployment of each kind and generous quotas. */
export const defaultConfig: SimulatorConfig = {
  resources: [
    {
      name: 'simulator',
      keys: ['simulated-key'],
      deployments: [
        { name: 'gpt-5.3-codex', model: 'gpt-5.3-codex' },
        { name: 'gpt-4o', model: 'gpt-4o' },
        { name: 'gpt-4o-mini', model: 'gpt-4o-mini' },
        { name: 'gpt-5', model: 'gpt-5' },
        { name: 'text-embedding-3-small', model: 'text-embedding-3-small' },
        { name: 'text-embedding-3-large', model: 'text-embedding-3-large' },
      ],
    },
  ],
};

/**
 * Checks a configuration and fills in its defaults.
 *
 * @throws {Error} with every problem in its message
 */
export function resolveConfig(config: unknown): ResolvedConfig {
  const result = simulatorConfigSchema.safeParse(config);
  if (result.success) return result.data;
  throw new Error(`the simulator's configuration is wrong:\n${z.prettifyError(result.error)}`);
}

/**
 * Reads a YAML or JSON file.
 *
 * @throws {Error} if the file cannot be read or its content is wrong
 */
export function loadConfig(path: string): ResolvedConfig {
  return resolveConfig(parse(readFileSync(path, 'utf8')) as unknown);
}
