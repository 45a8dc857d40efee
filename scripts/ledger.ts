// The ledger: three proxies, two control planes, Redis, PostgreSQL and simulated Azure under load while each of them fails, then
// what the store says beside what the simulator and the callers saw. `npm run ledger -- --calls 3000 --seed 7`; needs redis-server.
import { parseArgs } from 'node:util';
import { holds } from '../gateway/test/ledger/balance.ts';
import { troubles } from '../gateway/test/ledger/plan.ts';
import { runLedger } from '../gateway/test/ledger/run.ts';
import { table } from '../smoke/bench/table.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    calls: { type: 'string', default: '3000' },
    callers: { type: 'string', default: '24' },
    /** How often each trouble is made. */
    rounds: { type: 'string', default: '2' },
  },
});

const print = (text: string): void => void process.stdout.write(`${text}\n`);
const { lines, ends } = await runLedger(
  {
    seed: Number(values.seed),
    calls: Number(values.calls),
    callers: Number(values.callers),
    skewsMs: [0, 90_000, -90_000],
    controlPlanes: 2,
    troubles: Array.from({ length: Number(values.rounds) }, () => troubles).flat(),
  },
  print,
);
print(
  `\nseed ${values.seed}; tries: ${[...ends].map(([end, count]) => `${end} ${count}`).join(', ')}\n`,
);
print(
  table([
    ['', 'counted', 'must be', 'holds'],
    ...lines.map((line) => {
      const { name, counted, exactly, most } = line;
      const isBound = exactly !== undefined || most !== undefined;
      const bound = exactly === undefined ? `at most ${most}` : String(exactly);
      return [
        name,
        String(counted),
        isBound ? bound : '',
        isBound ? (holds(line) ? 'yes' : 'NO') : '',
      ];
    }),
  ]),
);
process.exitCode = lines.every(holds) ? 0 : 1;
