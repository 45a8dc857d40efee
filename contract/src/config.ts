import * as z from 'zod';
import {
  bytes,
  count,
  decimal,
  duration,
  effective,
  flag,
  inert,
  instant,
  integer,
  jsonObject,
  keyBounds,
  mapOf,
  networks,
  oneOf,
  refused,
  refusedUnless,
  required,
  secret,
  text,
  texts,
  time,
  timeOfDay,
  timeZone,
  upstreamSecret,
  usd,
  usdPerToken,
} from './config-fields.ts';
import type { Operation } from './records.ts';
import { redisFields } from './redis-settings.ts';

/**
 * The one schema of the configuration: LiteLLM's config.yaml and our own sections.
 *
 * Every key says what it does and whether it is effective, inert or refused (see `config-fields.ts`); the reference page,
 * the checks and the types all come from here. Times are milliseconds once read, prices pico-USD, budgets nano-USD.
 */

const noGuardrails = 'guardrails are not in this release';
const noAccounts =
  'defaults and bounds of keys, users and teams are not read from the file in this release; give them with each key';
const noStore =
  'the store is named by DATABASE_URL or COSMOS_ENDPOINT, and runs where the role is all or control-plane';
const noRedis =
  'Redis is named by aigateway_settings.redis_url, or REDIS_URL or REDIS_HOST in the environment';
const noCallbacks =
  'Prometheus metrics are always served on the operations port, other callbacks are not in this release';
const noAlerting = 'alerting is not in this release; metrics carry what alerts need';
const always = 'this is always so';
const wholeDays = 'whole days are dropped, one by one, every maximum_spend_logs_retention_interval';
const otherServices = 'the endpoints it is for are not in this release and answer 404';

const year = 366 * 86_400_000;
const anyTime = { minMs: 1, maxMs: year };

/** Names of strategies that `routing_strategy` takes. The older usage strategy is read as its successor. */
const strategy = oneOf(
  'simple-shuffle',
  'round-robin',
  'least-busy',
  'latency-based-routing',
  'cost-based-routing',
  'usage-based-routing',
  'usage-based-routing-v2',
);

const retries = integer({ min: 0, max: 100 });
const names = mapOf(texts());

const failureNames = [
  'BadRequestError',
  'AuthenticationError',
  'TimeoutError',
  'RateLimitError',
  'ContentPolicyViolationError',
  'InternalServerError',
  'ServiceUnavailableError',
  'BadGatewayError',
  'NotFoundError',
] as const;

const retryPolicy = z.object({
  ...failureFields('Retries', 'Extra attempts after this kind of failure'),
  DefaultRetries: effective(retries, 'The same as `num_retries`'),
});

const failsPolicy = z.object(
  failureFields('AllowedFails', 'Failures of this kind in a minute before a deployment rests'),
);

function failureFields<Suffix extends 'Retries' | 'AllowedFails'>(
  suffix: Suffix,
  description: string,
) {
  const fields = failureNames.map((name) => [`${name}${suffix}`, effective(retries, description)]);
  return Object.fromEntries(fields) as {
    [Name in `${(typeof failureNames)[number]}${Suffix}`]: ReturnType<typeof effective<number>>;
  };
}

/** Ways to authenticate that `azure_credential` and `AZURE_CREDENTIAL` name: ours, and azure-identity's class names. */
export const identityKinds = {
  'managed-identity': 'managed-identity',
  'workload-identity': 'workload-identity',
  'client-secret': 'client-secret',
  'client-certificate': 'client-certificate',
  developer: 'developer',
  none: 'none',
  ManagedIdentityCredential: 'managed-identity',
  WorkloadIdentityCredential: 'workload-identity',
  ClientSecretCredential: 'client-secret',
  CertificateCredential: 'client-certificate',
  DefaultAzureCredential: 'default',
} as const;

const identityNames = Object.keys(identityKinds) as (keyof typeof identityKinds)[];

/** Where an upstream is and how it is authenticated: part of `litellm_params` and of `credential_values`. */
const upstreamFields = {
  api_base: effective(
    text(),
    'Address of the Azure resource or of another OpenAI-compatible server, in any form that the portal shows it',
  ),
  base_url: effective(text(), 'Another name of `api_base`'),
  api_key: effective(upstreamSecret(), 'API key of the resource'),
  api_version: effective(
    text(),
    'Dated api-version (deployments path), or `v1`, `latest`, `preview` (the `/openai/v1` path)',
    'as `api_base` has it, else the `/openai/v1` path',
  ),
  azure_ad_token: effective(secret(), 'Entra token as it is; for tests, since it is never renewed'),
  tenant_id: effective(text(), 'Entra tenant', '`AZURE_TENANT_ID`'),
  client_id: effective(text(), 'Application or user-assigned identity', '`AZURE_CLIENT_ID`'),
  client_secret: effective(upstreamSecret(), 'Secret of the application'),
  certificate_path: effective(text(), 'PEM file with certificate and key of the application'),
  federated_token_file: effective(
    text(),
    'Token file of a workload identity',
    '`AZURE_FEDERATED_TOKEN_FILE`',
  ),
  azure_credential: effective(
    oneOf(...identityNames),
    'Names the one way to authenticate, when the other fields leave it open',
  ),
  azure_scope: effective(
    text(),
    'Entra scope',
    "`AZURE_SCOPE`, else Cognitive Services' of the cloud",
  ),
  azure_username: refused('passwords of people are not used to sign in a service'),
  azure_password: refused('passwords of people are not used to sign in a service'),
};

const priceFields = {
  input_cost_per_token: effective(usdPerToken(), 'Overrides the price of input', 'the price file'),
  output_cost_per_token: effective(
    usdPerToken(),
    'Overrides the price of output',
    'the price file',
  ),
  cache_read_input_token_cost: effective(usdPerToken(), 'Overrides the price of cached input'),
  cache_creation_input_token_cost: effective(usdPerToken(), 'Overrides the price of cache writes'),
  input_cost_per_audio_token: effective(usdPerToken(), 'Overrides the price of audio input'),
  output_cost_per_audio_token: effective(usdPerToken(), 'Overrides the price of audio output'),
  output_cost_per_reasoning_token: effective(usdPerToken(), 'Overrides the price of reasoning'),
};

