import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayProcess, newFolder, program } from './gateway-process.ts';

const secret = 'a-root-secret-of-more-than-thirty-two-bytes';
let started: GatewayProcess[];
let simulator: Simulator;

beforeEach(async () => {
  started = [];
  simulator = await startSimulator();
});
afterEach(async () => {
  await Promise.all(started.map((gateway) => gateway.stop()));
  await simulator.close();
});

function start(
  args: string[],
  environment: Record<string, string> = {},
  folder = newFolder(),
): GatewayProcess {
  const gateway = new GatewayProcess(args, environment, folder);
  started.push(gateway);
  return gateway;
}

async function ask(url: string, path: string, key: string, body?: object): Promise<Response> {
  return fetch(url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

const development = { AIGATEWAY_PROFILE: 'development' };

describe('a gateway with nothing configured', () => {
  it('offers simulated models in development, says so, and keeps its key for its owner alone', async () => {
    const gateway = start(['--port', '0'], development);
    const url = await gateway.url();
    const keyFile = join(gateway.folder, '.aigateway', 'master-key');
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    const key = readFileSync(keyFile, 'utf8').trim();
    expect(gateway.output).toContain('SIMULATED');
    expect(gateway.output).toContain(keyFile);
    expect(gateway.output).toContain('No upstream is configured: these models are SIMULATED');
    expect(gateway.output).toContain('pass --config config.yaml');
    expect(gateway.output).not.toContain(key);
    const answer = await ask(url, '/v1/responses', key, { input: 'hello' });
    expect(await answer.text()).toContain('gpt-5.3-codex');
    const models = (await (await ask(url, '/v1/models', key)).json()) as { data: { id: string }[] };
    expect(models.data.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['gpt-5.3-codex', 'gpt-4o', 'text-embedding-3-small']),
    );
  });

  it('says that the file lists no models when it offers simulated ones', async () => {
    const folder = newFolder();
    const file = join(folder, 'config.yaml');
    writeFileSync(file, 'router_settings: { num_retries: 1 }\n');
    const gateway = start(['--config', file, '--port', '0'], development, folder);
    await gateway.url();
    await gateway.until(/model {5}/);
    expect(gateway.output).toContain('config.yaml lists no models: these models are SIMULATED');
    expect(gateway.output).not.toContain('--config');
  });

  it('fails in production instead of inventing models, keys or secrets', async () => {
    const gateway = start(['--port', '0']);
    expect(await gateway.ended()).toBe(1);
    expect(gateway.errors).toMatch(/AZURE_OPENAI_URL|model_list/);
    expect(gateway.errors).toMatch(/LITELLM_MASTER_KEY|PROXY_API_KEY/);
    expect(gateway.output + gateway.errors).not.toContain('listens');
  });
});

describe('the smallest real set-up', () => {
  it('tries any model as a deployment of the pasted address, in the dialect that its form names', async () => {
    const settings = {
      AZURE_OPENAI_API_KEY: 'simulated-key',
      PROXY_API_KEY: 'my-own-key-0123456789',
    };
    const v1 = start(['--port', '0'], {
      ...development,
      ...settings,
      AZURE_OPENAI_URL: `${simulator.url}/openai/v1/`,
    });
    const body = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hi' }] };
    expect(
      (await ask(await v1.url(), '/v1/chat/completions', settings.PROXY_API_KEY, body)).status,
    ).toBe(200);
    expect(simulator.requests().at(-1)?.url).toBe('/openai/v1/chat/completions');
    const classic = start(['--port', '0'], {
      ...development,
      ...settings,
      AZURE_OPENAI_URL: `${simulator.url}/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21`,
    });
    expect(
      (await ask(await classic.url(), '/v1/chat/completions', settings.PROXY_API_KEY, body)).status,
    ).toBe(200);
    expect(simulator.requests().at(-1)?.url).toBe(
      '/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21',
    );
    expect(simulator.requests().at(-1)?.headers['authorization']).toBeUndefined();
  });

  it('starts from a .env file alone', async () => {
    const folder = newFolder();
    writeFileSync(
      join(folder, '.env'),
      `AIGATEWAY_PROFILE=development\nAZURE_OPENAI_URL=${simulator.url}\nAZURE_OPENAI_API_KEY=simulated-key\nPROXY_API_KEY=my-own-key-0123456789\n`,
    );
    const gateway = start(['--port', '0'], {}, folder);
    const answer = await ask(await gateway.url(), '/v1/embeddings', 'my-own-key-0123456789', {
      model: 'text-embedding-3-small',
      input: 'x',
    });
    expect(answer.status).toBe(200);
  });

  it('reaches the very paths that the product brief names (E28, E29)', async () => {
    const gateway = start(['--port', '0'], {
      ...development,
      AZURE_OPENAI_URL: simulator.url,
      AZURE_OPENAI_API_KEY: 'simulated-key',
      PROXY_API_KEY: 'my-own-key-0123456789',
      AIGATEWAY_RESPONSES_MODEL: 'gpt-5.3-codex',
      AIGATEWAY_RESPONSES_API_VERSION: '2025-04-01-preview',
      AIGATEWAY_EMBEDDINGS_DEPLOYMENT: 'text-embedding-3-large',
      AIGATEWAY_EMBEDDINGS_API_VERSION: '2024-10-21',
    });
    const url = await gateway.url();
    const key = 'my-own-key-0123456789';
    expect((await ask(url, '/v1/responses', key, { input: 'hi' })).status).toBe(200);
    expect(simulator.requests().at(-1)?.url).toBe(
      '/openai/responses?api-version=2025-04-01-preview',
    );
    const embedding = { model: 'text-embedding-3-large', input: 'x' };
    expect((await ask(url, '/v1/embeddings', key, embedding)).status).toBe(200);
    expect(simulator.requests().at(-1)?.url).toBe(
      '/openai/deployments/text-embedding-3-large/embeddings?api-version=2024-10-21',
    );
  });
});

function configFile(folder: string, models: readonly string[], more = ''): string {
  const list = models.map(
    (name) =>
      `  - model_name: ${name}\n    litellm_params: { model: azure/${name}, api_base: "${simulator.url}", api_key: os.environ/KEY, api_version: v1 }\n`,
  );
  const file = join(folder, 'config.yaml');
  writeFileSync(file, `model_list:\n${list.join('')}${more}`);
  return file;
}

const production = {
  AIGATEWAY_SECRET: secret,
  LITELLM_MASTER_KEY: 'sk-master-0123456789abcdef',
  KEY: 'simulated-key',
};
const insecure = 'aigateway_settings: { allow_insecure_upstream: true }\n';

async function modelNames(url: string): Promise<string[]> {
  const answer = await ask(url, '/v1/models', production.LITELLM_MASTER_KEY);
  const list = (await answer.json()) as { data: { id: string }[] };
  return list.data.map(({ id }) => id);
}

describe('a configuration file', () => {
  it('is refused as a whole, with every problem and no secret', async () => {
    const folder = newFolder();
    const file = join(folder, 'config.yaml');
    writeFileSync(
      file,
      'model_list:\n  - model_name: a\n    litellm_params: { model: azure/a, api_base: "not an address", api_key: canary-secret-value, rpm: lots }\nrouter_settings: { routing_stratagy: simple-shuffle, num_retries: -1 }\n',
    );
    const gateway = start(['--config', file, '--port', '0'], production, folder);
    expect(await gateway.ended()).toBe(1);
    expect(gateway.errors).toContain('api_base');
    expect(gateway.errors).toContain('rpm');
    expect(gateway.errors).toContain('routing_strategy');
    expect(gateway.errors).toContain('num_retries');
    expect(gateway.errors).not.toContain('canary-secret-value');
  });

  it('is explained by --check without being run', async () => {
    const folder = newFolder();
    const file = configFile(folder, ['gpt-4o'], insecure);
    const gateway = start(['--config', file, '--check'], production, folder);
    expect(await gateway.ended()).toBe(0);
    expect(gateway.output).toContain('gpt-4o');
    expect(gateway.output).not.toContain('simulated-key');
    expect(gateway.output).not.toContain(production.LITELLM_MASTER_KEY);
  });

  it('gives a line to try with a model that answers it', async () => {
    const folder = newFolder();
    const file = configFile(folder, ['text-embedding-3-small', 'gpt-4o'], insecure);
    const gateway = start(
      ['--config', file, '--port', '0'],
      { ...production, ...development },
      folder,
    );
    await gateway.until(/"input":"Say hello"/);
    expect(gateway.output).toContain('{"model":"gpt-4o","input"');
  });

  it('is explained by --check with each problem once', async () => {
    const folder = newFolder();
    const file = configFile(
      folder,
      ['gpt-4o'],
      `${insecure}router_settings: { num_retries: -1 }\n`,
    );
    const gateway = start(['--config', file, '--check'], production, folder);
    expect(await gateway.ended()).toBe(1);
    expect((gateway.output + gateway.errors).match(/num_retries \(line \d+\)/g)).toHaveLength(1);
  });

  it('is put in force when it changes or on SIGHUP; a bad one leaves the old one in force', async () => {
    const folder = newFolder();
    const file = configFile(folder, ['gpt-4o'], insecure);
    const gateway = start(['--config', file, '--port', '0'], production, folder);
    const url = await gateway.url();
    expect(await modelNames(url)).toEqual(['gpt-4o']);
    configFile(folder, ['gpt-4o', 'gpt-4o-mini'], insecure);
    await gateway.until(/configuration reloaded/);
    expect(await modelNames(url)).toEqual(['gpt-4o', 'gpt-4o-mini']);
    configFile(
      folder,
      ['gpt-4o', 'gpt-4o-mini'],
      'aigateway_settings: { allow_insecure_upstream: true, port: 1, cors_origins: ["https://a.example"], heartbeat: 9, log_level: warn }\n',
    );
    // The port of the command line counts before that of the file.
    await gateway.until(/"needs a restart: heartbeat, cors_origins"/);
    writeFileSync(file, 'model_list: [{ model_name: 7 }]\n');
    await gateway.until(/stays in force/);
    expect(await modelNames(url)).toEqual(['gpt-4o', 'gpt-4o-mini']);
    gateway.output = '';
    gateway.child.kill('SIGHUP');
    await gateway.until(/stays in force/);
    expect(await modelNames(url)).toEqual(['gpt-4o', 'gpt-4o-mini']);
  });

  it.skipIf(process.platform === 'win32')(
    'is put in force each time that the folder behind it is replaced, as Kubernetes does',
    async () => {
      const folder = newFolder();
      const place = (version: string, models: readonly string[]): void => {
        mkdirSync(join(folder, version));
        configFile(join(folder, version), models, insecure);
        symlinkSync(version, join(folder, 'next'));
        renameSync(join(folder, 'next'), join(folder, '..data'));
      };
      place('..v1', ['gpt-4o']);
      symlinkSync('..data/config.yaml', join(folder, 'config.yaml'));
      const file = join(folder, 'config.yaml');
      const gateway = start(['--config', file, '--port', '0'], production, folder);
      const url = await gateway.url();
      for (const [old, version, models] of [
        ['..v1', '..v2', ['gpt-4o', 'gpt-4o-mini']],
        ['..v2', '..v3', ['gpt-4o', 'gpt-4o-mini', 'gpt-5']],
      ] as const) {
        place(version, models);
        rmSync(join(folder, old), { recursive: true });
        await gateway.until(new RegExp(`"models":${models.length},"msg":"configuration reloaded"`));
        expect(await modelNames(url)).toEqual(models);
      }
    },
  );

  it('is put in force when a file changes that it includes since a reload', async () => {
    const folder = newFolder();
    const elsewhere = newFolder();
    const file = configFile(folder, ['gpt-4o'], insecure);
    const gateway = start(['--config', file, '--port', '0'], production, folder);
    const url = await gateway.url();
    const included = configFile(elsewhere, ['gpt-4o-mini']);
    configFile(folder, ['gpt-4o'], `${insecure}include: ["${included}"]\n`);
    await gateway.until(/"models":2,"msg":"configuration reloaded"/);
    configFile(elsewhere, ['gpt-4o-mini', 'gpt-5']);
    await gateway.until(/"models":3,"msg":"configuration reloaded"/);
    expect(await modelNames(url)).toEqual(['gpt-4o', 'gpt-4o-mini', 'gpt-5']);
    rmSync(elsewhere, { recursive: true });
  });

  it('takes a changed .env over with every secret in it, but never over the real environment', async () => {
    const folder = newFolder();
    const write = (upstreamKey: string, key: string) =>
      writeFileSync(
        join(folder, '.env'),
        `AZURE_OPENAI_URL=${simulator.url}\nAZURE_OPENAI_API_KEY=${upstreamKey}\nPROXY_API_KEY=${key}\nLITELLM_MASTER_KEY=sk-not-this-0123456789\n`,
      );
    const [oldKey, newKey] = ['caller-key-0123456789-old', 'caller-key-0123456789-new'];
    write('wrong-key', oldKey);
    const gateway = start(['--port', '0'], { ...development, ...production }, folder);
    const url = await gateway.url();
    const status = async (key: string) => {
      const body = { model: 'gpt-4o', messages: [{ role: 'user', content: 'hi' }] };
      const answer = await ask(url, '/v1/chat/completions', key, body);
      await answer.text();
      return answer.status;
    };
    expect(await status(oldKey)).toBe(502);
    write('simulated-key', newKey);
    await gateway.until(/configuration reloaded/);
    expect(await status(newKey)).toBe(200);
    expect(await status(oldKey)).toBe(401);
    expect(await status(production.LITELLM_MASTER_KEY)).toBe(200);
    expect(await status('sk-not-this-0123456789')).toBe(401);
  });
});

describe('a port that is taken', () => {
  it.each([
    ['AIGATEWAY_PORT', /--port or PORT\.$/m],
    ['AIGATEWAY_OPS_PORT', /AIGATEWAY_OPS_PORT or ops_port\.$/m],
  ])('is told with what chooses another: %s', async (setting, choice) => {
    const { port } = new URL(simulator.url);
    const folder = newFolder();
    const file = configFile(folder, ['gpt-4o'], insecure);
    const ports = { AIGATEWAY_PORT: '0', AIGATEWAY_OPS_PORT: '0', [setting]: port };
    const environment = { ...production, ...ports, AIGATEWAY_HOST: '127.0.0.1' };
    const gateway = start(['--config', file], environment, folder);
    expect(await gateway.ended()).toBe(1);
    expect(gateway.errors).toMatch(choice);
  });
});

describe('the paths that are answered', () => {
  it('are printed by --routes as the reference page lists them', async () => {
    const page = readFileSync(
      new URL('../../docs/reference/proxy-api.md', import.meta.url),
      'utf8',
    );
    const listed = [...page.matchAll(/^\| ([A-Z]+) \| `([^`]+)` \| `[^`]+` \|/gm)].map(
      ([, method, path]) => `${method} ${path}`,
    );
    const gateway = start(['--routes'], production);
    expect(await gateway.ended()).toBe(0);
    const printed = gateway.output
      .split('\n')
      .filter((line) => /^[A-Z]+ +\//.test(line))
      .map((line) => line.replace(/ +/, ' '));
    expect(listed.length).toBeGreaterThan(20);
    expect(printed).toEqual(listed);
  });
});

describe('the log of a gateway in production', () => {
  it('is JSON in every line, from the start to the end, whatever happens', async () => {
    const folder = newFolder();
    const file = configFile(folder, ['gpt-4o'], insecure);
    const environment = { ...production, AIGATEWAY_STOP_DELAY: '0', AIGATEWAY_LOG_LEVEL: 'trace' };
    const gateway = start(['--config', file, '--port', '0'], environment, folder);
    const url = await gateway.url();
    const { LITELLM_MASTER_KEY: key } = production;
    for (const [path, body] of [
      ['/v1/chat/completions', { model: 'gpt-4o', messages: [{ role: 'user', content: 'hi' }] }],
      ['/v1/chat/completions', { model: 'odd "name"\n{', messages: [] }],
      ['/no/such "path"', {}],
    ] as const)
      await (await ask(url, path, key, body)).text();
    const fault = simulator.fault({ kind: 'error', error: '502-html' });
    await (await ask(url, '/v1/embeddings', key, { model: 'gpt-4o', input: 'x' })).text();
    fault.remove();
    writeFileSync(file, 'model_list: [{ model_name: 7 }]\n');
    await gateway.until(/stays in force/);
    gateway.child.kill('SIGTERM');
    expect(await gateway.ended()).toBe(0);
    expect(gateway.errors).toBe('');
    const lines = gateway.output.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(6);
    for (const line of lines)
      expect(JSON.parse(line)).toMatchObject({
        level: expect.any(String),
        time: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T/),
      });
  });
});

