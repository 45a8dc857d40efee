import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dayMs, usageRecord } from './conformance/documents.ts';
import { startManagement, type Management } from './management.ts';

/*
 * Sums are added up, ordered and cut where they lie: what a report takes from the ledger goes by what it shows, not by how many keys and
 * days there are.
 */

const [days, keys, teams, models, tags] = [20, 30, 6, 5, 3];
const from = Date.parse('2026-11-01');
const range = 'start_date=2026-11-01&end_date=2026-11-20';

describe('rows that reports take from the ledger', () => {
  let api: Management;
  let taken = 0;
  beforeAll(async () => {
    api = await startManagement({
      store: (store) => ({
        ...store,
        ledger: {
          ...store.ledger,
          activity: async (asked) => {
            const rows = await store.ledger.activity(asked);
            taken += rows.length;
            return rows;
          },
        },
      }),
    });
    const events = Array.from({ length: days * keys }, (_, at) => ({
      sequence: at + 1,
      record: usageRecord({
        startedAt: from + Math.floor(at / keys) * dayMs,
        keyId: `key-${at % keys}`,
        teamId: `team-${at % teams}`,
        model: `model-${at % models}`,
        deploymentId: `deployment-${at % models}`,
        tags: [`tag-${at % tags}`],
      }),
    }));
    await api.store.ledger.append('producer', events);
  });
  afterAll(() => api[Symbol.asyncDispose]());

  it.each([
    ['/global/spend', 1],
    ['/global/spend/keys?limit=10', 10],
    ['/global/spend/models?limit=2', 2],
    [`/global/spend/tags?${range}`, tags],
    ['/global/spend/all_tag_names', tags],
    ['/spend/tags', tags],
    ['/tag/list', tags],
    [`/global/spend/provider?${range}`, models],
    [`/global/spend/report?${range}&group_by=api_key`, keys],
    [`/global/activity?${range}`, days],
    // Each day, and what is shown of it: keys, teams, models, and as many deployments.
    [`/user/daily/activity?${range}&page_size=2`, days + 2 * (keys + 2 * models)],
    [`/team/daily/activity?${range}&page_size=2`, days + 2 * (teams + keys + 2 * models)],
    [`/team/daily/activity?${range}&page_size=2&model=model-1`, days + 2 * teams],
    [`/team/daily/activity?${range}&page_size=20&page=2`, days],
    [`/user/daily/activity?${range}&page_size=2&model=model-1`, days + 2 * (keys / models)],
    [`/tag/daily/activity/export?${range}&model=model-1`, days * tags],
  ])('%s: %i', async (path, rows) => {
    taken = 0;
    const { status, text } = await api.get(path);
    expect([status, text === '[]']).toEqual([200, false]);
    expect(taken).toBe(rows);
  });
});
