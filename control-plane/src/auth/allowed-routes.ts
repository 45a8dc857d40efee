/** LiteLLM's groups of routes, as far as they lie in the management API. */
const groups: { readonly [name: string]: readonly string[] } = {
  llm_api_routes: [],
  openai_routes: [],
  info_routes: [
    '/key/info',
    '/key/health',
    '/key/list',
    '/key/aliases',
    '/v2/key/info',
    '/team/info',
    '/team/list',
    '/v2/team/list',
    '/team/available',
    '/user/info',
    '/v2/user/info',
    '/organization/list',
    '/health/services',
  ],
  management_routes: [
    '/key/*',
    '/v2/key/*',
    '/user/*',
    '/v2/user/*',
    '/team/*',
    '/v2/team/*',
    '/model/*',
    '/manage/*',
  ],
};

/**
 * Tells whether a key's list of routes admits a path. The list only ever takes away: what a role may not call stays refused.
 *
 * @param path - as declared, so that no spelling of a request can mean another route
 */
export function routesAdmit(allowed: readonly string[], path: string): boolean {
  if (allowed.length === 0) return true;
  return allowed.some((entry) =>
    (groupOf(entry) ?? [entry]).some((pattern) => matches(pattern, path)),
  );
}

/** Tells whether every path that `wanted` admits is admitted by `own`, as far as that can be told from the lists. */
export function routesCover(own: readonly string[], wanted: readonly string[]): boolean {
  if (own.length === 0) return true;
  if (wanted.length === 0) return false;
  return wanted.every((entry) => {
    if (own.includes(entry)) return true;
    const group = groupOf(entry);
    if (group === undefined) return routesAdmit(own, entry);
    return group.length > 0 && group.every((path) => routesAdmit(own, path));
  });
}

/** Entries are anybody's to write, names of an object's own members among them. */
function groupOf(entry: string): readonly string[] | undefined {
  return Object.hasOwn(groups, entry) ? groups[entry] : undefined;
}

function matches(pattern: string, path: string): boolean {
  if (pattern.endsWith('*')) return path.startsWith(pattern.slice(0, -1));
  return path === pattern || path.startsWith(`${pattern}/`);
}
