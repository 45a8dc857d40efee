import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatNotice, formatPath, formatProblem, showFound } from './config-problems.ts';
import { parseConfig, type ParsedConfig } from './parse-config.ts';

const problems = ({ report }: ParsedConfig) =>
  report.problems.map((problem) => formatProblem(problem));
const notices = ({ report }: ParsedConfig) => report.notices.map(formatNotice);
const model = (params: object, info: object = {}) => ({
  model_list: [
    { model_name: 'm', litellm_params: { model: 'azure/d', ...params }, model_info: info },
  ],
});

describe('each bad value is named with its place and what is allowed', () => {
  it.each<[object, string]>([
    [
      { aigateway_settings: { port: 70_000 } },
      'aigateway_settings.port: must be a whole number from 0 to 65535, found 70000.',
    ],
    [
      { aigateway_settings: { port: '80a' } },
      'aigateway_settings.port: must be a whole number from 0 to 65535, found "80a".',
    ],
    [{ aigateway_settings: { port: 1.5 } }, 'found 1.5.'],
    ...[['10.0.0.0/8', 'office'], ['0.0.0.0/0'], []].map((list): [object, string] => [
      { general_settings: { allowed_ips: list } },
      'general_settings.allowed_ips: must be a list of addresses and networks, as 203.0.113.7 and 10.0.0.0/8',
    ]),
    [
      { aigateway_settings: { max_body: '8 parsecs' } },
      'aigateway_settings.max_body: must be a size such as 8MiB',
    ],
    [{ aigateway_settings: { max_body: 1 } }, 'from 1024 to 1073741824 bytes, found 1.'],
    [
      { aigateway_settings: { heartbeat: '5 minutes' } },
      'must be seconds, or a number with ms, s, m or h',
    ],
    [{ aigateway_settings: { heartbeat: 300 } }, 'from 1000 ms to 230 s, found 300.'],
    [
      { aigateway_settings: { log_level: 'verbose' } },
      'must be one of fatal, error, warn, info, debug, trace, found "verbose".',
    ],
    [{ aigateway_settings: { log_level: 'debugg' } }, 'Did you mean debug?'],
    [
      { aigateway_settings: { bridge: 'maybe' } },
      'aigateway_settings.bridge: must be true or false, found "maybe".',
    ],
    [
      { aigateway_settings: { extra_routes: [{ method: 'get' }] } },
      'aigateway_settings.extra_routes[0].path: is missing',
    ],
    [
      { aigateway_settings: { extra_routes: [{ path: '/x/', operation: 'chat' }] } },
      'aigateway_settings.extra_routes[0].path: must be a plain path that begins with a slash and ends with none',
    ],
    [
      { aigateway_settings: { extra_routes: [{ path: '/x', operation: 'chats' }] } },
      'aigateway_settings.extra_routes[0].operation: must be one of chat, completions, embeddings, responses, found "chats". Did you mean chat?',
    ],
    [
      { aigateway_settings: { extra_routes: [{ method: 'get', path: 'x' }] } },
      'aigateway_settings.extra_routes[0].path: must be',
    ],
    [{ aigateway_settings: { expose_upstream: 'everyone' } }, 'must be one of admin, all, none'],
    [{ aigateway_settings: 5 }, 'aigateway_settings: must be a map, found 5.'],
    [{ model_list: { a: 1 } }, 'model_list: must be a list, found a map.'],
    [{ model_list: ['m'] }, 'model_list[0]: must be a map'],
    [
      { model_list: [{ model_name: 'm' }] },
      'model_list[0].litellm_params: is missing; it must be a map.',
    ],
    [
      { model_list: [{ litellm_params: { model: 'azure/d' } }] },
      'model_list[0].model_name: is missing; it must be a text.',
    ],
    [model({ rpm: -1 }), 'model_list[0].litellm_params.rpm: must be a whole number'],
    [model({ weight: 'heavy' }), 'model_list[0].litellm_params.weight: must be a number'],
    [model({ order: 1.5 }), 'model_list[0].litellm_params.order: must be a whole number'],
    [model({ timeout: 0 }), 'model_list[0].litellm_params.timeout: must be seconds'],
    [model({ tags: 5 }), 'model_list[0].litellm_params.tags: must be a list of texts, found 5.'],
    [
      model({ input_cost_per_token: 'cheap' }),
      'must be a price in US dollars per token, zero or more, found "cheap".',
    ],
    [
      model({ input_cost_per_token: -0.1 }),
      'must be a price in US dollars per token, zero or more, found -0.1.',
    ],
    [
      model({ max_budget: 5, budget_duration: '1y' }),
      'must be a duration such as 30s, 5m, 1h, 7d, 1mo, daily, weekly or monthly, found "1y".',
    ],
    [model({ capacity: 'big' }), 'must be one of ptu, standard'],
    [model({ azure_credential: 'ManagedIdentity' }), 'must be one of managed-identity'],
    [
      model({ extra_headers: 'x: y' }),
      'model_list[0].litellm_params.extra_headers: must be a map of names to values, each a text',
    ],
    [model({}, { mode: 'talk' }), 'model_list[0].model_info.mode: must be one of chat'],
    [
      { router_settings: { routing_strategy: 'random' } },
      'router_settings.routing_strategy: must be one of simple-shuffle',
    ],
    [
      { router_settings: { num_retries: 1000 } },
      'must be a whole number from 0 to 100, found 1000.',
    ],
    [
      { router_settings: { retry_policy: { TimeoutErrorRetries: 'x' } } },
      'router_settings.retry_policy.TimeoutErrorRetries: must be a whole number',
    ],
    [
      { router_settings: { fallbacks: { a: ['b'] } } },
      'router_settings.fallbacks: must be a list of maps of a model to a list of models, found a map.',
    ],
    [
      { router_settings: { model_group_alias: { a: 5 } } },
      'router_settings.model_group_alias.a: must be',
    ],
    [
      { router_settings: { provider_budget_config: { azure: { budget_limit: 'lots' } } } },
      'must be an amount in US dollars',
    ],
    [
      { litellm_settings: { timezone: 'Mars' } },
      'must be a time zone such as UTC or Africa/Johannesburg, found "Mars".',
    ],
    [
      { litellm_settings: { budget_reset_time: '25:00' } },
      'must be a time of day, HH:MM, found "25:00".',
    ],
    [
      { litellm_settings: { budget_exceeded_status_code: 200 } },
      'must be a whole number from 400 to 499, found 200.',
    ],
    [
      { general_settings: { max_parallel_requests: 'many' } },
      'general_settings.max_parallel_requests: must be a whole number',
    ],
    [
      { virtual_keys: [{ key_hash: 'x', expires: 'soon' }] },
      'virtual_keys[0].expires: must be a date such as 2027-06-30',
    ],
    [
      { virtual_keys: [{ key_hash: 'x', expires: '2027-13-45' }] },
      'virtual_keys[0].expires: must be a date',
    ],
    [
      { virtual_keys: [{ key_hash: 'x', budget_limits: [{ max_budget: 'x' }] }] },
      'virtual_keys[0].budget_limits[0].max_budget: must be an amount',
    ],
    [{ projects: [{ virtual_keys: [] }] }, 'projects[0].name: is missing'],
    [[1, 2], 'the configuration: must be a map of sections'],
  ])('%j', (file, expected) => {
    expect(problems(parseConfig(file)).join('\n')).toContain(expected);
  });

  it('reports all of them at once, and what is right is still read', () => {
    const parsed = parseConfig({
      ...model({ rpm: 'x', tpm: 5 }),
      aigateway_settings: { port: -1, max_body: '1MiB' },
      router_settings: { num_retries: 'x' },
    });
    expect(parsed.report.problems.map(({ path }) => formatPath(path))).toEqual([
      'model_list[0].litellm_params.rpm',
      'router_settings.num_retries',
      'aigateway_settings.port',
    ]);
    expect(parsed.config.model_list?.[0]?.litellm_params.tpm).toBe(5);
    expect(parsed.config.aigateway_settings).toEqual({ max_body: 1_048_576 });
  });

  it('keeps the place of entries behind one that cannot be read', () => {
    const parsed = parseConfig({ model_list: [{ model_name: 'a' }, model({}).model_list[0]] });
    expect(parsed.config.model_list).toHaveLength(1);
    expect(parsed.positions['model_list']).toEqual([1]);
  });

  it('names the variable that a bad value comes from', () => {
    expect(problems(parseConfig({}, { AIGATEWAY_PORT: '70000' }))).toEqual([
      'aigateway_settings.port: must be a whole number from 0 to 65535, found "70000" in the environment variable AIGATEWAY_PORT.',
    ]);
    expect(problems(parseConfig(model({ rpm: 'os.environ/RPM' }), { RPM: 'x' }))[0]).toContain(
      'in the environment variable RPM',
    );
  });
});

