import type { VaultReference } from './key-vault.ts';
import type { LimitScope, Limits, ModelLimits } from './limits.ts';

/** Version of the record shapes below; a proxy reads its own and the neighbouring one. */
export const schemaVersion = 1;

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | JsonValue[]
  | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };

/** What can be asked of a model. One word per wire contract. */
export type Operation = 'chat' | 'completions' | 'embeddings' | 'responses';

/**
 * How one resource is spoken to.
 *
 * - `classic`: `/openai/deployments/{deployment}/…?api-version=…`
 * - `v1`: `/openai/v1/…` without a dated api-version
 * - `openai`: any OpenAI-compatible upstream; paths are appended to the base path as it stands
 */
export type DialectName = 'classic' | 'v1' | 'openai';

/** A secret by reference: resolved in the process that uses it, so that records carry none. `inline` never leaves the process; `sealed` is what
 * becomes of it where it must (`sealed-secrets.ts`). */
export type SecretReference =
  | { kind: 'env'; name: string }
  | VaultReference
  | { kind: 'inline'; value: string }
  | { kind: 'sealed'; value: string };

/** Exactly one way to authenticate towards an upstream; nothing falls back to another. */
export type CredentialMethod =
  | { kind: 'api-key'; key: SecretReference }
  | { kind: 'token'; token: SecretReference }
  | { kind: 'managed-identity'; clientId?: string }
  | { kind: 'workload-identity'; tenantId?: string; clientId?: string; tokenFile?: string }
  | { kind: 'client-secret'; tenantId: string; clientId: string; secret: SecretReference }
  | { kind: 'client-certificate'; tenantId: string; clientId: string; certificatePath: string }
  | { kind: 'developer'; tenantId?: string }
  | { kind: 'none' };

export type CredentialRecord = {
  id: string;
  method: CredentialMethod;
  /** The only origins this credential may be sent to. */
  origins: readonly string[];
  /** Entra scope; the default is Cognitive Services' `https://cognitiveservices.azure.com/.default`. */
  scope?: string;
  /** Entra authority host, for sovereign clouds. */
  authorityHost?: string;
};

/** One Azure resource (account) or other upstream: the home of deployments and of everything stateful. */
export type ResourceRecord = {
  /** Short, stable over restarts and renamings: derived from origin and base path. Goes into tagged ids. */
  id: string;
  /** Scheme, host and port, without a trailing slash. */
  origin: string;
  /** Path before `/openai/…` (or before the operation's path for `openai`); empty or starting with a slash, no trailing slash. */
  basePath: string;
  region?: string;
};

/** Prices of one deployment in pico-USD (1e-12 USD) per token, as integers. A part without a price of its own has the total's. */
export type PriceRecord = {
  input: number;
  output: number;
  cachedInput?: number;
  cacheWrite?: number;
  audioInput?: number;
  audioOutput?: number;
  reasoning?: number;
  /** Prices for the whole call once its input exceeds `aboveInputTokens`. */
  long?: { aboveInputTokens: number; input: number; output: number; cachedInput?: number };
  /** Prices by the service tier that the answer names, e.g. `priority` or `flex`. */
  tiers?: { [tier: string]: { input: number; output: number; cachedInput?: number } };
  /** True of a model that lets another answer: the prices of that one come on top of `input`. */
  isSurcharge?: boolean;
};

/** What clients are told about a model, in LiteLLM's terms. Absent = unknown. */
export type ModelFacts = {
  mode?: string;
  maxInputTokens?: number;
  maxOutputTokens?: number;
  /** LiteLLM's `supports_*` without the prefix. */
  supports?: readonly string[];
  baseModel?: string;
};

