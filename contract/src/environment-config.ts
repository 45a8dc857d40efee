import { parseAzureUrl } from './azure-url.ts';
import { aigatewaySettings } from './config.ts';
import type { ConfigPath, Report } from './config-problems.ts';
import { redisVariables } from './redis-settings.ts';
import { nearestName } from './names.ts';

/** The environment as it was read once; empty variables count as unset. */
export type Environment = { readonly [name: string]: string | undefined };

export const defaultResponsesModel = 'gpt-5.3-codex';

/** One environment variable that has a meaning of its own, for the reference page. */
export type VariableDescription = { readonly name: string; readonly description: string };

/** Variables besides `AIGATEWAY_<SETTING>`. */
export const variables: readonly VariableDescription[] = [
  {
    name: 'AZURE_OPENAI_URL',
    description: 'Address of the resource, in any form: with it, no file is needed',
  },
  { name: 'AZURE_OPENAI_ENDPOINT', description: 'Another name of it' },
  { name: 'AZURE_API_BASE', description: "Another name of it, LiteLLM's" },
  {
    name: 'AZURE_OPENAI_API_KEY',
    description: 'API key of the resource; without it the identity of the environment signs in',
  },
  { name: 'AZURE_API_KEY', description: "Another name of it, LiteLLM's" },
  { name: 'AZURE_OPENAI_API_VERSION', description: 'Version of deployments without their own' },
  { name: 'OPENAI_API_VERSION', description: "Another name of it, the SDKs'" },
  { name: 'AZURE_API_VERSION', description: "Another name of it, LiteLLM's" },
  { name: 'OPENAI_API_KEY', description: 'API key of `openai/` models at api.openai.com' },
  { name: 'PROXY_API_KEY', description: 'A key for callers, without owner or limits' },
  { name: 'LITELLM_MASTER_KEY', description: 'Key of the administrator' },
  { name: 'AIGATEWAY_MASTER_KEY', description: 'Another name of it' },
  {
    name: 'LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY',
    description: 'Permits a publicly known master key',
  },
  { name: 'AIGATEWAY_PROFILE', description: '`development` or `production` (the default)' },
  {
    name: 'AIGATEWAY_ROLE',
    description:
      '`proxy`: models; `control-plane`: the management API and its store; `all`: both on one port. `all` in development, else `proxy`',
  },
  {
    name: 'DATABASE_URL',
    description:
      'PostgreSQL that the control plane keeps its store in; a file in the data directory where it is not set',
  },
  {
    name: 'COSMOS_ENDPOINT',
    description:
      'Azure Cosmos DB account that the control plane keeps its store in, `https://ACCOUNT.documents.azure.com`, instead of `DATABASE_URL`',
  },
  { name: 'COSMOS_DATABASE', description: 'Its database. `aigateway` unless set' },
  {
    name: 'COSMOS_KEY',
    description:
      'Key of the account. Not set: workload identity where `AZURE_FEDERATED_TOKEN_FILE` is set, else managed identity (`AZURE_CLIENT_ID`)',
  },
  {
    name: 'TARGET_DATABASE_URL',
    description: 'PostgreSQL that `--copy` copies the store to',
  },
  {
    name: 'TARGET_COSMOS_ENDPOINT',
    description: 'Azure Cosmos DB account that `--copy` copies the store to',
  },
  { name: 'TARGET_COSMOS_DATABASE', description: 'Its database. `aigateway` unless set' },
  { name: 'TARGET_COSMOS_KEY', description: 'Its key; an identity signs in where it is not set' },
  {
    name: 'TARGET_SQLITE_FILE',
    description: 'File that `--copy` copies the store to, `gateway.db` of a data directory',
  },
  {
    name: 'LITELLM_SALT_KEY',
    description: "Seals upstreams' secrets in the store; the root secret does where it is not set",
  },
  {
    name: 'LITELLM_SALT_KEY_PREVIOUS',
    description: 'Earlier salt keys, apart by spaces: what they sealed can still be opened',
  },
  {
    name: 'LITELLM_DATABASE_URL',
    description: 'PostgreSQL of a LiteLLM proxy that `--import litellm` reads',
  },
  {
    name: 'LITELLM_IMPORT_SALT_KEY',
    description: "That proxy's salt key, where it is not `LITELLM_SALT_KEY` or the master key",
  },
  {
    name: 'AIGATEWAY_CONFIG',
    description: 'Path of the configuration file; also `CONFIG_FILE_PATH`',
  },
  {
    name: 'AIGATEWAY_CONFIG_TEXT',
    description:
      'The configuration itself, YAML or JSON, in place of a file, where a variable is versioned with what runs and a file is not',
  },
  { name: 'AIGATEWAY_SECRET', description: 'Root secret of at least 32 bytes' },
  {
    name: 'AIGATEWAY_SECRET_PREVIOUS',
    description: 'The root secret before, accepted during a rotation',
  },
  {
    name: 'AIGATEWAY_RESPONSES_MODEL',
    description: `Model of responses and chats that name none; \`${defaultResponsesModel}\` unless set`,
  },
  {
    name: 'AIGATEWAY_RESPONSES_API_VERSION',
    description: 'Version of that model; dated: `/openai/responses?api-version=…`',
  },
  {
    name: 'AIGATEWAY_EMBEDDINGS_DEPLOYMENT',
    description: 'Deployment of embeddings that name no model',
  },
  {
    name: 'AIGATEWAY_EMBEDDINGS_API_VERSION',
    description:
      'Version of it; dated: `/openai/deployments/<deployment>/embeddings?api-version=…`',
  },
  { name: 'AZURE_TENANT_ID', description: 'Entra tenant' },
  { name: 'AZURE_CLIENT_ID', description: 'Application or user-assigned identity' },
  { name: 'AZURE_CLIENT_SECRET', description: 'Secret of the application' },
  { name: 'AZURE_CLIENT_CERTIFICATE_PATH', description: 'PEM file of the application' },
  { name: 'AZURE_FEDERATED_TOKEN_FILE', description: 'Token file of a workload identity' },
  { name: 'AZURE_AUTHORITY_HOST', description: 'Entra authority of a sovereign cloud' },
  {
    name: 'AZURE_CREDENTIAL',
    description: 'Names the way to authenticate of deployments that leave it open',
  },
  { name: 'AZURE_SCOPE', description: 'Entra scope' },
  {
    name: 'AZURE_KEY_VAULT_URI',
    description: 'Address of the Key Vault of `key_management_system`',
  },
  { name: 'LITELLM_LOG', description: 'Level of the log, as LiteLLM names it' },
  {
    name: 'AIGATEWAY_REVISION',
    description:
      'Commit that the image was built from, set by the image: follows the version in `x-litellm-version`, as `0.1.0+COMMIT`',
  },
];