/** Known request parameters that `litellm_params` may set as defaults; others are passed on too, with a warning. */
export const requestParameters: readonly string[] = [
  'audio',
  'dimensions',
  'encoding_format',
  'frequency_penalty',
  'include',
  'instructions',
  'logit_bias',
  'logprobs',
  'max_completion_tokens',
  'max_output_tokens',
  'max_tokens',
  'max_tool_calls',
  'metadata',
  'modalities',
  'n',
  'parallel_tool_calls',
  'prediction',
  'presence_penalty',
  'prompt_cache_key',
  'prompt_cache_retention',
  'reasoning',
  'reasoning_effort',
  'response_format',
  'safety_identifier',
  'seed',
  'service_tier',
  'stop',
  'store',
  'stream_options',
  'temperature',
  'text',
  'tool_choice',
  'tools',
  'top_logprobs',
  'top_p',
  'truncation',
  'user',
  'verbosity',
  'web_search_options',
];

const litellmParams = z.looseObject({
  model: required(
    text(),
    '`azure/<deployment>`, `azure/responses/<d>`, `azure/o_series/<d>`, `azure/gpt5_series/<d>`, `azure_text/<d>`, `azure_ai/<d>`, `openai/<model>`, or `azure/*` under a name with `*`',
  ),
  ...upstreamFields,
  custom_llm_provider: effective(text(), 'Provider, when `model` has no prefix'),
  litellm_credential_name: effective(
    text(),
    'Takes address, version and credential from `credential_list`',
  ),
  base_model: effective(text(), 'The same as in `model_info`'),
  order: effective(
    integer({ min: 0, max: 1_000_000 }),
    'Level: the lowest that has a usable deployment is used',
  ),
  weight: effective(
    decimal({ min: 0, max: 1_000_000 }),
    'Share among deployments of the same level',
  ),
  rpm: effective(
    count(),
    'Requests per minute: share for routing, and a limit where the router enforces limits',
  ),
  tpm: effective(count(), 'Tokens per minute, likewise'),
  max_parallel_requests: effective(
    count(),
    'Calls in flight on this deployment',
    '`default_max_parallel_requests`',
  ),
  timeout: effective(time(anyTime), 'Limit for a whole answer', "the router's"),
  request_timeout: effective(time(anyTime), 'Another name of `timeout`'),
  stream_timeout: effective(
    time(anyTime),
    'Limit for the first output of a stream',
    "the router's",
  ),
  cooldown_time: effective(time({ minMs: 0, maxMs: year }), 'Rest after a failure', "the router's"),
  tags: effective(
    texts(),
    'Tags that requests choose deployments by; `default` serves requests without',
  ),
  region_name: effective(text(), 'Azure region (or `eu`, `us`): where data is processed'),
  capacity: effective(
    oneOf('ptu', 'standard'),
    'Provisioned deployments are tried before others and spill over at once',
    '`ptu` when `order` is set and the prices are zero, or when the name of the deployment says it',
  ),
  spillover_deployment: effective(
    text(),
    'Standard deployment of the same resource that Azure itself spills over to; sent as `x-ms-spillover-deployment`',
  ),
  drop_params: effective(flag(), 'Repairs parameters the model does not take', "litellm_settings'"),
  additional_drop_params: effective(texts(), 'Parameters always dropped'),
  extra_headers: effective(mapOf(text()), 'Headers sent upstream'),
  headers: effective(mapOf(text()), 'Another name of `extra_headers`'),
  extra_body: effective(jsonObject(), 'Parameters sent when the caller did not set them'),
  max_budget: effective(usd(), 'Budget of this deployment; over it, the deployment is not used'),
  budget_duration: effective(duration(), 'Window of `max_budget`', 'never resets'),
  default_api_key_rpm_limit: effective(
    count(),
    'Requests per minute of each key on this model, unless it has its own',
  ),
  default_api_key_tpm_limit: effective(count(), 'Tokens per minute, likewise'),
  ...priceFields,
  max_retries: inert('retries are counted by the router alone'),
  num_retries: inert('retries are counted by the router alone'),
  allowed_openai_params: inert('parameters not known here pass through as they are'),
  configurable_clientside_auth_params: inert('callers never set addresses or credentials'),
  itpm: inert('only the sum of tokens is limited upstream; set tpm'),
  otpm: inert('only the sum of tokens is limited upstream; set tpm'),
  tag_regex: inert('deployments are chosen by tags only'),
  use_in_pass_through: inert(otherServices),
  merge_reasoning_content_in_choices: inert('answers are passed on as they are'),
  realtime_protocol: inert(otherServices),
  organization: inert('Azure knows no organizations'),
  input_cost_per_second: inert('models priced by time are not served in this release'),
  output_cost_per_second: inert('models priced by time are not served in this release'),
  input_cost_per_character: inert('models priced by characters are not served in this release'),
  mock_response: refused(
    'it would send requests upstream, for money, that were to be answered without',
  ),
});