export type DeploymentRecord = {
  id: string;
  /** The model group this deployment serves: the public name, or a pattern with one `*`. */
  model: string;
  /** The upstream's name of it. A `*` is filled with what the pattern's `*` matched. */
  deployment: string;
  resource: ResourceRecord;
  dialect: DialectName;
  /** Dated api-version of the classic dialect; `preview` on v1 when previews are wanted; else absent. */
  apiVersion?: string;
  credential: string;
  /** What the deployment is declared to answer. Absent = learned from its refusals. */
  operations?: readonly Operation[];
  /** Lower is tried first; PTU has the lowest. */
  priority: number;
  capacity: 'ptu' | 'standard';
  weight?: number;
  requestsPerMinute?: number;
  tokensPerMinute?: number;
  parallelRequests?: number;
  /** Limit for the whole answer of a non-streaming call. */
  timeoutMs?: number;
  /** Limit for the first output of a stream. */
  streamTimeoutMs?: number;
  coolDownMs?: number;
  /** Failures in a minute before it rests, in all and by class; absent = the router's. */
  allowedFails?: number;
  allowedFailsPolicy?: { readonly [failure in FailureClass]?: number };
  tags: readonly string[];
  region?: string;
  /** Data zone that the region lies in, e.g. `eu` or `us`. */
  residency?: string;
  /** Which parameters the model takes: reasoning models refuse sampling parameters. Absent = learned. */
  family?: 'reasoning' | 'standard';
  /** Request parameters always dropped for this deployment. */
  drop: readonly string[];
  /** Request parameters added when the caller did not set them. */
  defaults: JsonObject;
  headers: { readonly [name: string]: string };
  facts: ModelFacts;
  prices?: PriceRecord;
  /** Taken out of service by an administrator: the model is known, but this deployment gets no calls. */
  blocked?: boolean;
  /** It comes from a store: the management API may change it. */
  stored?: boolean;
  /** Holders of limits that only attempts on this deployment must pass: its own budget, its provider's. */
  scopes?: readonly LimitScope[];
  /** Native Azure spillover target within the same resource. */
  spilloverDeployment?: string;
  /** `litellm_params.model` as configured; shown in model info. */
  litellmModel: string;
};

export type ModelRecord = {
  name: string;
  /** Hidden models work but are not listed. */
  hidden: boolean;
  accessGroups: readonly string[];
  /** What each key may use of it, where its own limits for the model do not say: `default_api_key_rpm_limit`, `…_tpm_limit`. */
  keyLimits?: Limits;
  /** Overrides the router's strategy for this group. */
  strategy?: StrategyName;
  /** Take the place of the router's, see {@link RouterRecord}. */
  latencyWindowMs?: number;
  latencyBuffer?: number;
  latencySamples?: number;
  /** Takes the place of the router's `retryPolicy`. */
  retryPolicy?: { readonly [failure in FailureClass]?: number };
  /** Overrides the router's number of extra attempts. */
  retries?: number;
};

export type StrategyName =
  | 'simple-shuffle'
  | 'round-robin'
  | 'least-busy'
  | 'latency-based-routing'
  | 'cost-based-routing'
  | 'usage-based-routing-v2';

/** Failure classes that LiteLLM's policies count. */
export type FailureClass =
  | 'BadRequestError'
  | 'AuthenticationError'
  | 'TimeoutError'
  | 'RateLimitError'
  | 'ContentPolicyViolationError'
  | 'InternalServerError'
  | 'ServiceUnavailableError'
  | 'BadGatewayError'
  | 'NotFoundError';

export type RouterRecord = {
  strategy: StrategyName;
  /** Latency-based routing: how long a measurement counts, and the share by which one may be above the best. */
  latencyWindowMs: number;
  latencyBuffer: number;
  /** How many of the last measurements count. Absent = 10. */
  latencySamples?: number;
  /** Extra attempts per model group. */
  retries: number;
  retryPolicy: { readonly [failure in FailureClass]?: number };
  allowedFails?: number;
  allowedFailsPolicy: { readonly [failure in FailureClass]?: number };
  coolDownMs: number;
  /** Attempts over all groups of one request, and the time they may take together. */
  maxAttempts: number;
  totalTimeoutMs: number;
  timeoutMs: number;
  streamTimeoutMs: number;
  /** Least wait between tries of one lone deployment. */
  retryAfterMs: number;
  fallbacks: { readonly [model: string]: readonly string[] };
  contextWindowFallbacks: { readonly [model: string]: readonly string[] };
  contentPolicyFallbacks: { readonly [model: string]: readonly string[] };
  defaultFallbacks: readonly string[];
  maxFallbacks: number;
  preCallChecks: boolean;
  tagFiltering: boolean;
  tagMatchAny: boolean;
  aliases: { readonly [alias: string]: { readonly model: string; readonly hidden: boolean } };
  /** Asked for when a request names no model. */
  defaultModels: { readonly [operation in Operation]?: string };
  /** Deployments' own requests and tokens per minute are hard limits, and not only shares for routing. */
  enforceRateLimits: boolean;
};