describe('output that nobody reads any more', () => {
  it('ends a command without a word', async () => {
    const gateway = start(['--routes']);
    gateway.child.stdout?.destroy();
    expect(await gateway.ended()).toBe(0);
    expect(gateway.errors).toBe('');
  });

  it('ends no gateway', async () => {
    const gateway = start(['--port', '0'], development);
    const url = await gateway.url();
    const key = readFileSync(join(gateway.folder, '.aigateway', 'master-key'), 'utf8').trim();
    gateway.child.stdout?.destroy();
    const body = { model: 'gpt-4o', messages: [{ role: 'user', content: 'hi' }] };
    for (let call = 0; call < 3; call += 1) {
      expect((await ask(url, '/v1/chat/completions', key, body)).status).toBe(200);
      // The lines of calls are written a moment after them.
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    expect(gateway.child.exitCode).toBeNull();
    expect(gateway.errors).toBe('');
  });
});

describe('a deployment that is added to the file under load', () => {
  it('takes its part of the calls, and no caller notices', async () => {
    const folder = newFolder();
    const two = await startSimulator();
    try {
      const deployments = (addresses: readonly string[]) =>
        `model_list:\n${addresses
          .map(
            (address) =>
              `  - model_name: gpt-4o\n    litellm_params: { model: azure/gpt-4o, api_base: "${address}", api_key: os.environ/KEY, api_version: v1 }\n`,
          )
          .join('')}${insecure}`;
      const file = join(folder, 'config.yaml');
      writeFileSync(file, deployments([simulator.url]));
      const gateway = start(['--config', file, '--port', '0'], production, folder);
      const url = await gateway.url();
      let isOver = false;
      const statuses: number[] = [];
      const caller = async (stream: boolean): Promise<void> => {
        while (!isOver) {
          const answer = await ask(url, '/v1/chat/completions', production.LITELLM_MASTER_KEY, {
            model: 'gpt-4o',
            stream,
            messages: [{ role: 'user', content: 'hi' }],
          });
          const text = await answer.text();
          statuses.push(stream && !text.includes('[DONE]') ? 0 : answer.status);
        }
      };
      const load = [true, false, true, false].map(caller);
      await expect.poll(() => statuses.length).toBeGreaterThan(20);
      writeFileSync(file, deployments([simulator.url, two.url]));
      await expect
        .poll(() => two.requests().filter(({ method }) => method === 'POST').length)
        .toBeGreaterThan(20);
      isOver = true;
      await Promise.all(load);
      expect(new Set(statuses)).toEqual(new Set([200]));
    } finally {
      await two.close();
    }
  });
});

describe('stopping and reloading', () => {
  it('lets a running stream finish while it refuses to be ready, then ends with nothing unsettled', async () => {
    const folder = newFolder();
    const settings = 'aigateway_settings: { allow_insecure_upstream: true, stop_delay: 3 }\n';
    const file = configFile(folder, ['gpt-4o'], settings);
    const gateway = start(['--config', file, '--port', '0'], production, folder);
    const url = await gateway.url();
    simulator.fault({ kind: 'stall', at: 'mid-body', ms: 700, times: 1 });
    const stream = await ask(url, '/v1/chat/completions', production.LITELLM_MASTER_KEY, {
      model: 'gpt-4o',
      stream: true,
      messages: [{ role: 'user', content: 'a story that is interrupted by a stop' }],
    });
    configFile(folder, ['gpt-4o', 'gpt-4o-mini'], settings);
    await gateway.until(/configuration reloaded/);
    gateway.child.kill('SIGTERM');
    await gateway.until(/stopping/);
    expect((await fetch(`${url}/health/readiness`)).status).toBe(503);
    const late = await ask(url, '/v1/models', production.LITELLM_MASTER_KEY);
    expect(late.status).toBe(200);
    const text = await stream.text();
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect(await gateway.ended()).toBe(0);
    expect(gateway.output).toContain('"outcome":"completed"');
    await expect(fetch(`${url}/health/readiness`)).rejects.toThrow('fetch failed');
  });

  it('stops in the same way when the shell ends that npm runs it in', async () => {
    const folder = newFolder();
    const file = configFile(
      folder,
      ['gpt-4o'],
      'aigateway_settings: { allow_insecure_upstream: true }\n',
    );
    // As npm's shell does: it waits for the program, and hands no signal on.
    const shell = spawn(
      'sh',
      ['-c', '"$@"; exit $?', 'sh', process.execPath, program, '--config', file, '--port', '0'],
      {
        cwd: folder,
        env: {
          ...production,
          PATH: process.env['PATH'] ?? '',
          AIGATEWAY_OPS_PORT: '0',
          npm_lifecycle_event: 'start',
        },
        stdio: ['ignore', 'pipe', 'inherit'],
        detached: true,
      },
    );
    try {
      let output = '';
      shell.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      const closed = once(shell.stdout, 'close');
      while (!output.includes('listens on')) await once(shell.stdout, 'data');
      shell.kill('SIGTERM');
      await closed;
      expect(output).toContain('"signal":"npm has ended"');
    } finally {
      // All that is left of the group, if it did not end by itself.
      try {
        process.kill(-(shell.pid ?? 0), 'SIGKILL');
      } catch {
        rmSync(folder, { recursive: true, force: true });
      }
    }
  });
});