describe('unknown, inert and refused keys', () => {
  it.each<[object, string]>([
    [{ modellist: [] }, 'modellist: is not a known key. Did you mean model_list?'],
    [model({ api_bse: 'x' }), 'Did you mean api_base?'],
    [model({ temprature: 1 }), ''],
    [{ litellm_settings: { max_budegt: 1 } }, 'Did you mean max_budget?'],
    [
      { virtual_keys: [{ key_hash: 'x', whatever: 1 }] },
      'virtual_keys[0].whatever: is not a known key. Known here: alias',
    ],
    [{ aigateway_settings: { colour: 'red' } }, 'aigateway_settings.colour: is not a known key'],
  ])('%j', (file, expected) => {
    expect(problems(parseConfig(file)).join('\n')).toContain(expected);
  });

  it('says what becomes of keys it does not know in LiteLLM’s sections', () => {
    const parsed = parseConfig({
      ...model({ top_k: 5 }),
      litellm_settings: { brand_new_feature: true },
      brand_new_section: {},
    });
    expect(problems(parsed)).toEqual([]);
    expect(notices(parsed)).toEqual([
      'model_list[0].litellm_params.top_k: is not known here and is sent upstream as a request parameter. Did you mean top_p?',
      'litellm_settings.brand_new_feature: is not known here and has no effect',
      'brand_new_section: is not known here and has no effect',
    ]);
  });

  it('lists inert keys with the reason, unless they ask for nothing', () => {
    const parsed = parseConfig({
      litellm_settings: {
        cache: true,
        callbacks: ['prometheus'],
        success_callback: ['langfuse'],
        modify_params: false,
      },
      general_settings: {
        database_url: 'os.environ/UNSET',
        store_model_in_db: false,
        alerting: [],
      },
    });
    expect(problems(parsed)).toEqual([]);
    expect(parsed.report.notices.map(({ path }) => formatPath(path))).toEqual([
      'litellm_settings.cache',
      'litellm_settings.success_callback',
      'general_settings.database_url',
    ]);
  });

  it.each<[object]>([
    [{ litellm_settings: { ssl_verify: false } }],
    [{ litellm_settings: { max_user_budget: 1 } }],
    [{ litellm_settings: { cost_margin_config: { azure: 0.1 } } }],
    [{ general_settings: { custom_auth: 'module.function' } }],
    [{ general_settings: { enforce_user_param: true } }],
    [{ general_settings: { enforced_params: ['user'] } }],
    [{ general_settings: { token_rate_limit_type: 'output' } }],
    [{ guardrails: [{ guardrail_name: 'g', litellm_params: { default_on: true } }] }],
    [{ litellm_settings: { callbacks: ['langfuse', 'hide_secrets'] } }],
    [model({ mock_response: 'hi' })],
    [model({}, { team_id: 't' })],
  ])('refuses what would weaken safety or money: %j', (file) => {
    expect(problems(parseConfig(file))).toEqual([expect.stringContaining('is refused: ')]);
  });

  it.each<[object]>([
    [{ litellm_settings: { ssl_verify: true } }],
    [
      {
        general_settings: {
          enforce_user_param: false,
          token_rate_limit_type: 'total',
        },
      },
    ],
    [{ guardrails: [] }],
    [{ general_settings: null, model_list: null }],
  ])('takes the same keys when they ask for nothing: %j', (file) => {
    expect(problems(parseConfig(file))).toEqual([]);
    expect(notices(parseConfig(file))).toEqual([]);
  });

  it('suggests the variable that a mistyped one stands for', () => {
    expect(notices(parseConfig({}, { AIGATEWAY_LOGLEVEL: 'debug' }))).toEqual([
      '$AIGATEWAY_LOGLEVEL: is no variable of the gateway and has no effect. Did you mean AIGATEWAY_LOG_LEVEL?',
    ]);
    const url = 'https://my-resource.openai.azure.com';
    expect(notices(parseConfig({}, { AZURE_OPENAI_ULR: url }))).toEqual([
      '$AZURE_OPENAI_ULR: is no variable of the gateway and has no effect. Did you mean AZURE_OPENAI_URL?',
    ]);
  });

  it('suggests no variable that is set already', () => {
    const environment = { AZURE_OPENAI_URL: 'https://a.openai.azure.com', AZURE_OPENAI_KEY: 'x' };
    expect(notices(parseConfig({}, environment))).toContain(
      '$AZURE_OPENAI_KEY: is no variable of the gateway and has no effect.',
    );
  });
});

