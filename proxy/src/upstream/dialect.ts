import type { DeploymentRecord, DialectName, Operation } from '@aigateway/contract/records';
import { GatewayError } from '../errors.ts';

/** What is asked of a deployment, in the words of the caller's path. */
export type UpstreamTarget = {
  operation: Operation;
  /** What follows `/responses`, decoded: empty, `/compact`, `/input_tokens`, `/{id}`, `/{id}/cancel` or `/{id}/input_items`. */
  suffix: string;
  /** The caller's query without `?`; may be empty. */
  query: string;
};

/** The last dated GA version: what a classic deployment speaks when its configuration names no version. */
const defaultApiVersion = '2024-10-21';

/** The first dated version with the Responses API. Every resource has it on v1, so older versions need not go without. */
const firstResponsesVersion = '2025-03-01';

const operationPaths: { readonly [operation in Operation]: string } = {
  chat: '/chat/completions',
  completions: '/completions',
  embeddings: '/embeddings',
  responses: '/responses',
};

type OperationRoute = {
  /** Path and query when the deployment's own name is used and nothing is appended; empty when no path can hold that name. */
  whole: string;
  /** Path up to the deployment's name, or the whole path when it holds none. */
  head: string;
  /** Path after the deployment's name; null when the path holds no name. */
  afterName: string | null;
  /** The query that belongs to the path, with its question mark; may be empty. */
  query: string;
};

type Routes = {
  readonly operations: { readonly [operation in Operation]: OperationRoute };
  readonly models: string;
};

const compiled = new WeakMap<DeploymentRecord, Routes>();

/**
 * Path and query of a call to a deployment.
 *
 * Static parts are computed once per deployment record, so a usual call costs a map look-up. Of the caller's query everything
 * passes that is not a credential, an api-version or the name of a deployment: those are the gateway's to choose.
 *
 * @param deploymentName - the upstream's name; differs from the record's when a `*` was filled in
 * @throws GatewayError `model_not_found` for a name that would change the path, `object_not_found` for such an id
 */
export function upstreamPath(
  deployment: DeploymentRecord,
  deploymentName: string,
  target: UpstreamTarget,
): string {
  const route = routesOf(deployment).operations[target.operation];
  const isPlain = target.suffix === '' && target.query === '' && route.whole !== '';
  if (isPlain && (route.afterName === null || deploymentName === deployment.deployment)) {
    return route.whole;
  }

  const path =
    route.afterName === null
      ? route.head + encodeSuffix(target.suffix)
      : route.head + encodeDeployment(deploymentName) + route.afterName;
  return withQuery(path, route.query, forwardedQuery(target.query));
}

/**
 * Whether the body's `model` must be the deployment's name.
 *
 * On classic deployment paths the path decides and the body is left as it is; classic Responses calls name no deployment in
 * their path.
 */
export function setsModelInBody(dialect: DialectName, operation: Operation): boolean {
  return dialect !== 'classic' || operation === 'responses';
}

/** Path and query of the model list: the cheapest authenticated call of a resource, and free of tokens. */
export function modelsPath(deployment: DeploymentRecord): string {
  return routesOf(deployment).models;
}

/**
 * Whether the dialect has the path at all; what a deployment behind it can do is declared or learned.
 *
 * `/compact` and `/input_tokens` exist on v1 only.
 */
export function supports(dialect: DialectName, operation: Operation, suffix: string): boolean {
  if (suffix === '') return true;
  if (operation !== 'responses') return false;
  return dialect !== 'classic' || (suffix !== '/compact' && suffix !== '/input_tokens');
}

function routesOf(deployment: DeploymentRecord): Routes {
  let routes = compiled.get(deployment);
  if (routes === undefined) {
    routes = compile(deployment);
    compiled.set(deployment, routes);
  }
  return routes;
}

