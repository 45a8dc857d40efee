import { readFileSync } from 'node:fs';
import { withWritten } from './written.ts';

/** Routes of LiteLLM of one subject, `METHOD /path`: where each is served here, or why it is not. */
export type LitellmArea = {
  readonly area: string;
  readonly controlPlane: readonly string[];
  readonly proxy: readonly string[];
  readonly absent: readonly { readonly routes: readonly string[]; readonly because: string }[];
};

/** Every route of LiteLLM's. */
export function litellmAreas(): readonly LitellmArea[] {
  const file = new URL('litellm-routes.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { areas: readonly LitellmArea[] }).areas;
}

/** The guide with its table of routes made anew. @throws {Error} for one that has no place for it */
export function withRouteTable(guide: string, areas: readonly LitellmArea[]): string {
  return withWritten(guide, 'scripts/litellm-routes.json', routeTable(areas));
}

function routeTable(areas: readonly LitellmArea[]): string {
  const rows = areas.flatMap(({ area, controlPlane, proxy, absent }) => {
    const served = [
      [controlPlane, 'control plane'],
      [proxy, 'proxy'],
      ...absent.map(({ routes, because }) => [routes, `no: ${because}`] as const),
    ] as const;
    return served
      .filter(([routes]) => routes.length > 0)
      .map(([routes, here], index) => row(index === 0 ? area : '', routes, here));
  });
  return ['| | Route of LiteLLM | Here |', '| --- | --- | --- |', ...rows].join('\n');
}

function row(area: string, routes: readonly string[], here: string): string {
  return `| ${area} | ${routes.map((route) => `\`${route}\``).join(' ')} | ${here} |`;
}