const modelInfo = z.looseObject({
  id: effective(text(), 'Stable id of the deployment', 'a hash of where it is'),
  base_model: effective(
    text(),
    'Model behind the deployment: its prices, limits and parameters',
    "the deployment's name",
  ),
  mode: effective(
    oneOf(
      'chat',
      'completion',
      'embedding',
      'responses',
      'image_generation',
      'image_edit',
      'video_generation',
      'audio_transcription',
      'audio_speech',
      'moderation',
      'rerank',
      'realtime',
      'batch',
    ),
    'What the deployment answers; only `chat`, `completion`, `embedding` and `responses` are served in this release',
    'by the base model, else learned',
  ),
  supported_endpoints: effective(
    texts(),
    'What the deployment answers, as paths such as `/v1/responses`',
  ),
  access_groups: effective(texts(), 'Names that stand for this model in the `models` of keys'),
  tier: inert('tags choose between tiers'),
  team_id: refused('the model would be open to every team'),
  team_public_model_name: refused('the model would be open to every team'),
  blocked: effective(flag(), 'Takes the deployment out of use', 'false'),
  max_tokens: effective(count(), 'The same as `max_output_tokens`'),
  max_input_tokens: effective(count(), 'Context window', 'the price file'),
  max_output_tokens: effective(count(), 'Longest answer', 'the price file'),
  cooldown_time: effective(time({ minMs: 0, maxMs: year }), 'Rest after a failure', "the router's"),
  capacity: effective(oneOf('ptu', 'standard'), 'The same as in `litellm_params`'),
  hidden: effective(flag(), 'Works, but is not listed', 'false'),
  ...priceFields,
  allowed_fails: effective(
    retries,
    'Failures in a minute before the deployment rests; 3 counts as not set',
    "the router's",
  ),
  allowed_fails_policy: failsPolicy.optional().meta({
    status: 'effective',
    description: 'The same by kind of failure',
    default: "the router's",
  }),
  disable_background_health_check: inert('there are no background checks that cost money'),
  health_check_timeout: inert('there are no background checks that cost money'),
  enable_tag_filtering: inert('tag filtering is switched for the whole router'),
});

const model = z.object({
  model_name: required(
    text(),
    'Public name; the same name again adds a deployment to the group. May hold one `*`',
  ),
  litellm_params: litellmParams.meta({
    status: 'effective',
    description: 'The deployment behind the name',
  }),
  model_info: modelInfo
    .optional()
    .meta({ status: 'effective', description: 'What is known about it' }),
});

const credential = z.object({
  credential_name: required(text(), 'Name that `litellm_credential_name` and `credential` use'),
  credential_values: z
    .object(upstreamFields)
    .meta({ status: 'effective', description: 'Address, version and credential' }),
  credential_info: inert('it is a description'),
});

const strategyArguments = z.object({
  ttl: effective(time(anyTime), 'How long a latency counts', '3600'),
  lowest_latency_buffer: effective(
    decimal({ min: 0, max: 1000 }),
    'Share by which a latency may be above the best',
    '0',
  ),
  max_latency_list_size: effective(
    integer({ min: 1, max: 1000 }),
    'How many of the last latencies of a deployment count',
    '10',
  ),
  ttft_percentile: inert('the mean of the times to the first output decides'),
});

const budgetOfProvider = z.object({
  budget_limit: effective(usd(), 'US dollars'),
  max_budget: effective(usd(), 'Another name of `budget_limit`'),
  time_period: effective(duration(), 'Window of the budget'),
  budget_duration: effective(duration(), 'Another name of `time_period`'),
});

const fallbackList = z
  .array(names)
  .meta({ type: 'a list of maps of a model to a list of models' }) as unknown as z.ZodType<
  Record<string, string[]>[],
  unknown
>;

const fallbackFields = {
  fallbacks: effective(
    fallbackList,
    'Models tried after the deployments of a model failed; `"*"` for any other model',
  ),
  context_window_fallbacks: effective(
    fallbackList,
    'The same when the prompt is too long',
    'fallbacks',
  ),
  content_policy_fallbacks: effective(
    fallbackList,
    'The same when the content filter refused',
    'fallbacks',
  ),
  default_fallbacks: effective(texts(), 'Models tried for every model without an entry'),
};

const aliasTarget = z.union([
  z.string().transform((name) => ({ model: name, hidden: false })),
  z
    .object({ model: z.string(), hidden: z.boolean().optional() })
    .transform((target) => ({ model: target.model, hidden: target.hidden === true })),
]) as z.ZodType<{ model: string; hidden: boolean }, unknown>;

const routingGroup = z.object({
  group_name: inert('it is a name only: callers ask for the models'),
  models: effective(texts(), 'Names of models; each in one group at most'),
  routing_strategy: effective(strategy, 'How one of their usable deployments is chosen'),
  routing_strategy_args: strategyArguments
    .optional()
    .meta({ status: 'effective', description: "What of the router's counts otherwise for them" }),
});

