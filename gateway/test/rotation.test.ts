import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  startPostgres,
  type PostgresServer,
} from '../../control-plane/test/servers/postgres-server.ts';
import { GatewayProcess } from './gateway-process.ts';

const master = 'sk-master-0123456789abcdef';
const [saltBefore, saltAfter, rootBefore] = ['salt-before', 'salt-after', 'root-before'].map(
  (name) => `${name}-of-more-than-thirty-two-bytes`,
) as [string, string, string];

let postgres: PostgresServer;
let simulator: Simulator;
let database: string;
beforeAll(async () => {
  postgres = await startPostgres();
  simulator = await startSimulator({
    config: {
      resources: [
        {
          name: 'east',
          keys: ['upstream-key-1', 'upstream-key-2'],
          deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
        },
      ],
    },
  });
  database = await postgres.createDatabase();
  const job = new GatewayProcess(['--migrate', 'apply'], { DATABASE_URL: database });
  await job.ended();
  await job.stop();
});
afterAll(async () => {
  await simulator.close();
  await postgres.stop();
});

const running: GatewayProcess[] = [];
afterEach(async () => {
  for (const process of running.splice(0)) await process.stop();
});

function environment(changes: Record<string, string> = {}): Record<string, string> {
  return {
    AIGATEWAY_PROFILE: 'development',
    AIGATEWAY_STOP_DELAY: '0',
    AIGATEWAY_ALLOW_INSECURE_UPSTREAM: 'true',
    AIGATEWAY_SECRET: rootBefore,
    LITELLM_MASTER_KEY: master,
    DATABASE_URL: database,
    ...changes,
  };
}

async function start(changes: Record<string, string>): Promise<string> {
  const process = new GatewayProcess(['--port', '0', '--role', 'all'], environment(changes));
  running.push(process);
  return process.url();
}

/** Exit code and output of a job. */
async function job(args: readonly string[], changes: Record<string, string>) {
  const process = new GatewayProcess([...args], environment(changes));
  running.push(process);
  const code = await process.ended();
  return { code, text: process.output + process.errors };
}

async function call(url: string, path: string, body: object, key = master) {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const ask = async (url: string, key = master) =>
  (
    await call(
      url,
      '/v1/chat/completions',
      { model: 'stored', messages: [{ role: 'user', content: 'hello' }] },
      key,
    )
  ).status;

describe('the salt key', () => {
  it('is rotated while the gateway serves, and the old one is then needed by nobody', async () => {
    const first = await start({ LITELLM_SALT_KEY: saltBefore });
    const made = await call(first, '/model/new', {
      model_name: 'stored',
      litellm_params: {
        model: 'azure/gpt-4o',
        api_base: simulator.resourceUrl('east'),
        api_version: 'v1',
        api_key: 'upstream-key-1',
      },
    });
    expect(made.status).toBe(200);
    expect(await ask(first)).toBe(200);

    const both = { LITELLM_SALT_KEY: saltAfter, LITELLM_SALT_KEY_PREVIOUS: saltBefore };
    const second = await start(both);
    expect(await ask(second)).toBe(200);

    const plan = await job(['--reseal', 'plan'], both);
    expect(plan).toMatchObject({ code: 0 });
    expect(plan.text).toContain('1 secrets are to be sealed anew.');
    const applied = await job(['--reseal', 'apply'], both);
    expect(applied).toMatchObject({ code: 0 });
    expect(applied.text).toContain('Earlier keys are needed no more.');
    expect(applied.text).not.toContain('upstream-key');
    expect(await ask(second)).toBe(200);

    const third = await start({ LITELLM_SALT_KEY: saltAfter });
    expect(await ask(third)).toBe(200);
  });

  it('that is not given any more is asked for, before a secret is lost', async () => {
    const lost = await job(['--reseal', 'apply'], { LITELLM_SALT_KEY: saltBefore });
    expect(lost.code).toBe(1);
    expect(lost.text).toContain('LITELLM_SALT_KEY_PREVIOUS');
    const still = await job(['--reseal', 'plan'], { LITELLM_SALT_KEY: saltAfter });
    expect(still).toMatchObject({ code: 0 });
  });
});
