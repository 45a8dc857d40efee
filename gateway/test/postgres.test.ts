import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  startPostgres,
  type PostgresServer,
} from '../../control-plane/test/servers/postgres-server.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';

const master = 'sk-master-0123456789abcdef';
let postgres: PostgresServer;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

function post(url: string, path: string, key: string, body: object): Promise<Response> {
  return fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

describe('a gateway whose store is PostgreSQL', () => {
  it('starts once its schema was migrated by a job, and keeps its keys there', async () => {
    const environment = {
      AIGATEWAY_PROFILE: 'development',
      AIGATEWAY_STOP_DELAY: '0',
      LITELLM_MASTER_KEY: master,
      DATABASE_URL: await postgres.createDatabase(),
    };
    const early = new GatewayProcess(['--port', '0'], environment);
    expect(await early.ended()).toBe(1);
    expect(early.errors).toContain('migrat');
    await early.stop();

    const plan = new GatewayProcess(['--migrate', 'plan'], environment);
    expect(await plan.ended()).toBe(0);
    expect(plan.output).toContain('0001');
    await plan.stop();
    const job = new GatewayProcess(['--migrate', 'apply'], environment);
    expect(await job.ended()).toBe(0);
    await job.stop();

    const gateway = new GatewayProcess(['--port', '0'], environment, newFolder());
    const url = await gateway.url();
    const made = await post(url, '/key/generate', master, { key_alias: 'ci' });
    expect(made.status).toBe(200);
    const { key } = (await made.json()) as { key: string };
    await gateway.stop();

    // Another machine: nothing but the database is the same.
    const other = new GatewayProcess(['--port', '0'], environment, newFolder());
    const otherUrl = await other.url();
    const answer = await post(otherUrl, '/v1/chat/completions', key, {
      model: 'gpt-4o',
      messages: [{ role: 'user', content: 'hello' }],
    });
    expect(answer.status).toBe(200);
    await other.stop();
  });
});