const routerSettings = z.object({
  routing_strategy: effective(
    strategy,
    'How one of the usable deployments is chosen',
    'simple-shuffle',
  ),
  routing_strategy_args: strategyArguments
    .optional()
    .meta({ status: 'effective', description: 'Settings of latency-based routing' }),
  num_retries: effective(retries, 'Extra attempts on a model before its fallbacks', '2'),
  max_retries: effective(retries, 'Another name of `num_retries`'),
  timeout: effective(
    time(anyTime),
    'Limit for a whole answer',
    '`litellm_settings.request_timeout`, else 600',
  ),
  stream_timeout: effective(time(anyTime), 'Limit for the first output of a stream', '`timeout`'),
  retry_after: effective(
    time({ minMs: 0, maxMs: 3_600_000 }),
    'Least wait between attempts on a lone deployment',
    '0',
  ),
  retry_policy: retryPolicy
    .optional()
    .meta({ status: 'effective', description: 'Extra attempts by kind of failure' }),
  allowed_fails: effective(
    retries,
    'Failures in a minute before a deployment rests; 3 counts as not set',
    'not set',
  ),
  allowed_fails_policy: failsPolicy
    .optional()
    .meta({ status: 'effective', description: 'The same by kind of failure' }),
  cooldown_time: effective(
    time({ minMs: 0, maxMs: year }),
    'How long a failing deployment rests',
    '5',
  ),
  disable_cooldowns: effective(flag(), 'No deployment ever rests', 'false'),
  ...fallbackFields,
  max_fallbacks: effective(
    integer({ min: 0, max: 100 }),
    'Fallback models tried for one request',
    '5',
  ),
  model_group_alias: effective(
    mapOf(aliasTarget.meta({ type: 'a model, or a map with model and hidden' })),
    'Other names of models; `hidden` ones work but are not listed',
  ),
  enable_pre_call_checks: effective(
    flag(),
    'Leaves out deployments whose context window is too small',
    'false',
  ),
  optional_pre_call_checks: effective(
    texts(),
    '`enforce_model_rate_limits` makes `rpm` and `tpm` of deployments hard limits; other checks are always made or not in this release',
  ),
  enable_tag_filtering: effective(flag(), 'Requests choose deployments by tags', 'false'),
  tag_filtering_match_any: effective(flag(), 'One common tag is enough', 'true'),
  default_max_parallel_requests: effective(
    count(),
    'Calls in flight on deployments without a number of their own',
  ),
  default_litellm_params: inert('give each deployment its own values'),
  provider_budget_config: effective(
    mapOf(
      budgetOfProvider.meta({ type: 'a map with budget_limit and time_period' }) as never,
    ) as z.ZodType<Record<string, z.output<typeof budgetOfProvider>>, unknown>,
    'Budget over all deployments of a provider (`azure`, `openai`); over it they are not used',
  ),
  model_group_retry_policy: effective(
    mapOf(retryPolicy.meta({ type: 'a map as in retry_policy' }) as never) as z.ZodType<
      Record<string, z.output<typeof retryPolicy>>,
      unknown
    >,
    'By model, in place of `retry_policy`',
  ),
  routing_groups: z
    .array(routingGroup)
    .optional()
    .meta({ status: 'effective', description: 'Models with a strategy of their own' }),
  redis_host: inert(noRedis),
  redis_port: inert(noRedis),
  redis_password: inert(noRedis),
  redis_url: inert(noRedis),
  redis_db: inert(noRedis),
  cache_responses: inert('answers are not cached in this release'),
  enable_weighted_failover: inert(
    'a failed attempt always chooses among the remaining deployments',
  ),
  enable_health_check_routing: inert('health is learned from the traffic'),
  ignore_invalid_deployments: inert(
    'every problem of the configuration is reported before the start',
  ),
  alerting_config: inert(noAlerting),
  client_ttl: inert('connections are pooled by origin'),
  default_priority: inert('the wait queue is not in this release'),
  polling_interval: inert('the wait queue is not in this release'),
  set_verbose: inert('use aigateway_settings.log_level'),
  debug_level: inert('use aigateway_settings.log_level', ['INFO']),
});

const litellmSettings = z.object({
  drop_params: effective(
    flag(),
    'Repairs parameters that a model does not take, instead of answering 400',
    'true',
  ),
  request_timeout: effective(time(anyTime), 'The same as `router_settings.timeout`'),
  num_retries: effective(retries, 'The same as `router_settings.num_retries`'),
  allowed_fails: effective(retries, 'The same as in `router_settings`'),
  ...fallbackFields,
  model_alias_map: effective(mapOf(text()), 'Other names of models, not listed'),
  api_version: effective(text(), 'Version of deployments without their own'),
  enable_azure_ad_token_refresh: effective(
    flag(),
    'Deployments without a credential sign in with the identity of the environment (`AZURE_CREDENTIAL`)',
    'false',
  ),
  max_budget: effective(usd(), 'Budget of the whole gateway'),
  budget_duration: effective(duration(), 'Window of `max_budget`', 'never resets'),
  max_internal_user_budget: effective(usd(), 'Budget of each `user_id` on keys without a team'),
  internal_user_budget_duration: effective(duration(), 'Window of it', 'never resets'),
  budget_exceeded_status_code: effective(
    integer({ min: 400, max: 499 }),
    'Status of refusals over budget',
    '429',
  ),
  timezone: effective(timeZone(), 'Time zone of budget windows', 'UTC'),
  budget_reset_time: effective(
    timeOfDay(),
    'Time at which budget windows of days and months begin',
    '00:00',
  ),
  extra_spend_tag_headers: effective(
    texts(),
    'Request headers that become tags of the usage records, as `header: value`',
  ),
  set_verbose: effective(flag(), 'Logs at level debug', 'false'),
  ssl_verify: refusedUnless(
    [true, 'true'],
    'certificates are always checked; name your own authority in aigateway_settings.ca_file',
  ),
  max_user_budget: refused(
    'bounds users by default: use max_internal_user_budget, or max_end_user_budget for customers',
  ),
  max_end_user_budget: effective(
    usd(),
    'Budget of each customer (`user` of a request) without one of its own; never resets',
  ),
  tag_budget_config: effective(
    mapOf(
      budgetOfProvider.meta({ type: 'a map with max_budget and budget_duration' }) as never,
    ) as z.ZodType<Record<string, z.output<typeof budgetOfProvider>>, unknown>,
    'Budgets by tag of the request, its key or team; a tag of the management API with the same name does not count',
  ),
  block_requests_for_models_without_pricing: refused(
    'models without a price are served at no cost, flagged as unpriced',
  ),
  cost_margin_config: refused('costs are counted without a margin'),
  cost_discount_config: inert('costs are counted without the discount'),
  max_end_user_budget_id: effective(
    text(),
    'Budget of the management API that holds for each customer without one of its own, in place of `max_end_user_budget`',
  ),
  default_key_generate_params: effective(
    jsonObject(),
    'What the management API gives a new key where its maker left it out, by field of `/key/generate`',
  ),
  upperbound_key_generate_params: effective(
    keyBounds(),
    'The most that the management API gives a key, new or changed; where its maker left it out, a new key gets just that',
  ),
  key_generation_settings: inert(noAccounts),
  default_internal_user_params: inert(noAccounts),
  default_team_params: inert(noAccounts),
  default_team_settings: inert(noAccounts),
  cache: inert('answers are not cached in this release'),
  cache_params: inert('answers are not cached in this release'),
  enable_redis_auth_cache: inert(noRedis),
  callbacks: inert(noCallbacks, ['prometheus']),
  success_callback: inert(noCallbacks, ['prometheus']),
  failure_callback: inert(noCallbacks, ['prometheus']),
  service_callback: inert(noCallbacks, ['prometheus']),
  audit_log_callbacks: inert(noCallbacks),
  prometheus_metrics_config: inert('the metrics are those of the reference'),
  custom_prometheus_metadata_labels: inert('labels come from sets we own'),
  require_auth_for_metrics_endpoint: inert(
    'metrics are on the operations port, which callers do not reach',
    [true],
  ),
  json_logs: inert(always, [true]),
  turn_off_message_logging: effective(
    flag(),
    'Switches `message_logging` of the gateway off, for every key',
    'false',
  ),
  redact_user_api_key_info: inert('logs name keys by id or alias only'),
  redact_messages_in_exceptions: inert(always, [true]),
  modify_params: inert(
    'parameters are repaired by drop_params and aigateway_settings.repair_parameters',
  ),
  budget_rollover: inert('a budget window begins at zero'),
  disable_end_user_cost_tracking: inert('the end user is recorded with every request'),
  include_cost_in_streaming_usage: inert('answers are passed on as they are'),
  model_group_settings: inert('headers are forwarded by aigateway_settings.forward_headers'),
  public_model_groups: inert('the model hub is not in this release'),
  priority_reservation: inert('shares of a model by priority are not in this release'),
  force_ipv4: inert('the runtime tries both families'),
  return_response_headers: inert(always, [true]),
  expose_router_debug_in_errors: inert('errors never show the inside of the router', [true]),
  budget_exceeded_throttle_percentage: inert('a key over budget is stopped'),
});

