import type { RawBuilder } from 'kysely';
import type { Dialect } from '../sql/dialect.ts';

/**
 * One step of the schema. Never changed once released: what is wrong with one is put right by the next. A step only adds what the
 * release before can live with, and what nobody needs any more is removed one release later, so that both run side by side:
 * `migrations.test.ts` looks at the statements, and each store's suite runs on a schema to which all such steps were made
 * (`test/conformance/later-schema.ts`).
 */
export type Migration = {
  /** 1, 2, 3… */
  readonly id: number;
  readonly name: string;
  up(dialect: Dialect): readonly RawBuilder<unknown>[];
  /** Takes back what `up` made, with the data in it. */
  down(dialect: Dialect): readonly RawBuilder<unknown>[];
};
