import { migrations } from './index.ts';

/** The schema of this release: the number of its newest step. */
export const schemaNumber = migrations.at(-1)?.id ?? 0;

/**
 * Whether a store can be read whole by this release: with a step missing it cannot be read, and what a later one added would be left out.
 *
 * @param applied - ids of the steps that were made there
 * @throws {Error} when it cannot
 */
export function checkWhole(applied: readonly number[]): void {
  const newest = Math.max(0, ...applied);
  if (newest > schemaNumber) {
    throw new Error(
      `the store has schema ${newest}, this release has ${schemaNumber}: use the release that belongs to the store`,
    );
  }
  if (applied.length < migrations.length) {
    throw new Error(
      `the store has schema ${newest}, this release has ${schemaNumber}: bring it up to date first (--migrate apply; a file: by a start)`,
    );
  }
}
