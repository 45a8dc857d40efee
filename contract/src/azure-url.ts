import type { DialectName } from './records.ts';

/** What kind of host an address names. `apim` stands for any Azure front (API Management, Front Door). */
export type AzureHostKind = 'openai' | 'cognitiveservices' | 'foundry' | 'apim' | 'other';

/** An upstream address as understood. `basePath` is what stands before `/openai/…`, as `ResourceRecord` has it. */
export type AzureUrl = {
  ok: true;
  origin: string;
  basePath: string;
  dialect: DialectName;
  kind: AzureHostKind;
  /** What decided the dialect: the path, the api-version in the query, or nothing. */
  decidedBy: 'path' | 'version' | 'default';
  deployment?: string;
  /** Dated for `classic`; `preview` on `v1` when asked for. */
  apiVersion?: string;
  /** Path of the operation the address ended in, such as `chat/completions`: tells what the deployment is for. */
  operation?: string;
  /** Foundry project, when the address is a project's. */
  project?: string;
  /** What was repaired or dropped, in sentences for the person who pasted it. */
  notes: string[];
};

/** Why an address cannot be used. Never repeats the text itself: it may be a key. */
export type AzureUrlRefusal = { ok: false; problem: string; hint: string };

export type AzureUrlOptions = {
  /** Takes plain http for hosts other than this machine too. */
  allowInsecure?: boolean;
};

/** Paths that Azure and OpenAI have after the base address, longest first where one starts like another. */
const operationPaths = [
  'extensions/chat/completions',
  'chat/completions',
  'completions',
  'embeddings',
  'responses',
  'audio/transcriptions',
  'audio/translations',
  'audio/speech',
  'images/generations',
  'images/edits',
  'realtime',
  'models',
  'files',
  'batches',
];

const rootHint =
  'Give the address of the resource as the Azure portal shows it under "Keys and Endpoint", for example https://my-resource.openai.azure.com';

/** Pages that people copy from, by the end of their host name. */
const notEndpoints: readonly { readonly host: RegExp; readonly what: string }[] = [
  { host: /^portal\.azure\.(com|us|cn)$/, what: 'a page of the Azure portal' },
  { host: /^(ai|oai|ml)\.azure\.(com|us|cn)$/, what: 'a page of the Foundry portal' },
  { host: /^learn\.microsoft\.com$/, what: 'a page of the documentation' },
  {
    host: /^management\.(azure|usgovcloudapi|chinacloudapi)\.(com|net|cn)$/,
    what: 'the management API of Azure',
  },
  { host: /\.(realtimeapi-preview|sip)\.ai\.azure\.com$/, what: 'a WebRTC or SIP endpoint' },
  { host: /^login\.microsoftonline\.(com|us)$/, what: 'the sign-in endpoint of Entra' },
  { host: /\.vault\.azure\.(net|cn)$/, what: 'a Key Vault' },
];

const hostKinds: readonly { readonly host: RegExp; readonly kind: AzureHostKind }[] = [
  { host: /\.openai\.azure\.(com|us|cn)$/, kind: 'openai' },
  { host: /\.cognitiveservices\.azure\.(com|us|cn)$/, kind: 'cognitiveservices' },
  { host: /\.api\.cognitive\.(microsoft|azure)\.(com|us|cn)$/, kind: 'cognitiveservices' },
  { host: /\.services\.ai\.azure\.(com|us|cn)$/, kind: 'foundry' },
  { host: /\.(models|inference)\.ai\.azure\.com$/, kind: 'foundry' },
  { host: /\.(azure-api\.(net|us|cn)|azurefd\.(net|us)|azureedge\.net)$/, kind: 'apim' },
];

/** Foundry's serverless endpoints: one model each, plain OpenAI paths under `/v1`. */
const serverless = /\.(models|inference)\.ai\.azure\.com$/;
const regional = /\.api\.cognitive\.(microsoft|azure)\.(com|us|cn)$/;

/** Azure's rule for deployment names. */
const deploymentName = /^[A-Za-z0-9_.-]{1,64}$/;

