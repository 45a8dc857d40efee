import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Management, startManagement } from '../../control-plane/test/management.ts';
import {
  type GatewayUnderTest,
  startGatewayUnderTest,
} from '../../proxy/test/gateway-under-test.ts';
import { litellmAreas, withRouteTable } from '../../scripts/litellm-routes.ts';

const areas = litellmAreas();
const absent = areas.flatMap((area) => area.absent.flatMap(({ routes }) => routes));

/** The status of a route for a caller without a key: only what a router has is refused for that. */
type Ask = (route: string) => Promise<number>;

describe('the routes of LiteLLM', () => {
  let controlPlane: Management;
  let proxy: GatewayUnderTest;
  beforeAll(async () => {
    controlPlane = await startManagement();
    proxy = await startGatewayUnderTest({ deployments: [] });
  });
  afterAll(async () => {
    await controlPlane[Symbol.asyncDispose]();
    await proxy.close();
  });

  const request = (route: string): [method: string, path: string] => {
    const [method = '', path = ''] = route.split(' ');
    return [method, path.replaceAll(/\{\w+\}/g, 'x')];
  };
  const askControlPlane: Ask = async (route) => {
    const [method, path] = request(route);
    return (await controlPlane.call(method, path, { key: null })).status;
  };
  const askProxy: Ask = async (route) => {
    const [method, path] = request(route);
    return (await fetch(proxy.url + path, { method })).status;
  };
  const missing = async (routes: readonly string[], ask: Ask) => {
    const found = await Promise.all(
      routes.map(async (route) => [route, await ask(route)] as const),
    );
    return found.filter(([, status]) => status === 404 || status === 405).map(([route]) => route);
  };

  it('are each served or named with a reason, and never both', () => {
    const served = areas.flatMap(({ controlPlane: own, proxy: other }) => [...own, ...other]);
    const all = [...served, ...absent];
    expect(all.filter((route, index) => all.indexOf(route) !== index)).toEqual([]);
    expect(all.filter((route) => !/^(GET|POST|PUT|PATCH|DELETE) \/\S*$/.test(route))).toEqual([]);
    for (const { because } of areas.flatMap((area) => area.absent)) {
      expect(because.length).toBeGreaterThan(20);
    }
    expect(served.length).toBeGreaterThan(200);
  });

  it('are registered with the router of the plane that is named', async () => {
    const ofControlPlane = areas.flatMap((area) => area.controlPlane);
    const ofProxy = areas.flatMap((area) => area.proxy);
    expect(await missing(ofControlPlane, askControlPlane)).toEqual([]);
    expect(await missing(ofProxy, askProxy)).toEqual([]);
  });

  it('have no reason against them where a plane has them', async () => {
    expect(await missing(absent, askControlPlane)).toEqual(absent);
    expect(await missing(absent, askProxy)).toEqual(absent);
  });

  it('stand in the guide as they are; if not, run: node scripts/reference.ts', () => {
    const file = new URL('../../docs/guides/from-litellm.md', import.meta.url);
    const guide = readFileSync(file, 'utf8');
    expect(withRouteTable(guide, areas)).toBe(guide);
  });
});
