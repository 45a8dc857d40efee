import type { DeploymentRecord, SettingsRecord } from '@aigateway/contract/records';
import type { IncomingHttpHeaders } from 'node:http';

/** One header, ready to send. */
export type Header = { readonly name: string; readonly value: string };

/** Headers of an upstream answer as undici parses them: lower-case names, a list where a name came more than once. */
export type UpstreamAnswerHeaders = { readonly [name: string]: string | string[] | undefined };

export type UpstreamHeaderInput = {
  /** The caller's headers, names in lower case. */
  caller: IncomingHttpHeaders;
  deployment: DeploymentRecord;
  /** The one credential of this attempt; null for upstreams that want none. */
  credential: Header | null;
  requestId: string;
  /** False for GET, DELETE and POST without a body. */
  hasBody: boolean;
  /** Replaces the caller's when the gateway has a span of its own. */
  traceparent?: string;
};

/** Azure passes at most ten custom headers on and answers more with 431. */
const maxCustomHeaders = 10;

/** No header of ours is long; what a caller sends beyond this only risks a 431. */
const maxForwardedValueLength = 4096;

/** What holds for one connection and is not for whoever is behind it: RFC 9110 §7.6.1 and what old proxies add. Framing is not among them. */
export const connectionHeaders: readonly string[] = [
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
];

const hopByHop = new Set([...connectionHeaders, 'connection', 'transfer-encoding']);

const framing = new Set([...hopByHop, 'host', 'content-length', 'expect']);

/** Set here or by the transport, or never any business of an upstream, even when configuration asks for it. */
const neverForwarded = new Set([
  ...framing,
  'content-type',
  'content-encoding',
  'accept',
  // Answers are scanned for usage as they pass: they must come uncompressed.
  'accept-encoding',
  'traceparent',
  'tracestate',
  'authorization',
  'api-key',
  'x-api-key',
  'x-gateway-key',
  'ocp-apim-subscription-key',
  'cookie',
  'set-cookie',
  'forwarded',
  'x-request-id',
  'x-ms-client-request-id',
  // Where a request is served is the router's decision.
  'x-ms-spillover-deployment',
  'x-session-id',
  'session-id',
  'session_id',
  'x-session-affinity',
]);

const neverForwardedPrefixes = [
  'x-stainless-',
  'x-litellm-',
  'x-aigateway-',
  'x-forwarded-',
  'sec-',
];

const forwardable = new WeakMap<object, readonly string[]>();
const configured = new WeakMap<DeploymentRecord, readonly Header[]>();

/**
 * Headers of one attempt, as the flat name-value list that undici sends without further work.
 *
 * An allow-list: content-type, accept, the trace, our request id as `x-ms-client-request-id`, the deployment's own headers, and
 * what `forwardHeaders` names. Credentials, cookies, session, `x-stainless-*` and hop-by-hop headers of a caller never pass, and
 * exactly one credential is set. `openai-beta` is not in the list: no operation offered needs it and v1 refuses some of its
 * values; `forwardHeaders` lets it through. Beyond ten custom headers the least needed are left out (the caller's, from the end).
 */
export function upstreamHeaders(settings: SettingsRecord, input: UpstreamHeaderInput): string[] {
  const { caller, deployment, credential } = input;
  const headers: string[] = [];
  if (input.hasBody) headers.push('content-type', 'application/json');
  if (typeof caller.accept === 'string') headers.push('accept', caller.accept);
  if (credential !== null) headers.push(credential.name, credential.value);

  headers.push('x-ms-client-request-id', input.requestId);
  let custom = 1;

  const own = configuredHeaders(deployment);
  for (const { name, value } of own) {
    if (custom >= maxCustomHeaders) break;
    if (name === credential?.name) continue;
    headers.push(name, value);
    custom += 1;
  }

  const traceparent = input.traceparent ?? caller.traceparent;
  if (typeof traceparent === 'string' && custom < maxCustomHeaders) {
    headers.push('traceparent', traceparent);
    custom += 1;
    const { tracestate } = caller;
    if (typeof tracestate === 'string' && custom < maxCustomHeaders) {
      headers.push('tracestate', tracestate);
      custom += 1;
    }
  }

  for (const name of forwardableHeaders(settings)) {
    if (custom >= maxCustomHeaders) break;
    const value = caller[name];
    if (typeof value !== 'string' || value.length > maxForwardedValueLength) continue;
    if (own.some((header) => header.name === name)) continue;
    headers.push(name, value);
    custom += 1;
  }
  return headers;
}

function forwardableHeaders(settings: SettingsRecord): readonly string[] {
  let names = forwardable.get(settings);
  if (names === undefined) {
    const keyHeader = settings.keyHeader?.toLowerCase();
    names = [...new Set(settings.forwardHeaders.map((name) => name.toLowerCase()))].filter(
      (name) =>
        name !== keyHeader &&
        !neverForwarded.has(name) &&
        !neverForwardedPrefixes.some((prefix) => name.startsWith(prefix)),
    );
    forwardable.set(settings, names);
  }
  return names;
}

