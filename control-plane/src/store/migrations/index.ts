import { initial } from './0001-initial.ts';
import { corrections } from './0002-corrections.ts';
import { roomInPages } from './0003-room-in-pages.ts';
import type { Migration } from './migration.ts';

/** All steps of the schema, the oldest first. */
export const migrations: readonly Migration[] = [initial, corrections, roomInPages];