export const azureUrlNames = [
  'AZURE_OPENAI_URL',
  'AZURE_OPENAI_ENDPOINT',
  'AZURE_API_BASE',
] as const;
export const azureKeyNames = ['AZURE_OPENAI_API_KEY', 'AZURE_API_KEY'] as const;
export const azureVersionNames = [
  'AZURE_OPENAI_API_VERSION',
  'OPENAI_API_VERSION',
  'AZURE_API_VERSION',
] as const;
export const masterKeyNames = ['LITELLM_MASTER_KEY', 'AIGATEWAY_MASTER_KEY'] as const;

/** Settings that have names of their own in the environment besides `AIGATEWAY_<NAME>`, the least important first. */
const settingNames: { readonly [setting: string]: readonly string[] } = {
  ...redisVariables,
  port: ['PORT'],
  base_path: ['SERVER_ROOT_PATH'],
  proxy: ['https_proxy', 'HTTPS_PROXY'],
  no_proxy: ['no_proxy', 'NO_PROXY'],
};

/** The first variable among `names` that is set. */
export function firstSet(environment: Environment, names: readonly string[]): string | undefined {
  return names.find((name) => isSet(environment, name));
}

export function isSet(environment: Environment, name: string): boolean {
  return (environment[name] ?? '').trim() !== '';
}

