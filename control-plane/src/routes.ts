import * as z from 'zod';
import { openApiDocument } from './http/openapi.ts';
import { jsonObject } from './http/fields.ts';
import { policies, route, type Route } from './http/route.ts';
import { accessGroupRoutes } from './access-groups/routes.ts';
import { auditRoutes } from './audit/routes.ts';
import { budgetRoutes } from './budgets/routes.ts';
import { cacheRoutes } from './caching/routes.ts';
import { credentialRoutes } from './credentials/routes.ts';
import { customerRoutes } from './customers/routes.ts';
import { healthRoutes } from './health/routes.ts';
import { keyRoutes } from './keys/routes.ts';
import { manageRoutes } from './manage/routes.ts';
import { modelRoutes } from './models/routes.ts';
import { organizationRoutes } from './organizations/routes.ts';
import { settingsRoutes } from './settings/routes.ts';
import { spendRoutes } from './spend/routes.ts';
import { tagRoutes } from './tags/routes.ts';
import { teamRoutes } from './teams/routes.ts';
import { userRoutes } from './users/routes.ts';

const openApiRoute = route({
  method: 'get',
  paths: ['/openapi.json'],
  summary: 'This description of the management API, OpenAPI 3.1',
  policy: policies.public,
  effect: 'read',
  answer: jsonObject,
  handle: () => Promise.resolve({ answer: openApiDocument(routes) }),
});

const routeListRoute = route({
  method: 'get',
  paths: ['/routes'],
  summary: 'Every path of the management API',
  policy: policies.public,
  effect: 'read',
  answer: z.object({
    routes: z.array(z.object({ path: z.string(), methods: z.array(z.string()), name: z.string() })),
  }),
  handle: () =>
    Promise.resolve({
      answer: {
        routes: routes.flatMap(({ paths, method, summary }) =>
          paths.map((path) => ({ path, methods: [method.toUpperCase()], name: summary })),
        ),
      },
    }),
});

/** Every route of the management API. What is not in this list does not exist. */
export const routes: readonly Route[] = [
  ...keyRoutes,
  ...userRoutes,
  ...teamRoutes,
  ...budgetRoutes,
  ...customerRoutes,
  ...organizationRoutes,
  ...manageRoutes,
  ...modelRoutes,
  ...credentialRoutes,
  ...settingsRoutes,
  ...cacheRoutes,
  ...healthRoutes,
  ...accessGroupRoutes,
  ...tagRoutes,
  ...auditRoutes,
  ...spendRoutes,
  openApiRoute,
  routeListRoute,
];
