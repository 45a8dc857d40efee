import { isAtLeast, isServedVersion, isV1Version } from './api-versions.ts';
import type { Dialect } from './call.ts';
import { resourceNotFound, versionNotSupported } from './errors.ts';
import { OPERATIONS } from './operations/table.ts';
import type { Operation } from './operations/table.ts';

/** Which operation a path means, and on which surface. */
export type Route = {
  operation: Operation;
  dialect: Dialect;
  /** Dated version on the classic surface. */
  apiVersion: string | undefined;
  path: Record<string, string>;
  /** The refusal of the version, kept back until the caller has proved who it is. */
  versionError?: Error;
};

const PROJECT = /^\/api\/projects\/[^/]+(?=\/openai\/v1\/)/;

/**
 * Finds the operation of a path (without resource prefix).
 *
 * @throws {AzureError} 404 for unknown paths and, on the classic surface, for a missing, retired or unknown version
 */
export function findRoute(method: string, fullPath: string, query: URLSearchParams): Route {
  const version = query.get('api-version') ?? undefined;
  const path = fullPath.replace(PROJECT, '');
  const ofProject = path !== fullPath;
  if (path.startsWith('/openai/v1/')) {
    const found = match(method, path.slice('/openai/v1'.length), (operation) => operation.v1);
    if (found === undefined) throw resourceNotFound();
    const accepted = ofProject ? version === undefined : isV1Version(version);
    return {
      ...found,
      dialect: 'v1',
      apiVersion: undefined,
      ...(accepted ? {} : { versionError: versionNotSupported() }),
    };
  }
  const rest = /^\/openai(\/deployments\/([^/]+))?(\/.+)$/.exec(path);
  if (rest === null || !isServedVersion(version)) throw resourceNotFound();
  const [, , deployment, operationPath = ''] = rest;
  const found = match(method, operationPath, ({ classic }) => {
    if (classic === undefined || classic.underDeployment !== (deployment !== undefined))
      return false;
    return isAtLeast(version, classic.since);
  });
  if (found === undefined) throw resourceNotFound();
  const named = deployment === undefined ? {} : { deployment: decoded(deployment) };
  return {
    operation: found.operation,
    path: { ...found.path, ...named },
    dialect: 'classic',
    apiVersion: version,
  };
}

function match(
  method: string,
  path: string,
  offered: (operation: Operation) => boolean,
): { operation: Operation; path: Record<string, string> } | undefined {
  const parts = path.split('/');
  for (const operation of OPERATIONS) {
    if (operation.method !== method || !offered(operation)) continue;
    const found = matchTemplate(operation.path.split('/'), parts);
    if (found !== undefined) return { operation, path: found };
  }
  return undefined;
}

function matchTemplate(
  template: readonly string[],
  parts: readonly string[],
): Record<string, string> | undefined {
  if (template.length !== parts.length) return undefined;
  const found: Record<string, string> = {};
  for (const [index, step] of template.entries()) {
    const part = parts[index] ?? '';
    if (step.startsWith('{')) {
      if (part === '') return undefined;
      found[step.slice(1, -1)] = decoded(part);
    } else if (step !== part) {
      return undefined;
    }
  }
  return found;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw resourceNotFound();
  }
}
