import { describe, expect, it } from 'vitest';
import { postgresBinaries } from '../../control-plane/test/servers/postgres-server.ts';
import { hasRedisServer } from '../../proxy/test/servers/redis-server.ts';
import { holds } from './ledger/balance.ts';
import { runLedger } from './ledger/run.ts';

const canRun = hasRedisServer && (await postgresBinaries()) !== undefined;

/** Nine processes of ours start here, some of them twice. */
const limitMs = 600_000;

describe.skipIf(!canRun)(
  'the ledger of three proxies, two control planes, Redis and PostgreSQL',
  () => {
    it(
      'balances, and no limit is exceeded, while proxies and control planes are killed and Redis and the store fail',
      async () => {
        const { lines, ends } = await runLedger({
          seed: 4,
          calls: 400,
          callers: 12,
          skewsMs: [0, 90_000, -90_000],
          controlPlanes: 2,
          troubles: [
            'proxy killed',
            'control plane killed',
            'store away',
            'redis failed over with loss',
          ],
        });
        expect(lines.filter((line) => !holds(line))).toEqual([]);
        const counted = new Map(lines.map(({ name, counted: count }) => [name, count]));
        for (const holder of ['free', 'requests', 'tokens', 'parallel', 'budget']) {
          expect(counted.get(`${holder}: requests in the store’s sums`)).toBeGreaterThan(0);
        }
        expect(counted.get('records with the upstream’s own figures')).toBeGreaterThan(0);
        expect(ends.get('200')).toBeGreaterThan(0);
        expect(ends.get('429')).toBeGreaterThan(0);
      },
      limitMs,
    );
  },
);
