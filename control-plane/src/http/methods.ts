import type { Route } from './route.ts';

/** The methods that a path is served with, in upper case; none for a path that is not there. */
export type MethodsAt = (path: string) => readonly string[];

/** Tells what else may be done where something may not be: what a 405 says in `Allow` (RFC 9110, 15.5.6). */
export function methodsAt(routes: readonly Pick<Route, 'method' | 'paths'>[]): MethodsAt {
  const patterns = new Map<string, { matches: RegExp; methods: Set<string> }>();
  for (const { method, paths } of routes) {
    for (const path of paths) {
      let pattern = patterns.get(path);
      if (pattern === undefined) {
        const text = path.replaceAll('.', String.raw`\.`).replaceAll(/:\w+/g, '[^/]+');
        pattern = { matches: new RegExp(`^${text}/?$`, 'i'), methods: new Set() };
        patterns.set(path, pattern);
      }
      pattern.methods.add(method.toUpperCase());
      // Express answers it where it answers GET.
      if (method === 'get') pattern.methods.add('HEAD');
    }
  }
  return (path) => [
    ...new Set(
      [...patterns.values()].flatMap(({ matches, methods }) =>
        matches.test(path) ? [...methods] : [],
      ),
    ),
  ];
}

/** Whether a path is served, but not with this method. */
export function isWrongMethod(method: string, allowed: readonly string[]): boolean {
  return allowed.length > 0 && !allowed.includes(method);
}
