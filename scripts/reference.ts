/**
 * Writes the reference pages of the configuration and of the management API from their schemas, the tables of LiteLLM's routes and of
 * the tables of its data base, the values of the chart, and what each environment costs:
 *
 *   node scripts/reference.ts
 *
 * Tests compare the pages with the schemas, so they are never behind.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { configurationPage } from '../contract/src/reference-page.ts';
import { adminApiPage } from '../control-plane/src/http/reference-page.ts';
import { routes } from '../control-plane/src/routes.ts';
import { valuesSchemaJson, valuesYaml, withValueTable } from './chart-files.ts';
import { withCosts } from './costs.ts';
import { litellmAreas, withRouteTable } from './litellm-routes.ts';
import { withLitellmTables } from './litellm-tables.ts';

const pages = new URL('../docs/reference/', import.meta.url);
writeFileSync(new URL('configuration.md', pages), configurationPage());
writeFileSync(new URL('admin-api.md', pages), adminApiPage(routes));

const guide = new URL('../docs/guides/from-litellm.md', import.meta.url);
const written = withRouteTable(readFileSync(guide, 'utf8'), litellmAreas());
writeFileSync(guide, withLitellmTables(written));

const costs = new URL('../docs/operations/cost.md', import.meta.url);
writeFileSync(costs, withCosts(readFileSync(costs, 'utf8')));

const chart = new URL('../charts/aigateway/', import.meta.url);
writeFileSync(new URL('values.yaml', chart), valuesYaml());
writeFileSync(new URL('values.schema.json', chart), valuesSchemaJson());
const readme = new URL('README.md', chart);
writeFileSync(readme, withValueTable(readFileSync(readme, 'utf8')));
