import { nearestName } from './names.ts';

/** Not `/models/*`: Foundry's paths to models begin so, too. */
const infoRoutes = [
  '/health*',
  '/model/info',
  '/model_group/info',
  '/models',
  '/openai/models',
  '/openai/v1/models',
  '/openai/v1/models/*',
  '/v1/model/info',
  '/v1/models',
  '/v1/models/*',
];

/** None of these is served in this release, so that a key for them alone may call nothing: an empty list would be every path. */
const managementRoutes = ['/key/*', '/user/*', '/team/*', '/spend/*', '/global/*'];

/** All routes of models that are served here are OpenAI's. */
const modelGroups: readonly string[] = ['llm_api_routes', 'openai_routes'];
const routeGroups: readonly string[] = [...modelGroups, 'info_routes', 'management_routes'];

/** LiteLLM's groups of routes are spelled out; paths stay. */
export function spelledRoutes(routes: readonly string[]): string[] {
  if (routes.some((route) => modelGroups.includes(route))) return [];
  return routes.flatMap((route) => {
    if (route === 'info_routes') return infoRoutes;
    return route === 'management_routes' ? managementRoutes : [route];
  });
}

/** What is wrong with an entry of `allowed_routes`, which would match nothing; undefined for a path, a pattern and a group. */
export function routeProblem(
  route: string,
): { readonly message: string; readonly hint: string | undefined } | undefined {
  if (route.startsWith('/') || route === '*' || routeGroups.includes(route)) return undefined;
  const near = nearestName(route, routeGroups);
  return {
    message: `is neither a path nor one of ${routeGroups.join(', ')}`,
    hint: near === undefined ? undefined : `Did you mean ${near}?`,
  };
}
