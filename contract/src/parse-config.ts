import * as z from 'zod';
import { type Config, configSchema, requestParameters } from './config.ts';
import { environmentReference, type KeyMeta, keyMeta, typeOf } from './config-fields.ts';
import {
  type ConfigPath,
  createReport,
  formatPath,
  type Report,
  showFound,
} from './config-problems.ts';
import { type Environment, isSet, unsetVariable, withEnvironment } from './environment-config.ts';
import { type VaultLookup, vaultLookup } from './key-management.ts';
import { nearestName } from './names.ts';

/** A configuration as read: valid parts only, with what is to be said about the rest in `report`. */
export type ParsedConfig = {
  readonly config: Config;
  /** Position in the file of each entry of a list that is left, since entries with problems are not. */
  readonly positions: { readonly [list: string]: readonly number[] };
  /** The variables that references find: the file's own, then the process's. */
  readonly environment: Environment;
  /** Names of variables that came from the file and that no process will find in its environment. */
  readonly fileVariables: ReadonlySet<string>;
  /** What `model_list` comes from when it is not in the file: the environment variable with the address. */
  readonly modelSource?: ConfigPath;
  /** Unset variables by the path of the value that refers to them. */
  readonly unset: ReadonlyMap<string, string>;
  readonly report: Report;
};

/** Keys whose references stay references, to be resolved where the secret is used. */
const secretKeys: ReadonlySet<string> = new Set([
  'api_key',
  'azure_ad_token',
  'client_secret',
  'key',
  'master_key',
  'previous_key',
  'proxy',
  'redis_password',
  'redis_sentinel_password',
  'redis_url',
]);

/** Credentials that `key_management_system` looks up in its vault. */
const vaultedReference =
  /^(model_list\[\d+\]\.litellm_params|credential_list\[\d+\]\.credential_values)\.(api_key|client_secret)$/;

/**
 * Values that decide which credential goes to whom. Unlike other settings they are never left out when their variable is not
 * set: the call would go out with another credential, or without one. Keys of callers are checked where they are compiled.
 */
const credentialReference = new RegExp(
  [
    /^(model_list\[\d+\]\.litellm_params|credential_list\[\d+\]\.credential_values)\.(api_key|azure_ad_token|tenant_id|client_id|client_secret|certificate_path|federated_token_file|azure_credential|azure_scope|litellm_credential_name)$/,
    /^(virtual_keys|projects)\[\d+\]\.(virtual_keys\[\d+\]\.)?(credential|litellm_credential_name)$/,
    /^aigateway_settings\.(proxy|redis_url|redis_password|redis_sentinel_password)$/,
  ]
    .map(({ source }) => source)
    .join('|'),
);

/** Our own sections hold nothing but what we know: a key not known there is a mistake. */
const ownSections: ReadonlySet<string | number> = new Set([
  'aigateway_settings',
  'credential_list',
  'projects',
  'virtual_keys',
]);

type Raw = { [key: string]: unknown };

/**
 * Reads a configuration: resolves references to the environment, checks every key and value, and reports all problems at
 * once. What is wrong is left out of the result, so that the rest can be checked further.
 *
 * @param raw - the parsed YAML, includes already merged; undefined when there is no file
 * @param environment - variables of the process
 */
export function parseConfig(raw: unknown, environment: Environment = {}): ParsedConfig {
  const report = createReport();
  const file = raw ?? {};
  if (!isMap(file))
    report.problem([], 'must be a map of sections such as model_list and general_settings');
  const own = fileEnvironment(isMap(file) ? file['environment_variables'] : undefined, environment);
  const merged: Environment = { ...environment, ...own };

  const { raw: overlaid, modelSource } = withEnvironment(isMap(file) ? file : {}, merged, report);
  const unset = new Map<string, string>();
  const sources = new Map<string, string>();
  const general = overlaid['general_settings'];
  const vaulted = vaultLookup(general, merged, report);
  const variables = { own, all: merged, vaulted, unset, sources };
  const resolved = resolveReferences(overlaid, [], variables) as Raw;
  refuseDefaultGuardrails(resolved['guardrails'], report);
  refuseProtectingCallbacks(resolved['litellm_settings'], report);
  walk(configSchema, resolved, [], report);

  const { config, positions } = validate(resolved, { unset, sources, report });
  for (const [path, name] of unset) {
    const meta = decidingMeta(path);
    if (meta?.status === 'inert') {
      report.notice('inert', [path], `has no effect: ${meta.description}`);
      continue;
    }
    if (credentialReference.test(path)) {
      const { message, hint } = unsetVariable(name, merged);
      report.problem([path], message, hint);
      continue;
    }
    const isReported = report.problems.some((problem) => formatPath(problem.path) === path);
    const isAddress = /\.(api_base|base_url)$/.test(path);
    if (!isReported && !isAddress) {
      report.notice(
        'unknown',
        [path],
        `refers to the environment variable ${name}, which is not set; it is left out`,
      );
    }
  }
  return {
    config,
    positions,
    environment: merged,
    fileVariables: new Set(Object.keys(own)),
    unset,
    ...(modelSource === undefined ? {} : { modelSource }),
    report,
  };
}

