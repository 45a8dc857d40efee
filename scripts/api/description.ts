/**
 * `node scripts/api/description.ts`: prints what callers and administrators may rely on, in OpenAPI 3.1: the management API with all its
 * schemas, and the paths of the data plane, whose bodies are OpenAI's. `changes.ts` compares two of them.
 */
import { openApiDocument, openApiPath } from '../../control-plane/src/http/openapi.ts';
import { routes } from '../../control-plane/src/routes.ts';
import { routeList } from '../../proxy/src/app.ts';
import type { Description } from './changes.ts';

/** Of this checkout. */
export function apiDescription(): Description {
  const management = JSON.parse(JSON.stringify(openApiDocument(routes))) as Description;
  const paths = { ...management.paths };
  for (const { method, path } of routeList()) {
    // The data plane's prefix sets its paths apart from the management API's, which it has beside it on one port.
    const template = `data plane ${openApiPath(path)}`;
    paths[template] = { ...paths[template], [method.toLowerCase()]: {} };
  }
  return { ...management, paths };
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(apiDescription())}\n`);
