import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayProcess } from './gateway-process.ts';

/** Two environments as the infrastructure makes them: the same configuration, secrets of their own. */
const masterKeys = { dev: 'sk-master-key-of-dev-0123', prod: 'sk-master-key-of-prod-0123' };
type Environment = keyof typeof masterKeys;

let simulator: Simulator;
const running = {} as Record<Environment, GatewayProcess>;
const urls = {} as Record<Environment, string>;
const keys = {} as Record<Environment, string>;

beforeAll(async () => {
  simulator = await startSimulator();
  for (const [name, masterKey] of Object.entries(masterKeys) as [Environment, string][]) {
    running[name] = new GatewayProcess(['--port', '0', '--role', 'all'], {
      AIGATEWAY_SECRET: `a-root-secret-of-${name}-with-more-than-thirty-two-bytes`,
      AIGATEWAY_HOST: '127.0.0.1',
      LITELLM_MASTER_KEY: masterKey,
      AIGATEWAY_CONFIG_TEXT: JSON.stringify({
        model_list: [
          {
            model_name: 'gpt-4o',
            litellm_params: {
              model: 'azure/gpt-4o',
              api_base: simulator.resourceUrl('simulator'),
              api_key: 'os.environ/AZURE_OPENAI_API_KEY',
            },
          },
        ],
        aigateway_settings: { allow_insecure_upstream: true },
      }),
      AZURE_OPENAI_API_KEY: 'simulated-key',
    });
    urls[name] = await running[name].url();
    const made = await post(name, masterKey, '/key/generate', { key_alias: 'team' });
    ({ key: keys[name] } = (await made.json()) as { key: string });
  }
});
afterAll(async () => {
  for (const process of Object.values(running)) await process.stop();
  await simulator.close();
});

function post(to: Environment, key: string, path: string, body: object): Promise<Response> {
  return fetch(urls[to] + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

const question = { model: 'gpt-4o', input: 'Hello' };

describe('an environment', () => {
  it.each<[Environment, Environment]>([
    ['dev', 'prod'],
    ['prod', 'dev'],
  ])('takes no key of %s where it is %s', async (from, to) => {
    const ask = (key: string) => post(to, key, '/v1/responses', question);
    expect((await ask(keys[to])).status).toBe(200);
    const before = simulator.requests().length;
    for (const key of [keys[from], masterKeys[from]]) {
      const refused = await ask(key);
      expect([refused.status, await refused.json()]).toMatchObject([
        401,
        { error: { code: 'invalid_api_key' } },
      ]);
      expect((await post(to, key, '/key/generate', {})).status).toBe(401);
    }
    // Nothing of it came as far as a model.
    expect(simulator.requests()).toHaveLength(before);
  });

  it('knows no stored response of another', async () => {
    const made = await post('dev', keys.dev, '/v1/responses', { ...question, store: true });
    const { id } = (await made.json()) as { id: string };
    const get = (to: Environment) =>
      fetch(`${urls[to]}/v1/responses/${id}`, { headers: { authorization: `Bearer ${keys[to]}` } });
    expect((await get('dev')).status).toBe(200);
    expect((await get('prod')).status).toBe(404);
  });
});