/** Variables set by the file; references among them are resolved first. */
function fileEnvironment(value: unknown, environment: Environment): { [name: string]: string } {
  if (!isMap(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, item]): [string, string][] => {
      const reference = environmentReference(item);
      const text = reference === undefined ? item : environment[reference];
      if (typeof text === 'string') return [[name, text]];
      return typeof text === 'number' || typeof text === 'boolean' ? [[name, String(text)]] : [];
    }),
  );
}

type Sources = { unset: Map<string, string>; sources: Map<string, string> };
type Variables = Sources & {
  own: Environment;
  all: Environment;
  vaulted: VaultLookup | undefined;
};

/**
 * Replaces `os.environ/NAME` by its value, except in secrets; leaves out what is null or unset. What holds nothing of the kind
 * is given back as it is: most of a file with many keys.
 *
 * @param path - of the value; changed on the way and the same again at the end
 */
function resolveReferences(
  value: unknown,
  path: (string | number)[],
  variables: Variables,
): unknown {
  const inside = (key: string | number, item: unknown): unknown => {
    path.push(key);
    const result = resolveReferences(item, path, variables);
    path.pop();
    return result;
  };
  if (Array.isArray(value)) {
    const items = value.map((item: unknown, index) => inside(index, item));
    return items.every((item, index) => item === value[index]) ? value : items;
  }
  if (isMap(value)) {
    let changed: Raw | undefined;
    for (const [key, item] of Object.entries(value)) {
      const result = inside(key, item);
      if (result === item && result !== null && result !== undefined) continue;
      changed ??= { ...value };
      if (result === undefined || result === null) delete changed[key];
      else changed[key] = result;
    }
    return changed ?? value;
  }
  const name = environmentReference(value);
  if (name === undefined) return value;
  const { own, all, unset, sources } = variables;
  const where = formatPath(path);
  const inVault = vaultedReference.test(where) ? variables.vaulted?.(name) : undefined;
  if (inVault !== undefined) return inVault;
  sources.set(where, name);
  // Variables that only the file sets are in no process's environment: their values stand for themselves.
  const isSecret = secretKeys.has(String(path.at(-1)));
  if (isSecret && isSet(own, name)) return own[name];
  const isKept = isSecret && !credentialReference.test(where);
  if (!isSet(all, name) && !isKept) unset.set(where, name);
  if (isSecret) return value;
  return isSet(all, name) ? structured(all[name] ?? '', path) : undefined;
}

/** A variable is a text: what is a list or a map in the file is JSON in it. */
function structured(text: string, path: ConfigPath): unknown {
  if (!/^\s*[{[]/.test(text)) return text;
  const schema = schemaAt(configSchema, path);
  const inner = schema === undefined ? undefined : unwrap(schema);
  if (!(inner instanceof z.ZodArray || inner instanceof z.ZodObject)) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The text is told to be none.
    return text;
  }
}

/** A guardrail that is on for everyone is a promise to everyone; the others only answer to requests that name them. */
function refuseDefaultGuardrails(value: unknown, report: Report): void {
  if (!Array.isArray(value)) return;
  value.forEach((guardrail: unknown, index) => {
    const params = isMap(guardrail) ? guardrail['litellm_params'] : undefined;
    if (isMap(params) && params['default_on'] === true) {
      report.problem(
        ['guardrails', index, 'litellm_params', 'default_on'],
        'is refused: requests would pass without this guardrail, guardrails are not in this release',
      );
    }
  });
}

/** Those of LiteLLM's callbacks that look at, change or refuse every request, as guardrails that are on for everyone do. */
const protectingCallbacks: ReadonlySet<unknown> = new Set([
  'aporia_prompt_injection',
  'azure_content_safety',
  'banned_keywords',
  'blocked_user_check',
  'detect_prompt_injection',
  'google_text_moderation',
  'hide_secrets',
  'lakera_prompt_injection',
  'llamaguard_moderations',
  'llmguard_moderations',
  'openai_moderations',
  'presidio',
]);

function refuseProtectingCallbacks(settings: unknown, report: Report): void {
  const callbacks = isMap(settings) ? settings['callbacks'] : undefined;
  if (!Array.isArray(callbacks)) return;
  callbacks.forEach((name: unknown, index) => {
    if (!protectingCallbacks.has(name)) return;
    report.problem(
      ['litellm_settings', 'callbacks', index],
      `is refused: requests would pass without ${String(name)}, guardrails are not in this release`,
    );
  });
}

/** Compares the keys that are there with those known: unknown, inert and refused ones are reported. */
function walk(schema: z.ZodType, value: unknown, path: ConfigPath, report: Report): void {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodArray) {
    if (Array.isArray(value)) {
      value.forEach((item, index) =>
        walk(inner.element as z.ZodType, item, [...path, index], report),
      );
    }
    return;
  }
  if (!(inner instanceof z.ZodObject) || !isMap(value)) return;
  const shape = inner.shape as { readonly [key: string]: z.ZodType };
  for (const [key, item] of Object.entries(value)) {
    const field = Object.hasOwn(shape, key) ? shape[key] : undefined;
    const meta = field && keyMeta(field);
    const isEffective = meta === undefined || meta.status === 'effective';
    if (field !== undefined && isEffective && typeof item !== 'object') continue;
    const here = [...path, key];
    if (field === undefined) {
      reportUnknown(key, shape, here, report);
    } else if (isEffective) {
      walk(field, item, here, report);
    } else if (!isHarmless(item, meta.harmless ?? [])) {
      if (meta.status === 'inert')
        report.notice('inert', here, `has no effect: ${meta.description}`);
      else report.problem(here, `is refused: ${meta.description}`);
    }
  }
}

