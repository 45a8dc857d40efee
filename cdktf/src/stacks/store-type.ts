import type { Variable } from './app.ts';

/** Name of the database that the store is in. */
export const databaseName = 'aigateway';

/** The store of a control plane, and what its processes are told of it. */
export type Store = {
  readonly variables: { readonly [name: string]: Variable };
  /** What of it is watched. */
  readonly watched?: { readonly id: string; readonly kind: 'cosmos' | 'postgres' };
};