/** What is wrong with a reference to a variable that is not set, and which name may have been meant: one that is set first. */
export function unsetVariable(
  name: string,
  environment: Environment,
): { readonly message: string; readonly hint: string } {
  const message = `refers to the environment variable ${name}, which is not set`;
  const present = Object.keys(environment).filter((other) => isSet(environment, other));
  const meant = nearestName(name, present);
  if (meant !== undefined) return { message, hint: `Did you mean ${meant}, which is set?` };
  const known = variables.flatMap((variable) => (variable.name === name ? [] : [variable.name]));
  const near = nearestName(name, known);
  return { message, hint: near === undefined ? 'Set it.' : `Set it, or did you mean ${near}?` };
}

type Raw = { [key: string]: unknown };

/**
 * The configuration with what the environment adds to it, written as the file would be: settings, the caller's key, and
 * where no models are configured the three-setting set-up (address, key, caller's key).
 */
export function withEnvironment(
  raw: Raw,
  environment: Environment,
  report: Report,
): { raw: Raw; modelSource?: ConfigPath } {
  const result: Raw = { ...raw };
  const settings = settingsFromEnvironment(environment);
  const list = raw['model_list'];
  let modelSource: ConfigPath | undefined;
  if (list === undefined || list === null || (Array.isArray(list) && list.length === 0)) {
    const added = modelsFromEnvironment(
      environment,
      report,
      allowsInsecure(settings, raw, environment),
    );
    if (added !== undefined) {
      modelSource = [`$${added.variable}`];
      result['model_list'] = added.models;
      const own = asMap(asMap(raw['aigateway_settings'])['default_models']);
      const given = settings['default_models'] ?? {};
      // What is no map is told as such later.
      if (typeof given === 'object')
        settings['default_models'] = { ...added.defaults, ...own, ...given };
    }
  }
  if (Object.keys(settings).length > 0) {
    result['aigateway_settings'] = { ...asMap(raw['aigateway_settings']), ...settings };
  }
  const keys = raw['virtual_keys'];
  if (
    isSet(environment, 'PROXY_API_KEY') &&
    (keys === undefined || keys === null || Array.isArray(keys))
  ) {
    result['virtual_keys'] = [
      ...(Array.isArray(keys) ? keys : []),
      { key: 'os.environ/PROXY_API_KEY', key_alias: 'proxy-api-key' },
    ];
  }
  warnOfUnknownVariables(environment, report);
  return { raw: result, ...(modelSource === undefined ? {} : { modelSource }) };
}

function settingsFromEnvironment(environment: Environment): Raw {
  const settings: Raw = {};
  for (const setting of Object.keys(aigatewaySettings.shape)) {
    const names = [...(settingNames[setting] ?? []), variableOf(setting)];
    const name = names.findLast((candidate) => isSet(environment, candidate));
    if (name !== undefined) settings[setting] = `os.environ/${name}`;
  }
  // LiteLLM writes its levels in capitals; only its names are translated.
  const level = (environment['LITELLM_LOG'] ?? '').trim().toLowerCase();
  if (settings['log_level'] === undefined && /^(debug|info|warning|error)$/.test(level)) {
    settings['log_level'] = level === 'warning' ? 'warn' : level;
  }
  return settings;
}

/** The environment variable of one of our settings. */
export function variableOf(setting: string): string {
  return `AIGATEWAY_${setting.toUpperCase()}`;
}

/** The one setting that already counts while addresses are looked at, before the rest is read. */
function allowsInsecure(settings: Raw, raw: Raw, environment: Environment): boolean {
  const own = asMap(raw['aigateway_settings'])['allow_insecure_upstream'];
  const value =
    settings['allow_insecure_upstream'] === undefined
      ? own
      : environment[variableOf('allow_insecure_upstream')];
  return value === true || (typeof value === 'string' && /^(true|yes|on|1)$/i.test(value.trim()));
}

/**
 * Models of the set-up without a file: any name is tried as a deployment of the one resource, and names that the
 * environment mentions are offered as models of their own.
 */