function reportUnknown(
  key: string,
  shape: { readonly [key: string]: z.ZodType },
  path: ConfigPath,
  report: Report,
): void {
  const parent = path.at(-2);
  if (parent === 'litellm_params' && requestParameters.includes(key)) return;
  if (parent === 'model_info' && /^(supports_|supported_|db_model$|.*_cost|.*_cost_per_)/.test(key))
    return;
  // Missing a key that does nothing anyway is no reason not to start.
  const known = Object.keys(shape);
  const used = known.filter((name) => shape[name] && keyMeta(shape[name])?.status !== 'inert');
  const near = nearestName(key, used);
  if (near !== undefined) {
    report.problem(path, 'is not a known key', `Did you mean ${near}?`);
  } else if (ownSections.has(path[0] ?? '')) {
    report.problem(path, 'is not a known key', `Known here: ${known.toSorted().join(', ')}`);
  } else if (parent === 'litellm_params') {
    const parameter = nearestName(key, requestParameters);
    const suggestion = parameter === undefined ? '' : `. Did you mean ${parameter}?`;
    report.notice(
      'unknown',
      path,
      `is not known here and is sent upstream as a request parameter${suggestion}`,
    );
  } else {
    report.notice('unknown', path, 'is not known here and has no effect');
  }
}

function isHarmless(value: unknown, harmless: readonly unknown[]): boolean {
  if (Array.isArray(value)) return value.every((item) => isHarmless(item, harmless));
  if (isMap(value)) return Object.keys(value).length === 0;
  return harmless.includes(value);
}

const lists = ['model_list', 'credential_list', 'virtual_keys', 'projects'] as const;

type Context = Sources & { report: Report };

/**
 * Validates, reports, and leaves out what is wrong: first the values themselves, then whole entries of lists that cannot
 * be without them. What is left is checked further, so that everything is reported at once.
 */
function validate(resolved: Raw, context: Context): Pick<ParsedConfig, 'config' | 'positions'> {
  const first = configSchema.safeParse(resolved);
  if (first.success) return { config: first.data, positions: positionsIn(resolved, new Set()) };
  const left = structuredClone(resolved);
  for (const issue of first.error.issues) {
    const path = pathOf(issue);
    reportIssue(path, issue, resolved, context);
    removeValue(left, path);
  }
  const second = configSchema.safeParse(left);
  const incomplete = new Set<string>();
  for (const issue of second.error?.issues ?? []) {
    const [section, key] = pathOf(issue);
    if (lists.some((list) => list === section))
      incomplete.add(formatPath([section ?? '', key ?? '']));
    else removeValue(left, pathOf(issue).slice(0, 2));
  }
  const positions = positionsIn(left, incomplete);
  for (const [list, kept] of Object.entries(positions)) {
    const entries = left[list] as unknown[];
    left[list] = kept.map((index) => entries[index]);
  }
  return { config: second.success ? second.data : configSchema.parse(left), positions };
}