const passThroughReason = 'pass-through endpoints are not in this release; their paths answer 404';

const keyManagement = z.object({
  hosted_keys: effective(
    texts(),
    'Variables that stand for secrets of the vault',
    'those that the environment does not hold',
  ),
  access_mode: effective(
    oneOf('read_only', 'write_only', 'read_and_write'),
    '`write_only`: nothing is read from the vault',
    'read_only',
  ),
  store_virtual_keys: inert('keys are stored as hashes, never in a vault'),
  prefix_for_stored_virtual_keys: inert('keys are stored as hashes, never in a vault'),
});

const generalSettings = z.object({
  master_key: effective(
    secret(),
    'Key of the administrator',
    '`LITELLM_MASTER_KEY`, `AIGATEWAY_MASTER_KEY`',
  ),
  dangerously_permit_weak_or_unset_master_key: effective(
    flag(),
    'Permits a publicly known master key',
    'false',
  ),
  completion_model: effective(text(), 'Model for requests that name none'),
  litellm_key_header_name: effective(
    text(),
    'A header for keys: where it is sent, its key counts and no other header does; the usual ones serve without it',
  ),
  user_header_name: effective(text(), 'Header that names the end user'),
  user_header_mappings: effective(
    z.array(z.looseObject({ header_name: text(), litellm_user_role: text() })).meta({
      type: 'a list of maps with header_name and litellm_user_role',
    }) as unknown as z.ZodType<{ header_name: string; litellm_user_role: string }[], unknown>,
    'The header with role `customer` names the end user; other roles have no effect',
  ),
  always_include_stream_usage: effective(
    flag(),
    'Streams carry usage even when nobody asked',
    'false',
  ),
  max_parallel_requests: effective(
    count(),
    'Calls in flight of keys without a number of their own',
  ),
  global_max_parallel_requests: effective(count(), 'Calls in flight of the whole gateway'),
  allowed_ips: effective(
    networks(),
    'Addresses and networks that calls are taken from, by `trusted_hops`; others get 403 before their key is looked at, except on the probes below `/health/`',
    'all',
  ),
  max_request_size_mb: effective(
    decimal({ min: 0.001, max: 10_000 }),
    'Largest body, in MiB',
    'aigateway_settings.max_body',
  ),
  pass_through_endpoints: inert(passThroughReason),
  database_url: inert(noStore),
  database_connection_pool_limit: inert(noStore),
  database_connection_timeout: inert(noStore),
  store_model_in_db: inert(noStore),
  supported_db_objects: inert(noStore),
  allow_requests_on_db_unavailable: inert(noStore),
  use_redis_transaction_buffer: inert(noRedis),
  coordination_redis: inert(noRedis),
  fail_closed_rate_limit_enforcement: inert(noRedis),
  proxy_batch_write_at: inert('usage is written as it happens'),
  proxy_budget_rescheduler_min_time: inert('budgets reset at the very start of their window'),
  proxy_budget_rescheduler_max_time: inert('budgets reset at the very start of their window'),
  disable_spend_logs: inert('usage records hold no content'),
  disable_error_logs: inert('usage records hold no content'),
  store_prompts_in_spend_logs: inert(
    'prompts and answers are never stored; aigateway_settings.message_logging writes those of chosen keys to the log',
  ),
  maximum_spend_logs_retention_period: effective(
    duration(),
    'How long the control plane keeps single usage records, which `/spend/logs` shows: a day of UTC goes as a whole, once all of it is older. Sums by hour and day, and budgets, stay',
    'for ever',
  ),
  maximum_spend_logs_retention_interval: effective(
    duration(),
    'How often it looks for days that are to go, first when it starts',
    '1d',
  ),
  maximum_spend_logs_cleanup_cron: inert(wholeDays),
  maximum_spend_logs_cleanup_batch_size: inert(wholeDays),
  maximum_spend_logs_cleanup_max_batches: inert(wholeDays),
  maximum_spend_logs_cleanup_run_budget: inert(wholeDays),
  maximum_spend_logs_cleanup_batch_timeout: inert(wholeDays),
  maximum_daily_tag_spend_retention_period: inert('sums by day are kept'),
  maximum_health_check_retention_period: inert('no health checks are stored'),
  disable_reset_budget: inert('budgets with a window always reset'),
  disable_budget_reservation: inert('the estimated cost of calls in flight is always reserved'),
  background_health_checks: inert('health is learned from the traffic, without paid checks'),
  health_check_interval: inert('health is learned from the traffic, without paid checks'),
  alerting: inert(noAlerting),
  alerting_threshold: inert(noAlerting),
  alert_types: inert(noAlerting),
  alerting_args: inert(noAlerting),
  alert_to_webhook_url: inert(noAlerting),
  enable_jwt_auth: inert(
    'tokens of an identity provider are not taken in this release: such callers get 401',
  ),
  litellm_jwtauth: inert(
    'tokens of an identity provider are not taken in this release: such callers get 401',
  ),
  enable_oauth2_auth: inert(
    'tokens of an identity provider are not taken in this release: such callers get 401',
  ),
  custom_sso: inert('there is no user interface in this release'),
  ui_access_mode: inert('there is no user interface in this release'),
  custom_key_generate: inert(noAccounts),
  disable_custom_api_keys: effective(
    flag(),
    'Whether the management API makes keys of secrets that it generates only',
    'false',
  ),
  disable_master_key_return: inert(always, [true]),
  apply_user_budget_to_team_keys: effective(
    flag(),
    'Whether limits and budgets of users hold for keys of teams as well; those are counted towards budgets in any case',
    'false',
  ),
  disable_auto_add_proxy_admin_to_teams: inert(noAccounts),
  allow_client_side_credentials: inert('callers never set addresses or credentials'),
  forward_client_headers_to_llm_api: inert('use aigateway_settings.forward_headers'),
  forward_openai_org_id: inert('Azure knows no organizations'),
  infer_model_from_keys: inert('a request names its model, or the default model is used'),
  user_api_key_cache_ttl: inert('keys are held in memory'),
  user_api_key_cache_max_size: inert('keys are held in memory'),
  cancel_on_disconnect: inert(always, [true]),
  include_call_id_in_error_body: inert('the id is in the x-request-id header'),
  max_in_flight_requests_per_worker: inert('use global_max_parallel_requests'),
  max_queued_requests_per_worker: inert('the wait queue is not in this release'),
  admission_queue_timeout_seconds: inert('the wait queue is not in this release'),
  public_routes: inert('no path of the models is open to callers without a key'),
  use_x_forwarded_for: inert('use aigateway_settings.trusted_hops'),
  key_management_system: effective(
    text(),
    '`azure_key_vault`: credentials named `os.environ/NAME` are secrets of the vault in `AZURE_KEY_VAULT_URI`; other systems have no effect',
    'the environment',
  ),
  key_management_settings: keyManagement
    .optional()
    .meta({ status: 'effective', description: 'Which secrets are in the vault' }),
  max_response_size_mb: inert('answers are passed on as they come'),
  token_rate_limit_type: refused('limits count input and output together', ['total']),
  custom_auth: refused('the checks of that function would not be made'),
  allowed_routes: refused('other routes would stay open; give keys their allowed_routes'),
  admin_only_routes: refused(
    'those routes would stay open to other keys; give keys their allowed_routes',
  ),
  enforced_params: refused('requests without these parameters would be let through'),
  enforce_user_param: refused('requests without an end user would be let through'),
  enforce_fallback_model_access: refused(
    'fallback models are not checked against the models of a key',
  ),
  reject_clientside_metadata_tags: refused('callers could choose tags themselves'),
});

