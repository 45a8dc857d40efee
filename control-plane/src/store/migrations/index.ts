import { initial } from './0001-initial.ts';
import { corrections } from './0002-corrections.ts';
import type { Migration } from './migration.ts';

/** All steps of the schema, the oldest first. */
export const migrations: readonly Migration[] = [initial, corrections];