/** Positions of the entries of each list, without those whose paths are in `incomplete`. */
function positionsIn(
  root: Raw,
  incomplete: ReadonlySet<string>,
): { readonly [list: string]: readonly number[] } {
  const positions: { [list: string]: number[] } = {};
  for (const list of lists) {
    const entries = root[list];
    if (!Array.isArray(entries)) continue;
    const all = [...entries.keys()];
    positions[list] =
      incomplete.size === 0
        ? all
        : all.filter((index) => !incomplete.has(formatPath([list, index])));
  }
  return positions;
}

function pathOf(issue: z.core.$ZodIssue): (string | number)[] {
  return issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
}

/** Removes a value from its map; entries of lists take their list along, except those of the lists of entries. */
function removeValue(root: Raw, path: ConfigPath): void {
  let length = path.length;
  while (length > 2 && typeof path[length - 1] === 'number') length -= 1;
  const parent = valueAt(root, path.slice(0, length - 1));
  const key = path[length - 1];
  if (isMap(parent) && key !== undefined) delete parent[String(key)];
  else if (Array.isArray(parent) && typeof key === 'number') parent[key] = {};
}

function reportIssue(
  path: (string | number)[],
  issue: z.core.$ZodIssue,
  resolved: Raw,
  context: Context,
): void {
  const { report, unset, sources } = context;
  const schema = schemaAt(configSchema, path);
  const type =
    (schema && keyMeta(schema)?.type) ?? (schema ? typeOf(schema) : 'another kind of value');
  const wanted = issue.code === 'custom' ? issue.message : expectation(issue, type);
  const where = formatPath(path);
  const value = valueAt(resolved, path);
  const missing = unset.get(where);
  if (value === undefined) {
    const reason =
      missing === undefined
        ? 'is missing'
        : `refers to the environment variable ${missing}, which is not set`;
    report.problem(path, `${reason}; it ${wanted}`);
    return;
  }
  const source = sources.get(where);
  const isSecret = path.some((part) => secretKeys.has(String(part))) || type.startsWith('a secret');
  const found = isSecret ? 'something else' : showFound(value);
  const from = source === undefined ? '' : ` in the environment variable ${source}`;
  const options = /^must be one of (.*)$/.exec(wanted)?.[1]?.split(', ');
  const near = options && typeof value === 'string' ? nearestName(value, options) : undefined;
  report.problem(
    path,
    `${wanted}, found ${found}${from}`,
    near === undefined ? undefined : `Did you mean ${near}?`,
  );
}

function expectation(issue: z.core.$ZodIssue, type: string): string {
  if (issue.code === 'invalid_type' && issue.expected === 'array')
    return type.startsWith('a list') ? `must be ${type}` : 'must be a list';
  if (issue.code === 'invalid_type' && issue.expected === 'object') return 'must be a map';
  return `must be ${type}`;
}

/** The schema of a key, as far as the path goes through maps and lists. */
function schemaAt(schema: z.ZodType, path: ConfigPath): z.ZodType | undefined {
  let current: z.ZodType | undefined = schema;
  for (const part of path) {
    const inner: z.ZodType = unwrap(current);
    if (inner instanceof z.ZodArray) current = inner.element as z.ZodType;
    else if (inner instanceof z.ZodObject) current = fieldNamed(inner, String(part));
    else return current;
    if (current === undefined) return undefined;
  }
  return current;
}

/** Metadata of the key of a path that decides its effect: the outermost that is not effective, else the last. */
function decidingMeta(path: string): KeyMeta | undefined {
  let current: z.ZodType = configSchema;
  let meta: KeyMeta | undefined;
  for (const part of path.split(/[.[\]]+/).filter((name) => name !== '')) {
    const inner: z.ZodType = unwrap(current);
    if (inner instanceof z.ZodArray) {
      current = inner.element as z.ZodType;
      continue;
    }
    const field = inner instanceof z.ZodObject ? fieldNamed(inner, part) : undefined;
    if (field === undefined) return meta;
    meta = keyMeta(field) ?? meta;
    if (meta !== undefined && meta.status !== 'effective') return meta;
    current = field;
  }
  return meta;
}

/** Keys are anybody's to write, names of an object's own members among them. */
function fieldNamed({ shape }: z.ZodObject, name: string): z.ZodType | undefined {
  return Object.hasOwn(shape, name) ? (shape as { [key: string]: z.ZodType })[name] : undefined;
}

function unwrap(schema: z.ZodType): z.ZodType {
  let current = schema;
  while (current instanceof z.ZodOptional) current = current.unwrap() as z.ZodType;
  return current;
}

function valueAt(value: unknown, path: ConfigPath): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Raw)[String(part)];
  }
  return current;
}

function isMap(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
