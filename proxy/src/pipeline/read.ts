import type { IncomingMessage } from 'node:http';
import type { Match } from '../endpoints/endpoint.ts';
import { GatewayError, invalidParameter } from '../errors.ts';
import type { Capability } from '../operations/capability.ts';
import { operations } from '../operations/index.ts';
import type { OperationFacts } from '../operations/operation.ts';
import { scanObject, ScanError, type Scan } from '../operations/scan.ts';
import { sessionKeyOf } from '../routing/session-affinity.ts';
import { memberValue } from './body.ts';

/** One request as the rest of the pipeline sees it: its bytes, and the few fields we need from them. */
export type Call = {
  readonly requestId: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly match: Match;
  readonly operation: OperationFacts;
  /** What a deployment must be able to do for it, itself or over a bridge. */
  readonly capability: Capability;
  /** The caller's query without the question mark. */
  readonly query: string;
  /** Empty where the endpoint takes no body. */
  readonly body: Buffer;
  readonly scan: Scan;
  /** The name the caller asked for; absent = the operation's default. */
  readonly model: string | undefined;
  readonly stream: boolean;
  /** The caller asked for usage in its stream. */
  readonly wantsUsage: boolean;
  /** Requested maximum of output tokens. */
  readonly outputLimit: number | undefined;
  /** How many answers were asked for. */
  readonly choices: number;
  /** The end user that the caller names. */
  readonly customerId: string | undefined;
  readonly tags: readonly string[];
  /** Of the usage record alone: `header: value` of the headers that are configured for it. */
  readonly spendTags: readonly string[];
  /** What keeps a conversation together, for warm prompt caches. */
  readonly sessionKey: string | undefined;
  readonly extras: CallExtras;
};

/** LiteLLM's additions to a request, taken out before it goes upstream. */
export type CallExtras = {
  readonly fallbacks: readonly string[];
  readonly disableFallbacks: boolean;
  readonly retries: number | undefined;
  readonly timeoutMs: number | undefined;
  /** Top-level members to take out. */
  readonly strip: readonly string[];
};

/** Members that decide about admission or routing: they may stand there only once and in lower case. */
const guarded: ReadonlySet<string> = new Set([
  'model',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
  'n',
  'best_of',
  'user',
  'safety_identifier',
  'metadata',
  'litellm_metadata',
  'tags',
  'store',
  'background',
  'previous_response_id',
  'input',
]);

/** Where a request goes and what it costs is never the caller's to say (CVE-2024-6587 and its kin). */
const forbidden: ReadonlySet<string> = new Set([
  'api_base',
  'base_url',
  'api_key',
  'api_version',
  'azure_ad_token',
  'azure_endpoint',
  'custom_llm_provider',
  'litellm_credential_name',
  'input_cost_per_token',
  'output_cost_per_token',
  'model_list',
]);

const litellmMembers: ReadonlySet<string> = new Set([
  'tags',
  'fallbacks',
  'context_window_fallbacks',
  'content_policy_fallbacks',
  'disable_fallbacks',
  'num_retries',
  'timeout',
  'stream_timeout',
  'cache',
  'caching',
  'guardrails',
  'policies',
  'drop_params',
  'additional_drop_params',
  'allowed_openai_params',
  'litellm_metadata',
  'litellm_session_id',
  'litellm_trace_id',
  'mock_response',
]);

const noScan: Scan = { members: new Map(), open: 0 };

export type ReadOptions = {
  readonly userHeader: string | undefined;
  readonly tagHeaders: readonly string[];
};

/**
 * Reads what the pipeline needs from a request whose body has arrived.
 *
 * @throws GatewayError 400 for a body that is not one unambiguous JSON object or a field of the wrong type, 403 for a field
 * that callers may not set
 */