/** Tells whether a host name or address is this machine. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  );
}

/**
 * Understands an Azure OpenAI address in whatever form it was pasted: the bare resource, with `/openai` or `/openai/v1`,
 * of one deployment, or the full URL of a call with its api-version; on any of Azure's host families, on a Foundry
 * project, behind API Management or Front Door, or any other OpenAI-compatible server.
 *
 * The form decides the dialect: a dated api-version or a `/deployments/` path means `classic`, everything else on Azure
 * means `v1`; `/v1` on a host that is not Azure's means `openai`.
 */
export function parseAzureUrl(
  text: string,
  options: AzureUrlOptions = {},
): AzureUrl | AzureUrlRefusal {
  const notes: string[] = [];
  const cleaned = clean(text, notes);
  if (typeof cleaned !== 'string') return cleaned;

  const url = toUrl(cleaned, notes);
  if (!(url instanceof URL)) return url;
  const refusal = refuseHost(url, options);
  if (refusal) return refusal;

  const version = readVersion(url);
  if (typeof version === 'object' && 'ok' in version) return version;

  const kind = hostKinds.find(({ host }) => host.test(url.hostname))?.kind ?? 'other';
  if (regional.test(url.hostname)) {
    notes.push('A regional host takes API keys only: Entra tokens need the custom subdomain.');
  }
  if (url.hostname.includes('.privatelink.')) {
    notes.push(
      'The privatelink name is for DNS only: its certificate names the host without "privatelink".',
    );
  }

  const segments = readSegments(url);
  if (!segments) {
    return refuse('The path of the address is not properly encoded.', 'Copy the address again.');
  }
  const place = { origin: url.origin, kind, notes };
  const onAzure = kind !== 'other' && kind !== 'apim' && !serverless.test(url.hostname);
  return onAzure
    ? readAzurePath(segments, url, version, place)
    : readOtherPath(segments, url, version, place);
}

/** Tells whether an address is Azure's, or a front of Azure's in front of it. */
export function isAzureHost(url: AzureUrl): boolean {
  return url.kind !== 'other';
}

/** One line that says what an address was understood as. Holds nothing secret. */
export function describeAzureUrl(url: AzureUrl): string {
  const kinds: { [kind in AzureHostKind]: string } = {
    openai: 'Azure OpenAI resource',
    cognitiveservices: 'Azure AI services resource',
    foundry: 'Foundry resource',
    apim: 'Azure API Management or Front Door',
    other: 'OpenAI-compatible server',
  };
  const isAzureBehind = url.kind === 'other' && url.dialect !== 'openai';
  const parts = [
    `${isAzureBehind ? "server with Azure's paths" : kinds[url.kind]} at ${url.origin}${url.basePath}`,
    url.dialect === 'classic'
      ? `deployments path, api-version ${url.apiVersion ?? 'not given'}`
      : url.dialect === 'v1'
        ? `/openai/v1 path${url.apiVersion ? `, api-version ${url.apiVersion}` : ''}`
        : 'paths as OpenAI has them',
  ];
  if (url.project) parts.push(`project ${url.project}`);
  if (url.deployment) parts.push(`deployment ${url.deployment}`);
  if (url.operation) parts.push(`given for ${url.operation}`);
  return parts.join('; ');
}

type Place = { origin: string; kind: AzureHostKind; notes: string[] };
type Version = { dated: string } | 'preview' | 'v1' | undefined;

function refuse(problem: string, hint: string): AzureUrlRefusal {
  return { ok: false, problem, hint };
}