const limitFields = {
  rpm_limit: effective(count(), 'Requests per minute'),
  tpm_limit: effective(count(), 'Tokens per minute, input and output'),
  max_parallel_requests: effective(count(), 'Calls in flight'),
  max_budget: effective(usd(), 'US dollars'),
  budget_duration: effective(duration(), 'Window of `max_budget`', 'never resets'),
  budget_limits: effective(
    z
      .array(
        z.object({
          max_budget: effective(usd(), 'US dollars'),
          budget_limit: effective(usd(), 'Another name of `max_budget`'),
          budget_duration: effective(duration(), 'Window', 'never resets'),
          time_period: effective(duration(), 'Another name of `budget_duration`'),
        }),
      )
      .meta({ type: 'a list of maps with max_budget and budget_duration' }) as unknown as z.ZodType<
      {
        max_budget?: number;
        budget_limit?: number;
        budget_duration?: string;
        time_period?: string;
      }[],
      unknown
    >,
    'Several budgets at once, such as one a day and one a month',
  ),
};

const modelLimitFields = {
  model_rpm_limit: effective(
    mapOf(count()),
    'Requests per minute by model; a name with `*` is one limit for all it matches, the most specific counts',
  ),
  model_tpm_limit: effective(
    mapOf(count()),
    'Tokens per minute by model; names as in `model_rpm_limit`',
  ),
  model_max_budget: effective(
    mapOf(
      budgetOfProvider.meta({ type: 'a map with budget_limit and time_period' }) as never,
    ) as z.ZodType<Record<string, z.output<typeof budgetOfProvider>>, unknown>,
    'Budgets by model; names as in `model_rpm_limit`',
  ),
};