/** The deployment's headers; the operator may set anything but what frames the message. */
function configuredHeaders(deployment: DeploymentRecord): readonly Header[] {
  let headers = configured.get(deployment);
  if (headers === undefined) {
    const { spilloverDeployment } = deployment;
    headers = Object.entries({
      ...(spilloverDeployment !== undefined && {
        'x-ms-spillover-deployment': spilloverDeployment,
      }),
      ...deployment.headers,
    })
      .map(([name, value]) => ({ name: name.toLowerCase(), value }))
      .filter(({ name, value }) => !framing.has(name) && isPlainValue(value));
    configured.set(deployment, headers);
  }
  return headers;
}

export type CallerHeaderOptions = {
  /** Also region, deployment, session and spillover headers, and LiteLLM's `llm_provider-` copies of everything. */
  expose: boolean;
  /** `upstream` when the answer's body is passed on, `own` when the gateway writes it (errors, bridged answers). */
  body: 'upstream' | 'own';
  /** `own` when the gateway states limits of its own, in which case the upstream's `x-ratelimit-*` would contradict them. */
  rateLimits: 'upstream' | 'own';
};

type Passing = {
  /** The name it goes by towards callers. */
  as: string;
  /**
   * - `always`
   * - `with-body`: tells about the body that was sent, or states a wait; wrong beside a body of the gateway's own
   * - `exposed`: tells where a request was served; only for callers who may know
   */
  when: 'always' | 'with-body' | 'exposed';
};

const passed = new Map<string, Passing>([
  ['apim-request-id', { as: 'apim-request-id', when: 'always' }],
  // `x-request-id` towards callers is the gateway's own: it finds the access line. Azure's stays readable beside it.
  ['x-request-id', { as: 'x-upstream-request-id', when: 'always' }],
  ['openai-processing-ms', { as: 'openai-processing-ms', when: 'always' }],
  ['openai-version', { as: 'openai-version', when: 'always' }],
  [
    'azure-openai-deployment-utilization',
    { as: 'azure-openai-deployment-utilization', when: 'always' },
  ],
  ...['content-type', 'retry-after', 'retry-after-ms'].map(
    (name) => [name, { as: name, when: 'with-body' }] as [string, Passing],
  ),
  ...[
    'azureml-model-session',
    'openai-model',
    'x-ms-deployment-name',
    'x-ms-is-spilled-over',
    'x-ms-rai-invoked',
    'x-ms-region',
    'x-ms-served-model',
    'x-ms-spillover-error',
    'x-ms-spillover-from-deployment',
  ].map((name) => [name, { as: name, when: 'exposed' }] as [string, Passing]),
]);

/**
 * What of an upstream's headers the caller sees, as a flat name-value list for `writeHead`.
 *
 * Takes the object that undici has parsed anyway: reading its raw buffers would decode every header a second time. An allow-list;
 * hop-by-hop headers, cookies and content-length (Node frames the answer) never pass, nor does a value that could end a header
 * line. `x-request-id` is the gateway's to set and not in the list.
 *
 * @param headers - the list that they are added to
 */
export function callerHeaders(
  upstream: UpstreamAnswerHeaders,
  options: CallerHeaderOptions,
  headers: string[] = [],
): string[] {
  for (const name in upstream) {
    const value = upstream[name];
    // None of the headers passed on is a list; a repeated one is a confused upstream's.
    if (typeof value !== 'string') continue;
    const as = nameForCaller(name, options);
    if (as !== undefined && isPlainValue(value)) headers.push(as, value);
    if (options.expose && isCopied(name) && isPlainValue(value)) {
      headers.push(`llm_provider-${name}`, value);
    }
  }
  return headers;
}

function nameForCaller(name: string, options: CallerHeaderOptions): string | undefined {
  const passing = passed.get(name);
  if (passing === undefined) {
    const isLimit = options.rateLimits === 'upstream' && name.startsWith('x-ratelimit-');
    return isLimit && headerName.test(name) ? name : undefined;
  }
  if (passing.when === 'with-body' && options.body === 'own') return undefined;
  return passing.when === 'exposed' && !options.expose ? undefined : passing.as;
}

const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;

function isCopied(name: string): boolean {
  return (
    !hopByHop.has(name) &&
    name !== 'set-cookie' &&
    name !== 'content-length' &&
    headerName.test(name)
  );
}

/** Horizontal tab, visible ASCII and Latin-1: what RFC 9110 §5.5 allows. No control character can end the line. */
function isPlainValue(value: string): boolean {
  // oxlint-disable-next-line no-control-regex -- the control characters are the point
  return !/[^\t\x20-\x7e\x80-\xff]/.test(value);
}