describe('references to the environment', () => {
  it('resolves values and leaves secrets as references', () => {
    const { config } = parseConfig(
      model({ rpm: 'os.environ/RPM', api_key: 'os.environ/KEY', drop_params: 'os.environ/DROP' }),
      {
        RPM: '60',
        KEY: 'secret',
        DROP: 'True',
      },
    );
    expect(config.model_list?.[0]?.litellm_params).toMatchObject({
      rpm: 60,
      api_key: { kind: 'env', name: 'KEY' },
      drop_params: true,
    });
  });

  it('leaves out what is unset, and says so', () => {
    const parsed = parseConfig(model({ rpm: 'os.environ/RPM' }), { RPM: ' ' });
    expect(problems(parsed)).toEqual([]);
    expect(notices(parsed)).toEqual([
      'model_list[0].litellm_params.rpm: refers to the environment variable RPM, which is not set; it is left out',
    ]);
    expect(parsed.config.model_list?.[0]?.litellm_params).not.toHaveProperty('rpm');
  });

  it('reports unset ones where a value is required', () => {
    expect(problems(parseConfig(model({ model: 'os.environ/DEPLOYMENT' })))).toEqual([
      'model_list[0].litellm_params.model: refers to the environment variable DEPLOYMENT, which is not set; it must be a text.',
    ]);
  });

  it('finds variables of the file before those of the process', () => {
    const file = { ...model({ rpm: 'os.environ/RPM' }), environment_variables: { RPM: 5 } };
    expect(parseConfig(file, { RPM: '6' }).config.model_list?.[0]?.litellm_params.rpm).toBe(5);
  });
});

