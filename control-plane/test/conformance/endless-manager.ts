/** A program that calls the management API over the store at the place it is given, several callers at once, and prints a line for each answer, until it is killed. */
import { hashSecret } from '@aigateway/contract/key';
import { answer, type ControlPlanePorts } from '../../src/http/registry.ts';
import { routes } from '../../src/routes.ts';
import { settings } from '../settings.ts';
import { openStore } from './open-store.ts';

const [place = '', name = ''] = process.argv.slice(2);
const masterKey = 'sk-master-key-of-the-manager';

const ports: ControlPlanePorts = {
  store: await openStore(place),
  clock: Date,
  masterKeyHash: () => hashSecret(masterKey),
  settings: () => settings,
  sealer: { seal: (secret) => `sealed:${hashSecret(secret)}` },
  tellSpend: () => Promise.resolve(),
  onChange: () => undefined,
  onFault: (message, cause) => {
    throw new Error(message, { cause });
  },
};

// oxlint-disable-next-line typescript/no-explicit-any -- answers are read member by member, as clients do
async function post(path: string, body: object): Promise<any> {
  const route = routes.find(({ method, paths }) => method === 'post' && paths.includes(path));
  if (!route) throw new Error(`${path} is no route`);
  const headers = { authorization: `Bearer ${masterKey}` };
  const readBody = () => Promise.resolve(body);
  const request = { client: '127.0.0.1', headers, path, params: {}, query: {}, readBody };
  const { status, body: answered } = await answer(route, request, ports);
  if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(answered)}`);
  process.stdout.write(`${path}\n`);
  return answered;
}

async function manage(caller: number): Promise<never> {
  for (let turn = 1; ; turn += 1) {
    const team_id = `${name}-${caller}-${turn}`;
    // Several documents change with one call: members have places of their own, a removed team takes its keys along.
    await post('/team/new', { team_id });
    await post('/team/member_add', {
      team_id,
      member: { role: 'user', user_id: `user-${team_id}` },
    });
    const { key } = await post('/key/generate', { team_id, max_budget: 1 });
    await post('/key/update', { key, max_budget: 2 });
    await post('/key/block', { key });
    if (turn % 2 === 0) await post('/team/delete', { team_ids: [team_id] });
  }
}

await Promise.all(Array.from({ length: 6 }, (_, caller) => manage(caller)));
