// The ledger: `npm run ledger`.
import { holds } from '../gateway/test/ledger/balance.ts';
import { troubles } from '../gateway/test/ledger/plan.ts';
import { runLedger } from '../gateway/test/ledger/run.ts';
import { table } from '../smoke/bench/table.ts';
import { commandOptions } from './command-options.ts';

const help = `npm run ledger -- [options]

Three proxies, two control planes, Redis, PostgreSQL and simulated Azure under load while each of them fails; then what the store
says beside what the simulator and the callers saw. Needs redis-server.

  --seed N       what is asked and when what fails follows from it (default 1)
  --calls N      calls in all (default 3000)
  --callers N    callers at once (default 24)
  --rounds N     how often each trouble is made (default 2)
`;

const values = commandOptions(help, {
  seed: { type: 'string', default: '1' },
  calls: { type: 'string', default: '3000' },
  callers: { type: 'string', default: '24' },
  rounds: { type: 'string', default: '2' },
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