export function readCall(
  request: Pick<IncomingMessage, 'url' | 'headers'>,
  match: Match,
  body: Buffer,
  requestId: string,
  startedAt: number,
  options: ReadOptions,
): Call {
  const operation = operations[match.endpoint.operation];
  const url = request.url ?? '';
  const queryAt = url.indexOf('?');
  const query = queryAt === -1 ? '' : url.slice(queryAt + 1);
  const headers = request.headers;
  const takesBody = match.endpoint.kind !== 'stored';
  const scan = takesBody ? scanBody(body) : noScan;
  const get = (name: string) => smallValue(body, scan, name);
  const strip = ownMembers(scan);
  const stream = readStream(get('stream'), match, query);
  const metadata = get('metadata');
  const ownMetadata = get('litellm_metadata');
  const metadataTags = tagsIn(metadata);
  // OpenAI's metadata holds text only; a list of tags in it is LiteLLM's and would be refused upstream.
  if (metadataTags.length > 0) strip.push('metadata');
  if (ownMetadata !== undefined) metadataTags.push(...tagsIn(ownMetadata));
  return {
    requestId,
    startedAt,
    match,
    operation,
    capability: endsInTrigger(match, body, scan)
      ? 'responses.compaction_trigger'
      : match.endpoint.capability,
    query,
    body,
    scan,
    model: match.model ?? readText('model', get('model')),
    stream,
    wantsUsage: stream && wantsUsage(get('stream_options')),
    outputLimit: readOutputLimit(operation, get),
    choices: operation.choices.reduce(
      (most, name) => Math.max(most, readCount(name, get(name)) ?? 1),
      1,
    ),
    customerId: readCustomer(headers, options.userHeader, get, ownMetadata, metadata),
    tags: readTags(get('tags'), metadataTags, headers),
    spendTags: readSpendTags(headers, options.tagHeaders),
    sessionKey: sessionKeyOf(headers, textOrNone(get('prompt_cache_key'))),
    extras:
      strip.length === 0 &&
      headers['x-litellm-num-retries'] === undefined &&
      headers['x-litellm-timeout'] === undefined
        ? noExtras
        : readExtras(get, headers, strip),
  };
}

/** What is read here is short; limits come after the reading, so that nobody may make it long. */
const maxValueBytes = 65_536;

/** @throws GatewayError 400 for a value that is longer than any honest one */
function smallValue(body: Buffer, scan: Scan, name: string): unknown {
  const member = scan.members.get(name);
  if (member !== undefined && member.end - member.valueStart > maxValueBytes) {
    throw invalidParameter(name, `"${name}" must not be longer than ${maxValueBytes} bytes`);
  }
  return memberValue(body, scan, name);
}

/**
 * Members that are meant for the gateway and not for an upstream.
 *
 * @throws GatewayError 403 for one that callers may not set
 */
function ownMembers(scan: Scan): string[] {
  const own: string[] = [];
  for (const name of scan.members.keys()) {
    if (forbidden.has(name)) {
      throw new GatewayError('forbidden_parameter', { values: { param: name }, param: name });
    }
    if (litellmMembers.has(name)) own.push(name);
  }
  return own;
}

/** The end user, in LiteLLM's order of precedence. */
function readCustomer(
  headers: IncomingMessage['headers'],
  userHeader: string | undefined,
  get: (name: string) => unknown,
  ownMetadata: unknown,
  metadata: unknown,
): string | undefined {
  return (
    headerText(headers['x-litellm-end-user-id']) ??
    headerText(headers['x-litellm-customer-id']) ??
    (userHeader === undefined ? undefined : headerText(headers[userHeader])) ??
    textOrNone(get('user')) ??
    textOrNone(memberOf(ownMetadata, 'user')) ??
    textOrNone(memberOf(metadata, 'user_id')) ??
    textOrNone(get('safety_identifier'))
  );
}

const noTags: readonly string[] = [];
/** Tags go into every record and log line: more, or longer ones, are cut. */
const maxTags = 64;
const maxTagLength = 256;

function readTags(
  inBody: unknown,
  inMetadata: readonly string[],
  headers: IncomingMessage['headers'],
): readonly string[] {
  const listed = headers['x-litellm-tags'];
  if (inBody === undefined && inMetadata.length === 0 && listed === undefined) return noTags;
  return [...tagsIn({ tags: inBody }), ...inMetadata, ...listHeader(listed)]
    .slice(0, maxTags)
    .map((tag) => tag.slice(0, maxTagLength));
}

/** In LiteLLM's form. As there, they neither choose deployments nor have limits: every caller may send them. */
function readSpendTags(
  headers: IncomingMessage['headers'],
  names: readonly string[],
): readonly string[] {
  if (names.length === 0) return noTags;
  return names.flatMap((name) => {
    const value = headerText(headers[name]);
    return value === undefined ? [] : `${name}: ${value}`.slice(0, maxTagLength);
  });
}

const noExtras: CallExtras = {
  fallbacks: [],
  disableFallbacks: false,
  retries: undefined,
  timeoutMs: undefined,
  strip: [],
};