const virtualKey = z.object({
  key: effective(secret(), 'The key, as `os.environ/NAME`'),
  key_hash: effective(text(), 'Lower-case hex SHA-256 of the whole key, instead of the key'),
  previous_key: effective(secret(), 'The key before, still taken until `previous_key_expires`'),
  previous_key_expires: effective(instant(), 'End of the rotation'),
  key_alias: effective(text(), 'Name in logs, metrics and limits; keep it when the key changes'),
  alias: effective(text(), 'Another name of `key_alias`'),
  models: effective(
    texts(),
    'Models, patterns with `*` or access groups it may use',
    'every model',
  ),
  aliases: effective(mapOf(text()), 'Names it may ask for, and the models they mean'),
  ...limitFields,
  ...modelLimitFields,
  expires: effective(instant(), 'From then on the key is refused'),
  duration: refused('a life counted from now would begin anew at every start; use expires'),
  blocked: effective(flag(), 'The key is refused', 'false'),
  role: effective(
    oneOf('model', 'admin'),
    '`admin` may also read what only administrators see',
    'model',
  ),
  team_id: effective(text(), 'Team, for accounting and ownership of stored objects'),
  user_id: effective(text(), 'User, likewise'),
  organization_id: effective(text(), 'Organization, for accounting'),
  allowed_routes: effective(texts(), 'Paths it may call, with `*` at the end', 'every path'),
  tags: effective(texts(), 'Tags of every request'),
  allowed_regions: effective(
    texts(),
    'Azure regions, or `eu`, `us`, … where its data may be processed',
    'anywhere',
  ),
  allowed_model_region: effective(texts(), 'Another name of `allowed_regions`'),
  credential: effective(
    text(),
    'Credential of `credential_list` that replaces those of the deployments',
  ),
  litellm_credential_name: effective(text(), 'Another name of `credential`'),
  max_output_tokens: effective(
    count(),
    'Most output tokens of an answer: more is refused, and set for a request that names no maximum',
  ),
  max_choices: effective(integer({ min: 1, max: 128 }), 'Most answers (`n`) a request may ask for'),
  message_logging: effective(
    flag(),
    'Its prompts and answers are logged, redacted, where `aigateway_settings.message_logging` allows it',
    'false',
  ),
  metadata: inert('it is a description'),
});

const virtualKeys = z.array(virtualKey);

const project = z.object({
  name: required(text(), 'Name of the project; it is the team of its keys'),
  credential: effective(text(), 'Credential of `credential_list` that its keys use'),
  litellm_credential_name: effective(text(), 'Another name of `credential`'),
  models: effective(texts(), 'Models its keys may use, unless a key says otherwise', 'every model'),
  ...limitFields,
  ...modelLimitFields,
  allowed_regions: effective(
    texts(),
    'Where data of its keys may be processed, unless a key says otherwise',
  ),
  tags: effective(texts(), 'Tags of every request, besides those of the key'),
  blocked: effective(flag(), 'All its keys are refused', 'false'),
  virtual_keys: virtualKeys
    .optional()
    .meta({ status: 'effective', description: 'Its keys, as in `virtual_keys`' }),
});

const port = integer({ min: 0, max: 65_535 });
const defaultModels = z.object({
  chat: effective(text(), 'Model of chat completions'),
  completions: effective(text(), 'Model of completions'),
  responses: effective(text(), 'Model of responses'),
  embeddings: effective(text(), 'Model of embeddings'),
});

/** Fields that client programs add and strict upstreams refuse. */
export const vendorFields: readonly string[] = [
  'cache_control',
  'chat_template_kwargs',
  'enable_thinking',
  'min_p',
  'preserve_thinking',
  'provider',
  'reasoning_content',
  'repetition_penalty',
  'route',
  'thinking',
  'thinking_budget',
  'top_k',
  'transforms',
];

