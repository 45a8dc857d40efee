import type { Express } from 'express';
import { controlReadiness, createApp, type ControlReadiness } from './app.ts';
import { checkRoutes, type ControlPlanePorts } from './http/registry.ts';
import type { Route } from './http/route.ts';
import { routes } from './routes.ts';

export type ControlPlane = {
  /** Answers the management API; mounted in another application it passes on every path it does not have. */
  readonly handler: Express;
  readonly routes: readonly Route[];
  readonly readiness: () => Promise<ControlReadiness>;
};

/**
 * The management API over a store.
 *
 * @param ports - everything it needs from outside; nothing is opened here, so there is nothing to close
 * @throws {TypeError} when a route is declared without a policy: it must not come into being
 */
export function createControlPlane(ports: ControlPlanePorts): ControlPlane {
  checkRoutes(routes);
  return {
    handler: createApp(routes, ports),
    routes,
    readiness: () => controlReadiness(ports),
  };
}
