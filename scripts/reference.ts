/**
 * Writes the reference page of the configuration from its schema:
 *
 *   node scripts/reference.ts
 *
 * A test compares the page with the schema, so it is never behind.
 */
import { writeFileSync } from 'node:fs';
import { configurationPage } from '../contract/src/reference-page.ts';

writeFileSync(new URL('../docs/reference/configuration.md', import.meta.url), configurationPage());