function modelsFromEnvironment(
  environment: Environment,
  report: Report,
  allowInsecure: boolean,
): { variable: string; models: Raw[]; defaults: Raw } | undefined {
  const urlName = firstSet(environment, azureUrlNames);
  if (urlName === undefined) return undefined;
  const url = parseAzureUrl(environment[urlName] ?? '', { allowInsecure });
  if (!url.ok) {
    report.problem([`$${urlName}`], url.problem.replace(/\.$/, ''), url.hint);
    return undefined;
  }
  const keyName = firstSet(environment, azureKeyNames);
  if (keyName !== undefined && isSet(environment, 'AZURE_CREDENTIAL')) {
    report.problem(
      ['$AZURE_CREDENTIAL'],
      `names an identity while ${keyName} is set as well`,
      'Keep one: nothing ever falls back to another.',
    );
  }
  const versionName = firstSet(environment, azureVersionNames);
  const upstream = {
    api_base: `os.environ/${urlName}`,
    ...(keyName === undefined ? {} : { api_key: `os.environ/${keyName}` }),
    // A version in the address itself is nearer than a variable for all.
    ...(versionName === undefined || url.apiVersion !== undefined
      ? {}
      : { api_version: `os.environ/${versionName}` }),
  };
  const provider = url.dialect === 'openai' ? 'openai' : 'azure';
  const named = (name: string, more: Raw, info: Raw): Raw => ({
    model_name: name,
    litellm_params: { ...upstream, model: `${provider}/${name}`, ...more },
    model_info: info,
  });

  const models: Raw[] = [named('*', {}, {})];
  const asked = environment['AIGATEWAY_RESPONSES_MODEL']?.trim();
  const embeddings = environment['AIGATEWAY_EMBEDDINGS_DEPLOYMENT']?.trim();
  if (asked || isSet(environment, 'AIGATEWAY_RESPONSES_API_VERSION')) {
    const version = reference(environment, 'AIGATEWAY_RESPONSES_API_VERSION');
    models.push(named(asked || defaultResponsesModel, version, {}));
  }
  if (embeddings) {
    const version = reference(environment, 'AIGATEWAY_EMBEDDINGS_API_VERSION');
    models.push(named(embeddings, version, { mode: 'embedding' }));
  }
  const fromUrl = url.deployment;
  const isEmbedding = url.operation === 'embeddings';
  if (fromUrl !== undefined && !models.some((model) => model['model_name'] === fromUrl)) {
    models.push(named(fromUrl, {}, isEmbedding ? { mode: 'embedding' } : {}));
  }

  const forAnswers = asked || (isEmbedding ? undefined : fromUrl) || defaultResponsesModel;
  const forEmbeddings = embeddings || (isEmbedding ? fromUrl : undefined);
  return {
    variable: urlName,
    models,
    defaults: {
      responses: forAnswers,
      chat: forAnswers,
      ...(forEmbeddings === undefined ? {} : { embeddings: forEmbeddings }),
    },
  };
}

function reference(environment: Environment, name: string): Raw {
  return isSet(environment, name) ? { api_version: `os.environ/${name}` } : {};
}

/** Names that begin so are meant for this gateway. */
const ownPrefixes = ['AIGATEWAY_', 'AZURE_OPENAI_'] as const;

/** A mistyped variable of ours would silently leave a default in force, or models simulated. */
function warnOfUnknownVariables(environment: Environment, report: Report): void {
  const known = new Set([
    ...variables.map(({ name }) => name),
    ...Object.keys(aigatewaySettings.shape).map((setting) => variableOf(setting)),
  ]);
  for (const name of Object.keys(environment)) {
    if (!ownPrefixes.some((prefix) => name.startsWith(prefix)) || known.has(name)) continue;
    const near = nearestName(
      name,
      [...known].filter((other) => !isSet(environment, other)),
    );
    const suggestion = near === undefined ? '' : ` Did you mean ${near}?`;
    report.notice(
      'unknown',
      [`$${name}`],
      `is no variable of the gateway and has no effect.${suggestion}`,
    );
  }
}

function asMap(value: unknown): Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : {};
}
