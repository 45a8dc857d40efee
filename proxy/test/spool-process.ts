/** A process that spools calls as fast as it can until it is killed, and says of each what is on the disk by then. */
import { openUsageSpool } from '../src/stores/file/spool.ts';
import { openedCall, usageRecord } from './usage.fixture.ts';

const [directory = ''] = process.argv.slice(2);
const away = { append: () => Promise.reject(new Error('there is no ledger')) };
const spool = await openUsageSpool({ directory, transport: away, segmentBytes: 20_000 });
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

for (let round = 0; ; round += 1) {
  const ended = `ended-${round}`;
  const open = `open-${round}`;
  spool.settle(usageRecord(ended), spool.open(openedCall(ended), 1));
  spool.open(openedCall(open), 1);
  await turn();
  process.stdout.write(`${ended}\n${open}\n`);
  await turn();
}
