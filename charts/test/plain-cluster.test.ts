import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../smoke/free-port.ts';
import {
  startPostgres,
  type PostgresServer,
} from '../../control-plane/test/servers/postgres-server.ts';
import { GatewayProcess } from '../../gateway/test/gateway-process.ts';
import { startRedis, type RedisServer } from '../../proxy/test/servers/redis-server.ts';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Container,
  helm,
  type Manifest,
  manifestsIn,
  podOf,
  readChartFile,
  render,
} from './render.ts';

const missing = helm === undefined ? ': needs helm (npm run tools -- helm)' : '';
const master = 'sk-master-0123456789abcdef';

// The containers of the chart as processes of this machine: what a cluster adds are addresses, mounts and the root file system, which
// the image's own test has.
describe.skipIf(helm === undefined)(`on a cluster without anything of Azure${missing}`, () => {
  let folder: string;
  let redis: RedisServer;
  let postgres: PostgresServer;
  let simulator: Simulator;
  let secret: { [key: string]: string };
  let manifests: Manifest[];
  const running: GatewayProcess[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'aigateway-cluster-'));
    [redis, postgres, simulator] = await Promise.all([
      startRedis(),
      startPostgres(),
      startSimulator(),
    ]);
    secret = {
      AIGATEWAY_SECRET: 'test-secret-of-at-least-32-bytes-length',
      LITELLM_MASTER_KEY: master,
      REDIS_URL: redis.url,
      DATABASE_URL: await postgres.createDatabase(),
      UPSTREAM_KEY: 'simulated-key',
    };
    const values = join(folder, 'values.json');
    const parameters = {
      model: 'openai/gpt-4o',
      api_base: `${simulator.resourceUrl('simulator')}/openai/v1`,
      api_key: 'os.environ/UPSTREAM_KEY',
    };
    const models = [{ model_name: 'answers', litellm_params: parameters }];
    writeFileSync(values, JSON.stringify({ config: { model_list: models } }));
    manifests = manifestsIn(render('plain', ['--values', values]));
  });
  afterAll(async () => {
    for (const one of running) await one.stop();
    await Promise.all([redis.stop(), postgres.stop(), simulator.close()]);
    rmSync(folder, { recursive: true });
  });

  /** Starts what a pod starts, with its mounts below a folder and ports of its own. */
  function start(kind: string, component: string, opsPort = 0): GatewayProcess {
    const name = `gateway-aigateway-${component}`;
    const manifest = manifests.find(
      (one) => one.kind === kind && one.metadata.name === name,
    ) as Manifest;
    const [container] = podOf(manifest)!.spec.containers;
    const data = join(folder, component);
    mkdirSync(data);
    const file = manifests.find((one) => one.kind === 'ConfigMap' && one.metadata.name === name);
    const config = join(data, 'config.yaml');
    writeFileSync(config, file?.data?.['config.yaml'] ?? '');
    const args = container!.args.map((arg) => arg.replace('/etc/aigateway/config.yaml', config));
    const started = new GatewayProcess(args, {
      ...environmentOf(container!),
      AIGATEWAY_HOST: '127.0.0.1',
      AIGATEWAY_PORT: '0',
      AIGATEWAY_OPS_PORT: String(opsPort),
      AIGATEWAY_DATA_DIR: data,
      AIGATEWAY_STOP_DELAY: '0',
    });
    running.push(started);
    return started;
  }

  function environmentOf({ env }: Container): { [name: string]: string } {
    return Object.fromEntries(
      env.flatMap(({ name, value, valueFrom }) => {
        const found = value ?? secret[valueFrom?.secretKeyRef.key ?? ''];
        if (found === undefined && valueFrom?.secretKeyRef.optional !== true)
          throw new Error(`the pod would not start without ${name}`);
        return found === undefined ? [] : [[name, found]];
      }),
    );
  }

  it('migrates, starts both planes, serves a key that is made there, and passes its own test', async () => {
    expect(await start('Job', 'migration').ended()).toBe(0);

    const controlPlane = await start('Deployment', 'control-plane').url();
    const made = await fetch(`${controlPlane}/key/generate`, {
      method: 'POST',
      headers: { authorization: `Bearer ${master}`, 'content-type': 'application/json' },
      body: JSON.stringify({ models: ['answers'] }),
    });
    const { key } = (await made.json()) as { key: string };

    const opsPort = await freePort();
    const proxy = start('Deployment', 'proxy', opsPort);
    const url = await proxy.url();
    const readyUrl = `http://127.0.0.1:${opsPort}/readyz`;
    // Kubernetes sends no calls before.
    await expect.poll(async () => (await fetch(readyUrl)).status).toBe(200);
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'answers', messages: [{ role: 'user', content: 'Hello' }] }),
    });
    expect(await answer.json()).toMatchObject({ object: 'chat.completion' });

    const test = ['--input-type=module', '--eval', readChartFile('files/test.mjs')];
    const { stdout } = await promisify(execFile)(process.execPath, test, {
      env: {
        READY_URL: readyUrl,
        MODELS_URL: `${url}/v1/models`,
        CALLER_KEY: key,
      },
    });
    expect(stdout).toContain("200 [ 'answers' ]");

    proxy.child.kill('SIGTERM');
    expect(await proxy.ended()).toBe(0);
  });
});