/** A virtual key: what a caller holds, without its secret. */
export type KeyRecord = {
  /** Stable over rotation; limits and usage hang on it. */
  keyId: string;
  /** Lower-case hex SHA-256 of each valid secret. Several overlap during a rotation. */
  secrets: readonly { readonly hash: string; readonly notAfter?: number }[];
  alias?: string;
  role: 'model' | 'admin';
  /** The tenant: team, else user, else key. */
  ownerId: string;
  teamId?: string;
  userId?: string;
  organizationId?: string;
  /** Names, patterns with `*`, or access groups; empty = every model. */
  models: readonly string[];
  /** Lists of those above the key (team, user, organization): each of them must let a model in as well. */
  modelsAbove?: readonly (readonly string[])[];
  aliases: { readonly [asked: string]: string };
  /** Paths or `*` patterns the key may call; empty = every path of the proxy. */
  routes: readonly string[];
  blocked: boolean;
  /** Milliseconds since the epoch. */
  expiresAt?: number;
  /** Every holder of limits above and including the key, in the order they are checked. */
  scopes: readonly LimitScope[];
  /** Holders whose budgets count what the key spends, and do not bind it: the user of a key that a team has. Absent = none. */
  chargedScopes?: readonly LimitScope[];
  /** The key's own; those of holders above it stand with them in `scopes`. */
  modelLimits: ModelLimits;
  tags: readonly string[];
  /** Where data may go: residencies or region names; empty = anywhere. */
  regions: readonly string[];
  /** A credential of the key's project: replaces the deployment's on the origins it is bound to; other origins are not used. */
  credential?: string;
  maxOutputTokens?: number;
  maxChoices?: number;
  /** Prompts and answers are logged, where `SettingsRecord.messageLogging` lets keys choose that. */
  logsMessages?: boolean;
};

/** A holder of limits that requests name themselves: a customer (LiteLLM's end user) or a tag. Those without any rule have no record. */
export type HolderRecord = {
  kind: 'end_user' | 'tag';
  id: string;
  blocked: boolean;
  /** Absent = those that the settings give to every customer. */
  limits?: Limits;
  /** For single models, beside `limits`. */
  modelLimits?: ModelLimits;
  /** As of a key: names, patterns with `*`, or access groups; empty = every model. */
  models: readonly string[];
  /** Where data may go, as of a key; empty = anywhere. */
  regions: readonly string[];
};

/** Settings of the data plane that belong to the one truth rather than to a process. */
export type SettingsRecord = {
  /** Sanitise content-filter errors: OpenAI's shape, without Azure's details. */
  sanitiseContentFilter: boolean;
  /** `native`: the upstream's name of the model, `alias`: the name the caller asked for. */
  responseModel: 'native' | 'alias';
  /** Fold Azure's first chunk without choices away (chat streams). */
  cleanChatStream: boolean;
  alwaysIncludeStreamUsage: boolean;
  repairParameters: boolean;
  bridge: boolean;
  exposeUpstream: 'admin' | 'all' | 'none';
  budgetExceededStatus: number;
  /** Caller headers that are sent on upstream besides the fixed allow-list. */
  forwardHeaders: readonly string[];
  /** Vendor fields that clients send and Azure refuses; removed for Azure upstreams. */
  dropVendorFields: readonly string[];
  keyHeader?: string;
  userHeader?: string;
  spendTagHeaders: readonly string[];
  /** Keys may have their prompts and answers logged. Absent = none can. */
  messageLogging?: {
    /** Longest text of a body, in characters. */
    readonly maxLength: number;
  };
  globalScope?: LimitScope;
  /** What each customer without limits of its own is held to: LiteLLM's `max_end_user_budget` and `max_end_user_budget_id`. */
  customerLimits?: Limits;
  /** And of single models, beside `customerLimits`. */
  customerModelLimits?: ModelLimits;
  /** IANA zone and `HH:MM` of budget resets, LiteLLM's `timezone` and `budget_reset_time`. */
  timezone: string;
  budgetResetTime: string;
  /** Further paths for POST, besides the table's, and what each of them means. */
  extraRoutes: readonly { readonly path: string; readonly operation: Operation }[];
};

/** Everything a proxy needs to say yes or no, flat and ready to use. */
export type Records = {
  schemaVersion: number;
  revision: number;
  keys: readonly KeyRecord[];
  /** Absent = none. */
  holders?: readonly HolderRecord[];
  models: readonly ModelRecord[];
  deployments: readonly DeploymentRecord[];
  credentials: readonly CredentialRecord[];
  router: RouterRecord;
  settings: SettingsRecord;
};