function readExtras(
  get: (name: string) => unknown,
  headers: IncomingMessage['headers'],
  strip: readonly string[],
): CallExtras {
  const fallbacks = get('fallbacks');
  const seconds = numberOf(get('timeout') ?? headers['x-litellm-timeout']);
  const retries = numberOf(get('num_retries') ?? headers['x-litellm-num-retries']);
  return {
    fallbacks: Array.isArray(fallbacks)
      ? fallbacks.flatMap((name) =>
          typeof name === 'string' ? (readText('fallbacks', name) ?? []) : [],
        )
      : [],
    disableFallbacks: get('disable_fallbacks') === true,
    retries: Number.isInteger(retries) && retries >= 0 ? retries : undefined,
    timeoutMs: seconds > 0 && seconds <= 86_400 ? seconds * 1000 : undefined,
    strip,
  };
}

/** NaN for what is no number nor the text of one: `Number` throws on some objects and takes lists and booleans. */
function numberOf(value: unknown): number {
  return typeof value === 'number' || typeof value === 'string' ? Number(value) : NaN;
}

/** A longer body is decoded again where its text is needed: it would be in memory twice for as long as a stream lasts. */
const longestKeptBytes = 32_768;

function scanBody(body: Buffer): Scan {
  try {
    const scan = scanObject(body.toString('latin1'), guarded);
    return body.length > longestKeptBytes ? { ...scan, text: undefined } : scan;
  } catch (cause) {
    if (!(cause instanceof ScanError)) throw cause;
    const reason = `its body is no usable JSON object, ${cause.message}`;
    throw new GatewayError('invalid_body', { values: { reason } });
  }
}

function readStream(value: unknown, match: Match, query: string): boolean {
  if (match.endpoint.kind === 'stored') return /(?:^|&)stream=true(?:&|$)/i.test(query);
  if (value === undefined || value === null || value === false) return false;
  if (value !== true) {
    throw invalidParameter('stream', '"stream" must be true or false');
  }
  return operations[match.endpoint.operation].streams && match.endpoint.kind === 'create';
}

/** What stands in a text has its quotes escaped, so nothing that is said looks like this. */
const triggerAtEnd = /\{[^{}]*"type"\s*:\s*"compaction_trigger"[^{}]*\}\s*\]$/;
const longestTriggerBytes = 256;

/** The input's last item asks for a compaction of what stands before it. Read off its end: inputs are long. */
function endsInTrigger({ endpoint }: Match, body: Buffer, scan: Scan): boolean {
  const isTurn = endpoint.kind === 'create' && endpoint.capability === 'responses';
  const input = isTurn ? scan.members.get('input') : undefined;
  if (input === undefined) return false;
  const start = Math.max(input.valueStart, input.end - longestTriggerBytes);
  return triggerAtEnd.test(body.toString('latin1', start, input.end));
}

function wantsUsage(options: unknown): boolean {
  return (
    typeof options === 'object' &&
    options !== null &&
    'include_usage' in options &&
    options.include_usage === true
  );
}

function readText(name: string, value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  // Half a surrogate pair is no character: no header and no path can hold it.
  if (typeof value === 'string' && value.length <= 256 && value.isWellFormed()) return value;
  throw invalidParameter(name, `"${name}" must be text of at most 256 characters`);
}

/** Every name of the maximum, in any operation: upstreams refuse a foreign one, and a repair then makes it theirs. */
export const outputLimitMembers: readonly string[] = [
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
];

/** The largest counts: which of two an upstream goes by is not for a caller to know better than we do. */
function readOutputLimit(
  operation: OperationFacts,
  get: (name: string) => unknown,
): number | undefined {
  let most: number | undefined;
  for (const name of outputLimitMembers) {
    const isOwn = operation.outputLimits.includes(name);
    const value = isOwn ? readCount(name, get(name)) : get(name);
    if (typeof value === 'number' && value >= 0) most = Math.max(most ?? 0, value);
  }
  return most;
}

function readCount(name: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalidParameter(name, `"${name}" must be a whole number, 0 or more`);
}

function memberOf(holder: unknown, name: string): unknown {
  if (typeof holder !== 'object' || holder === null) return undefined;
  return (holder as { readonly [name: string]: unknown })[name];
}

function tagsIn(holder: unknown): string[] {
  const tags = memberOf(holder, 'tags');
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
}

function textOrNone(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, 256) : undefined;
}

function headerText(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, 256) : undefined;
}

function listHeader(value: string | string[] | undefined): string[] {
  return (headerText(value) ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