/** Our own settings. Each is also the environment variable `AIGATEWAY_<NAME>`, which wins. */
export const aigatewaySettings = z.object({
  host: effective(
    text(),
    'Address to listen on',
    '0.0.0.0 in production, 127.0.0.1 in development',
  ),
  port: effective(port, 'Port of the API; also `PORT`', '8080'),
  ops_host: effective(text(), 'Address of the operations port', 'as `host`'),
  ops_port: effective(port, 'Port of `/livez`, `/readyz` and `/metrics`', '9090'),
  base_path: effective(
    text(),
    'Path that the gateway is published under; also `SERVER_ROOT_PATH`',
    'none',
  ),
  data_dir: effective(
    text(),
    'Directory of the secrets that development makes by itself',
    './.aigateway',
  ),
  max_body: effective(bytes({ min: 1024, max: 1_073_741_824 }), 'Largest request body', '64MiB'),

  headers_timeout: effective(time(anyTime), 'Limit for the headers of a request', '30'),
  body_timeout: effective(time(anyTime), 'Limit for the body of a request', '120'),
  write_timeout: effective(
    time(anyTime),
    'How long a caller may take nothing of its answer before its connection is ended',
    '120',
  ),
  keep_alive_timeout: effective(
    time(anyTime),
    'How long idle connections of callers stay; above the ingress',
    '650',
  ),
  connect_timeout: effective(time(anyTime), 'Limit for connecting to an upstream', '10'),
  stop_delay: effective(
    time({ minMs: 0, maxMs: 300_000 }),
    'How long calls are still taken after a stop signal, while the readiness probe already says no',
    '5 in production, 0 in development',
  ),
  drain_time: effective(
    time({ minMs: 0, maxMs: 3_600_000 }),
    'How long calls may go on after a stop signal',
    '120',
  ),
  first_output_hold: effective(
    time({ minMs: 0, maxMs: 600_000 }),
    'How long a stream waits for first output before the status line is sent',
    '15',
  ),
  heartbeat: effective(
    time({ minMs: 1000, maxMs: 230_000 }),
    'Interval of comments in silent streams',
    '15',
  ),
  silent_answer: effective(
    time({ minMs: 1000, maxMs: 3_600_000 }),
    'After how much silence a plain answer begins with white space, to keep ingresses from cutting it',
    '180',
  ),
  trusted_hops: effective(
    integer({ min: 0, max: 16 }),
    'How many reverse proxies in front add themselves to X-Forwarded-For',
    '0',
  ),
  wrong_keys: effective(
    integer({ min: 0, max: 1_000_000 }),
    'Different wrong keys that one address may try at once before it has to wait; one more every 6 seconds; 0 = any number',
    '20',
  ),
  ...redisFields,
  replicas: effective(
    integer({ min: 1, max: 10_000 }),
    'How many processes like this one run in all: more than one without a Redis is warned of',
    '1',
  ),
  control_plane_url: effective(
    text(),
    'Address that a proxy which follows a control plane forwards management paths to',
    'none: they are no paths of a proxy',
  ),
  proxy: effective(
    secret(),
    'HTTP proxy towards upstreams, and an https `control_plane_url`; also `HTTPS_PROXY`',
    'none',
  ),
  no_proxy: effective(texts(), 'Hosts reached without it; also `NO_PROXY`', 'none'),
  ca_file: effective(text(), 'PEM file of authorities trusted besides the usual ones', 'none'),
  log_level: effective(
    oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace'),
    'Level of the log',
    'info',
  ),
  message_logging: effective(
    flag(),
    'Allows keys to have their prompts and answers logged, redacted, each of them by its own `message_logging`',
    'false',
  ),
  message_logging_max_body: effective(
    bytes({ min: 256, max: 262_144 }),
    'How much of each body is logged, in characters',
    '16KiB',
  ),
  cors_origins: effective(texts(), 'Origins of browsers that may call the API', 'none'),
  max_header_bytes: effective(
    bytes({ min: 4096, max: 1_048_576 }),
    'Largest request head',
    '32KiB',
  ),
  max_connections: effective(
    integer({ min: 1, max: 1_000_000 }),
    'Connections of callers at once',
    '10000',
  ),
  forbid_api_keys: effective(
    flag(),
    'Refuses to start when any upstream is reached with an API key',
    'false',
  ),
  allow_insecure_upstream: effective(
    flag(),
    'Takes upstreams and a `control_plane_url` over plain http; for tests',
    'false',
  ),
  allowed_upstream_hosts: effective(
    texts(),
    'Hosts that upstreams may have, with `*.` at the start',
    'any',
  ),
  api_key_vaults: effective(
    texts(),
    'Key Vaults that models and credentials given over the API may refer to, by name or address. Who may add a model can have every secret there sent to an upstream of their choice',
    'none',
  ),
  total_timeout: effective(
    time(anyTime),
    'Limit for all attempts of one request together',
    '`timeout`, at least 600',
  ),
  max_attempts: effective(
    integer({ min: 1, max: 100 }),
    'Attempts over all models of one request',
    '12',
  ),
  default_models: defaultModels
    .optional()
    .meta({ status: 'effective', description: 'Models of requests that name none' }),
  sanitise_content_filter: effective(flag(), "Content filter errors lose Azure's details", 'true'),
  response_model: effective(oneOf('native', 'alias'), 'Name in the `model` of answers', 'native'),
  clean_chat_stream: effective(flag(), "Folds Azure's first chunk without choices away", 'true'),
  repair_parameters: effective(
    flag(),
    'Renames or drops parameters that a model does not take',
    'true',
  ),
  bridge: effective(
    flag(),
    'Answers chat from responses-only models, and the other way round',
    'true',
  ),
  expose_upstream: effective(
    oneOf('admin', 'all', 'none'),
    'Who sees hosts and deployment names',
    'admin',
  ),
  forward_headers: effective(
    texts(),
    'Headers of callers sent upstream besides the usual ones',
    'none',
  ),
  drop_vendor_fields: effective(
    texts(),
    'Fields removed from requests to Azure',
    vendorFields.map((name) => `\`${name}\``).join(', '),
  ),
  extra_routes: effective(
    z
      .array(
        z.strictObject({
          path: z
            .string()
            .regex(/^(?:\/[\w-][\w.-]*)+$/)
            .meta({ type: 'a plain path that begins with a slash and ends with none' }),
          operation: oneOf('chat', 'completions', 'embeddings', 'responses'),
        }),
      )
      .meta({ type: 'a list of maps with path and operation' }) as unknown as z.ZodType<
      { path: string; operation: Operation }[],
      unknown
    >,
    'Further paths for POST, and the operation that each of them means',
    'none',
  ),
});

/** The whole configuration. */
export const configSchema = z.object({
  model_list: z
    .array(model)
    .optional()
    .meta({ status: 'effective', description: 'Models and their deployments' }),
  credential_list: z
    .array(credential)
    .optional()
    .meta({ status: 'effective', description: 'Named addresses and credentials' }),
  virtual_keys: virtualKeys
    .optional()
    .meta({ status: 'effective', description: 'Keys that callers hold' }),
  projects: z.array(project).optional().meta({
    status: 'effective',
    description: 'Projects: keys with a credential and limits in common',
  }),
  router_settings: routerSettings
    .optional()
    .meta({ status: 'effective', description: 'From a model to a deployment' }),
  litellm_settings: litellmSettings
    .optional()
    .meta({ status: 'effective', description: "LiteLLM's settings of the module" }),
  general_settings: generalSettings
    .optional()
    .meta({ status: 'effective', description: "LiteLLM's settings of the server" }),
  aigateway_settings: aigatewaySettings
    .optional()
    .meta({ status: 'effective', description: 'Settings of this gateway' }),
  environment_variables: effective(
    mapOf(text()),
    'Variables that `os.environ/…` finds before those of the process',
  ),
  include: effective(texts(), 'More files, relative to this one: lists are appended, maps merged'),
  guardrails: inert(noGuardrails),
  files_settings: inert(otherServices),
  finetune_settings: inert(otherServices),
  assistant_settings: inert(otherServices),
  mcp_servers: inert(otherServices),
  mcp_settings: inert(otherServices),
  vector_store_registry: inert(otherServices),
  search_tools: inert(otherServices),
  prompts: inert('prompt management is not in this release'),
  callback_settings: inert(noCallbacks),
});

export type Config = z.output<typeof configSchema>;
export type ModelConfig = z.output<typeof model>;
export type CredentialConfig = z.output<typeof credential>;
export type VirtualKeyConfig = z.output<typeof virtualKey>;
export type ProjectConfig = z.output<typeof project>;
export type UpstreamConfig = CredentialConfig['credential_values'];