it('shows only values that cannot be secrets', () => {
  expect([5, true, 'random', null, [1], {}].map((value) => showFound(value))).toEqual([
    '5',
    'true',
    '"random"',
    'nothing',
    'a list',
    'a map',
  ]);
  expect(showFound('sk-1234')).toBe('a text of 7 characters');
  expect(showFound('0123456789abcdef')).toBe('a text of 16 characters');
});

it.each(['constructor', 'toString', '__proto__'])('takes %s for no key of its own', (name) => {
  const litellm_params = JSON.parse(`{"model":"azure/x","${name}":"os.environ/NOT_SET"}`);
  const { report } = parseConfig({ model_list: [{ model_name: 'm', litellm_params }] });
  expect(report.notices.flatMap(({ path }) => path)).toContain(
    `model_list[0].litellm_params.${name}`,
  );
});

it('answers any JSON without throwing', () => {
  const sections = [
    'model_list',
    'router_settings',
    'litellm_settings',
    'general_settings',
    'aigateway_settings',
    'virtual_keys',
    'projects',
    'credential_list',
    'environment_variables',
  ];
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...sections), fc.jsonValue()), (file) => {
      expect(Array.isArray(parseConfig(file).report.problems)).toBe(true);
    }),
    { numRuns: 300 },
  );
});