/** Takes off what comes along when an address is copied: quotes, brackets, a variable's name, trailing punctuation. */
function clean(text: string, notes: string[]): string | AzureUrlRefusal {
  let cleaned = text
    .trim()
    .replace(/^(?:export\s+)?[A-Z][A-Z0-9_]*\s*=\s*(?=["'<]?[a-z]+:\/\/)/, '');
  for (let previous = ''; previous !== cleaned;) {
    previous = cleaned;
    cleaned = cleaned.replace(/^["'`<\s]+|["'`>\s,;]+$/g, '');
  }
  if (cleaned === '') return refuse('The address is empty.', rootHint);
  if (/\s/.test(cleaned))
    return refuse('The address has a space or a line break in it.', 'Copy it again in one piece.');
  if (
    /[<>{}[\]]|your[-_]?(resource|endpoint|deployment)/i.test(
      cleaned.replace(/^\w+:\/\/\[[0-9a-f:.]+\]/i, ''),
    )
  ) {
    return refuse('The address still has a placeholder in it.', rootHint);
  }
  if (cleaned.includes(';')) {
    return refuse('This is a connection string of a project, not an address.', rootHint);
  }
  if (!/[./:]/.test(cleaned)) {
    return cleaned.length >= 20
      ? refuse(
          'This looks like an API key, not like an address.',
          `Put the key into the key's own setting. ${rootHint}`,
        )
      : refuse('This is not an address.', rootHint);
  }
  if (/^sk-|^ey[A-Za-z0-9_-]+\.ey/.test(cleaned)) {
    return refuse('This looks like a key or a token, not like an address.', rootHint);
  }
  const unescaped = cleaned.replace(/%3F(?=api-version)/i, '?');
  if (!unescaped.includes('?') && /&api-version=/i.test(unescaped)) {
    notes.push('The query began with "&" instead of "?".');
    return unescaped.replace('&', '?');
  }
  return unescaped;
}

function toUrl(cleaned: string, notes: string[]): URL | AzureUrlRefusal {
  let text = cleaned;
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    const host = /^[^/:?]+/.exec(text)?.[0] ?? '';
    const scheme = isLoopback(host) ? 'http' : 'https';
    notes.push(`The address had no scheme: ${scheme} is meant.`);
    text = `${scheme}://${text.replace(/^\/+/, '')}`;
  }
  if (/^wss?:/i.test(text)) {
    notes.push('A WebSocket address: the same resource over https is meant.');
    text = text.replace(/^ws/i, 'http');
  }
  if (!URL.canParse(text)) return refuse('This is not an address.', rootHint);
  const url = new URL(text);
  url.hostname = url.hostname.replace(/\.$/, '');
  return url;
}

function refuseHost(url: URL, options: AzureUrlOptions): AzureUrlRefusal | undefined {
  if (url.username !== '' || url.password !== '') {
    return refuse(
      'The address carries a user name or password.',
      'Remove what stands before the "@".',
    );
  }
  if ([...url.searchParams.keys()].some((name) => /key|token|secret|^code$|^sig$/i.test(name))) {
    return refuse(
      'The address carries a key in its query.',
      'Remove the query and put the key into its own setting.',
    );
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return refuse('The address is not an https address.', rootHint);
  }
  const page = notEndpoints.find(({ host }) => host.test(url.hostname));
  if (page)
    return refuse(`${url.hostname} is ${page.what}, not the endpoint of a resource.`, rootHint);
  if (/^(openai|cognitiveservices|services\.ai)\.azure\.(com|us|cn)$/.test(url.hostname)) {
    return refuse(`${url.hostname} names no resource.`, rootHint);
  }
  if (url.hostname.startsWith('169.254.')) {
    return refuse('The address is the metadata service of the machine, not an upstream.', rootHint);
  }
  if (
    !isLoopback(url.hostname) &&
    !url.hostname.includes('.') &&
    /^[a-z0-9]{20,}$/i.test(url.hostname)
  ) {
    return refuse('This looks like an API key, not like an address.', rootHint);
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && options.allowInsecure !== true) {
    return refuse(
      `${url.hostname} would be called over plain http: keys and prompts could be read on the way.`,
      'Use https, or set aigateway_settings.allow_insecure_upstream: true for a test.',
    );
  }
  return undefined;
}

function readVersion(url: URL): Version | AzureUrlRefusal {
  const value = [...url.searchParams].find(([name]) => /^api[-_]version$/i.test(name))?.[1];
  if (value === undefined) return undefined;
  // People paste "api-version=…" as the value of api-version, and trailing slashes.
  const parts = value.split(/[=?&]/).map((part) => part.replace(/\/+$/, '').trim());
  const text = parts.findLast((part) => part !== '' && !/^api[-_]version$/i.test(part));
  return text === undefined ? undefined : readApiVersion(text);
}

/**
 * Reads an api-version: dated (`2024-10-21`, `2025-04-01-preview`) means the classic dialect; `v1`, `latest` and
 * `preview` mean the v1 dialect.
 */
export function readApiVersion(text: string): Exclude<Version, undefined> | AzureUrlRefusal {
  const lower = text.trim().toLowerCase();
  if (/^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(-preview)?$/.test(lower))
    return { dated: lower };
  if (lower === 'preview') return 'preview';
  if (lower === 'v1' || lower === 'latest') return 'v1';
  return refuse(
    'The api-version is none that Azure has.',
    'Use a dated one (2024-10-21, 2025-04-01-preview), or v1 or preview for the /openai/v1 path.',
  );
}

function readSegments(url: URL): string[] | undefined {
  try {
    return url.pathname
      .split('/')
      .filter((segment) => segment !== '')
      .map((segment) => decodeURIComponent(segment));
  } catch {
    return undefined;
  }
}

function readAzurePath(
  segments: readonly string[],
  url: URL,
  version: Version,
  place: Place,
): AzureUrl | AzureUrlRefusal {
  let rest = [...segments];
  let basePath = '';
  let project: string | undefined;
  if (is(rest[0], 'api') && is(rest[1], 'projects')) {
    project = rest[2];
    if (!project)
      return refuse('The project address ends before the name of the project.', rootHint);
    basePath = `/api/projects/${encodeURIComponent(project)}`;
    rest = rest.slice(3);
  }
  if (is(rest[0], 'anthropic')) {
    return refuse(
      'This is the Anthropic endpoint of a Foundry resource; the gateway speaks its OpenAI endpoints.',
      `Use ${place.origin}`,
    );
  }
  if (place.kind === 'foundry' && is(rest[0], 'models')) {
    place.notes.push(
      'The /models path is superseded by /openai/v1 of the same resource, which is used instead.',
    );
    return finish(rest.slice(1), url, { ...place, basePath, v1: true, version: undefined });
  }
  const seen = { openai: 0, v1: 0 };
  for (;;) {
    if (is(rest[0], 'openai')) seen.openai += 1;
    else if (is(rest[0], 'v1')) seen.v1 += 1;
    else break;
    rest = rest.slice(1);
  }
  if (seen.openai > 1 || seen.v1 > 1) place.notes.push('A part of the path stood there twice.');
  if (seen.openai === 0 && (seen.v1 > 0 || rest.length > 0)) {
    place.notes.push('The path lacked /openai, where Azure serves this.');
  }
  return finish(rest, url, {
    ...place,
    basePath,
    v1: seen.v1 > 0 || project !== undefined,
    version,
    ...(project === undefined ? {} : { project }),
  });
}

/** Hosts that are not Azure's own: what stands before `/openai` is theirs, and `/v1` alone means OpenAI's paths. */
function readOtherPath(
  segments: readonly string[],
  url: URL,
  version: Version,
  place: Place,
): AzureUrl | AzureUrlRefusal {
  const at = segments.findLastIndex(
    (segment, index) => is(segment, 'openai') && startsAzurePath(segments.slice(index + 1)),
  );
  if (at >= 0) {
    const rest = segments.slice(at + 1);
    const v1 = is(rest[0], 'v1');
    return finish(v1 ? rest.slice(1) : rest, url, {
      ...place,
      basePath: toPath(segments.slice(0, at)),
      v1,
      version,
    });
  }
  if (segments.some((segment) => is(segment, 'deployments'))) {
    return refuse(
      'The path has /deployments/ without /openai before it.',
      'Behind a gateway the API must keep /openai/deployments/…, as the Azure specification has it.',
    );
  }
  const { base, operation } = splitOperation(segments);
  const last = base.at(-1);
  const isOpenAi = place.kind === 'other' && url.hostname === 'api.openai.com';
  if (is(last, 'v1') || operation !== undefined || isOpenAi || serverless.test(url.hostname)) {
    const plain = base.length === 0 && (isOpenAi || serverless.test(url.hostname)) ? ['v1'] : base;
    if (version !== undefined)
      place.notes.push('The api-version is left out: it belongs to Azure paths.');
    return {
      ok: true,
      ...place,
      basePath: toPath(plain),
      dialect: 'openai',
      decidedBy: 'path',
      ...(operation === undefined ? {} : { operation }),
    };
  }
  return finish([], url, { ...place, basePath: toPath(segments), v1: false, version });
}

type Found = Place & { basePath: string; v1: boolean; version: Version; project?: string };

/** Reads what follows `/openai` or `/openai/v1`, and lets form and api-version decide the dialect. */
function finish(rest: readonly string[], url: URL, found: Found): AzureUrl | AzureUrlRefusal {
  let tail = rest;
  let deployment = url.searchParams.get('deployment') ?? url.searchParams.get('model') ?? undefined;
  const byPath = is(tail[0], 'deployments');
  if (byPath) {
    deployment = tail[1];
    if (deployment === undefined) {
      return refuse(
        'The address ends before the name of the deployment.',
        'Name the deployment, or leave /deployments out.',
      );
    }
    tail = tail.slice(2);
  }
  if (deployment !== undefined && !deploymentName.test(deployment)) {
    return refuse(
      'The address names a deployment that Azure cannot have.',
      'Deployment names have up to 64 letters, digits, "-", "_" and ".".',
    );
  }
  const operation = operationPaths.find((path) => startsWithPath(tail, path));
  if (tail.length > 0 && operation === undefined) {
    found.notes.push('The end of the path is no operation known here and was left out.');
  }
  const { basePath, notes, origin, kind, project, version } = found;
  const common = {
    ok: true as const,
    origin,
    basePath,
    kind,
    notes,
    ...(deployment === undefined ? {} : { deployment }),
    ...(operation === undefined ? {} : { operation }),
    ...(project === undefined ? {} : { project }),
  };
  const dated = typeof version === 'object' ? version.dated : undefined;
  if (found.v1 || version === 'v1' || version === 'preview') {
    if (dated !== undefined)
      notes.push('The dated api-version is left out: /openai/v1 refuses it.');
    return {
      ...common,
      dialect: 'v1',
      decidedBy: found.v1 ? 'path' : 'version',
      ...(version === 'preview' ? { apiVersion: 'preview' } : {}),
    };
  }
  if (dated !== undefined) {
    return {
      ...common,
      dialect: 'classic',
      decidedBy: byPath ? 'path' : 'version',
      apiVersion: dated,
    };
  }
  return byPath
    ? { ...common, dialect: 'classic', decidedBy: 'path' }
    : { ...common, dialect: 'v1', decidedBy: 'default' };
}

function startsAzurePath(rest: readonly string[]): boolean {
  return (
    rest.length === 0 ||
    is(rest[0], 'v1') ||
    is(rest[0], 'deployments') ||
    operationPaths.some((path) => startsWithPath(rest, path))
  );
}

function splitOperation(segments: readonly string[]): {
  base: readonly string[];
  operation?: string;
} {
  for (let index = 0; index < segments.length; index += 1) {
    const operation = operationPaths.find(
      (path) => path === segments.slice(index).join('/').toLowerCase(),
    );
    if (operation !== undefined) return { base: segments.slice(0, index), operation };
  }
  return { base: segments };
}

function startsWithPath(segments: readonly string[], path: string): boolean {
  return path.split('/').every((part, index) => is(segments[index], part));
}

function is(segment: string | undefined, name: string): boolean {
  return segment?.toLowerCase() === name;
}

function toPath(segments: readonly string[]): string {
  return segments.map((segment) => `/${encodeURIComponent(segment)}`).join('');
}
