import { costTables } from '../cdktf/src/cost/page.ts';
import { withWritten } from './written.ts';

/** The page with what each environment costs made anew. @throws {Error} for one that has no place for it */
export function withCosts(page: string): string {
  return withWritten(page, 'cdktf/snapshots and cdktf/cost/prices.json', costTables());
}