function compile(deployment: DeploymentRecord): Routes {
  const { basePath } = deployment.resource;
  switch (deployment.dialect) {
    case 'classic': {
      const version = deployment.apiVersion ?? defaultApiVersion;
      const query = `?api-version=${encodeURIComponent(version)}`;
      const head = `${basePath}/openai/deployments/`;
      const named = (operation: Operation): OperationRoute => ({
        whole: wholePath(head, deployment.deployment, operationPaths[operation] + query),
        head,
        afterName: operationPaths[operation],
        query,
      });
      return {
        operations: {
          chat: named('chat'),
          completions: named('completions'),
          embeddings: named('embeddings'),
          responses:
            version < firstResponsesVersion
              ? unnamed(`${basePath}/openai/v1/responses`, '')
              : unnamed(`${basePath}/openai/responses`, query),
        },
        models: `${basePath}/openai/models${query}`,
      };
    }
    case 'v1':
      // Any dated version is refused on v1; `preview` is the one value that changes something.
      return unnamedRoutes(
        `${basePath}/openai/v1`,
        deployment.apiVersion === 'preview' ? '?api-version=preview' : '',
      );
    case 'openai':
      return unnamedRoutes(basePath, '');
  }
}

function unnamedRoutes(base: string, query: string): Routes {
  return {
    operations: {
      chat: unnamed(base + operationPaths.chat, query),
      completions: unnamed(base + operationPaths.completions, query),
      embeddings: unnamed(base + operationPaths.embeddings, query),
      responses: unnamed(base + operationPaths.responses, query),
    },
    models: `${base}/models${query}`,
  };
}

function unnamed(path: string, query: string): OperationRoute {
  return { whole: path + query, head: path, afterName: null, query };
}

function wholePath(head: string, name: string, tail: string): string {
  return isPathSafe(name) ? head + encodeURIComponent(name) + tail : '';
}

// A wildcard's name comes from the caller. Dot segments and slashes would leave the deployment's path, encoded or not:
// some servers decode before they route.
function isPathSafe(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\\]/.test(name) && name.isWellFormed();
}

function encodeDeployment(name: string): string {
  if (!isPathSafe(name)) throw new GatewayError('model_not_found', { values: { model: name } });
  return encodeURIComponent(name);
}

/** The usual ids (`resp_…`) pass as they are. */
const plainSuffix = /^(?:\/[A-Za-z0-9_-][A-Za-z0-9_.~-]*){0,2}$/;

function encodeSuffix(suffix: string): string {
  if (plainSuffix.test(suffix)) return suffix;
  const segments = suffix.split('/');
  const isSafe = segments[0] === '' && segments.length <= 3 && segments.slice(1).every(isPathSafe);
  if (!isSafe) {
    throw new GatewayError('object_not_found', {
      values: { kind: 'response', id: segments[1] ?? suffix },
    });
  }
  return segments.map(encodeURIComponent).join('/');
}

function withQuery(path: string, own: string, forwarded: string): string {
  if (forwarded === '') return path + own;
  return own === '' ? `${path}?${forwarded}` : `${path}${own}&${forwarded}`;
}

/** Names without case, dashes and underscores. */
const withheldParameters = new Set([
  'apiversion',
  'apikey',
  'key',
  'xapikey',
  'subscriptionkey',
  'ocpapimsubscriptionkey',
  'authorization',
  'accesstoken',
  'token',
  'code',
  'sig',
  'deployment',
  'deploymentid',
  'model',
  // LiteLLM's, of its count of tokens.
  'callendpoint',
]);

function forwardedQuery(query: string): string {
  if (query === '') return '';
  // Azure SDKs send nothing but their api-version.
  if (query.startsWith('api-version=') && !query.includes('&')) return '';
  return query
    .split('&')
    .filter((pair) => pair !== '' && !isWithheld(pair))
    .join('&');
}

function isWithheld(pair: string): boolean {
  const end = pair.indexOf('=');
  const encoded = (end === -1 ? pair : pair.slice(0, end)).replaceAll('+', ' ');
  let name: string;
  try {
    name = decodeURIComponent(encoded);
  } catch {
    // A server that decodes leniently could read any name out of this.
    return true;
  }
  return withheldParameters.has(name.toLowerCase().replace(/[-_\s]/g, ''));
}
