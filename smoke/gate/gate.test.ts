import { spawn } from 'node:child_process';
import { createServer, request as forward, type IncomingHttpHeaders, type Server } from 'node:http';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { toolPath } from '../../scripts/tools.ts';
import { startGatewayProcess, type GatewayProcess } from '../clients/gateway-process.ts';
import { models, startSimulatedAzure } from '../clients/simulated-azure.ts';
import type { Simulator } from '../simulator/simulator.ts';
import { gateSettings, type GateSettings } from './settings.ts';

const k6 = toolPath('k6');
const key = 'sk-gate-1234567890abcdef';
const slowKey = 'sk-gate-slow-1234567890abcdef';

type Answer = { status: number; headers: IncomingHttpHeaders; body: string };
type Seen = { path: string; body: string; authorization: string | undefined };

/** What is done to an answer on its way, to break one thing; undefined leaves it as it is. */
type Spoil = (answer: Answer, seen: Seen) => Partial<Answer> | undefined | Promise<undefined>;

const settings: GateSettings = {
  url: 'http://127.0.0.1',
  models: [models.codex, models.plain, models.embeddings],
  chat: models.plain,
  responses: models.codex,
  embeddings: models.embeddings,
  management: 'open',
  limits: true,
  // What a loaded machine needs.
  longestCallMs: 5000,
  longestFirstByteMs: 5000,
};

describe.skipIf(k6 === undefined)(
  `the gate${k6 === undefined ? ': needs k6 (npm run tools -- k6)' : ''}`,
  () => {
    let folder: string;
    let simulator: Simulator;
    let gateway: GatewayProcess;
    const servers: Server[] = [];

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'aigateway-gate-'));
      simulator = await startSimulatedAzure();
      const keys = { key, slowKey, masterKey: 'sk-gate-master-1234567890abcdef' };
      gateway = await startGatewayProcess({ simulator, folder, ...keys, role: 'all' });
    });
    afterEach(() => {
      for (const server of servers.splice(0)) server.close().closeAllConnections();
    });
    afterAll(async () => {
      await gateway.stop();
      await simulator.close();
      rmSync(folder, { recursive: true, force: true });
    });

    /** The gateway behind something that spoils its answers. */
    async function spoiled(spoil: Spoil): Promise<string> {
      const server = createServer((incoming, outgoing) => {
        void (async () => {
          const body = await buffer(incoming);
          const { method, url: path = '', headers } = incoming;
          const answer = await new Promise<Answer>((resolve, reject) => {
            forward(`${gateway.url}${path}`, { method, headers }, (response) => {
              void buffer(response).then((bytes) =>
                resolve({
                  status: response.statusCode ?? 0,
                  headers: response.headers,
                  body: bytes.toString(),
                }),
              );
            })
              .once('error', reject)
              .end(body);
          });
          const seen = { path, body: body.toString(), authorization: headers.authorization };
          const sent = { ...answer, ...(await spoil(answer, seen)) };
          for (const [name, value] of Object.entries(sent.headers)) {
            const isFraming = name === 'content-length' || name === 'transfer-encoding';
            if (value !== undefined && !isFraming) outgoing.setHeader(name, value);
          }
          outgoing.writeHead(sent.status).end(sent.body);
        })();
      });
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    }

    function smoke(url: string, more: Partial<GateSettings> = {}, revision = '') {
      return runK6('smoke.ts', url, more, {
        SMOKE_LIMITED_KEY: slowKey,
        SMOKE_REVISION: revision,
      });
    }

    function load(url: string, more: Partial<GateSettings> = {}, given = key) {
      const callers = { SMOKE_CALLERS: '4', SMOKE_STEP_SECONDS: '1', SMOKE_KEY: given };
      return runK6('load.ts', url, more, callers);
    }

    async function runK6(
      file: string,
      url: string,
      more: Partial<GateSettings>,
      variables: { readonly [name: string]: string },
    ) {
      const script = join(import.meta.dirname, file);
      const child = spawn(k6!, ['run', '--quiet', '--no-usage-report', '--no-color', script], {
        env: {
          HOME: folder,
          SMOKE_SETTINGS: JSON.stringify({ ...settings, ...more, url }),
          SMOKE_KEY: key,
          ...variables,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let out = '';
      child.stdout.on('data', (text: Buffer) => (out += text.toString()));
      child.stderr.on('data', (text: Buffer) => (out += text.toString()));
      const code = await new Promise((resolve) => child.once('exit', resolve));
      return { code, out };
    }

    it('opens for a gateway that works', async () => {
      const { code, out } = await smoke(gateway.url);
      expect(out).not.toContain('failed');
      expect(code).toBe(0);
    });

    it('waits for an environment where nothing runs yet, and says how long that took', async () => {
      let asked = 0;
      const url = await spoiled((_answer, { path }) => {
        if (path !== '/health/readiness') return undefined;
        asked += 1;
        return asked < 3 ? { status: 503 } : undefined;
      });
      const { code, out } = await smoke(url);
      expect(out).toMatch(/^- ready after \d+\.\d s, from nothing/m);
      expect([code, asked]).toEqual([0, 3]);
    });

    it('is run against any address by its command, with the settings of an environment', async () => {
      const summary = join(folder, 'summary.md');
      const none = { SMOKE_KEY: '', SMOKE_LIMITED_KEY: '', GITHUB_STEP_SUMMARY: '' };
      const command = async (args: string[], more: { readonly [name: string]: string } = {}) => {
        const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
          env: { ...process.env, ...none, ...more },
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        let out = '';
        for (const stream of [child.stdout, child.stderr])
          stream.on('data', (text: Buffer) => (out += text.toString()));
        const code = await new Promise((resolve) => child.once('exit', resolve));
        return { code, out };
      };
      const keys = { SMOKE_KEY: key, SMOKE_LIMITED_KEY: slowKey };
      const staging = ['--env', 'staging', '--url', gateway.url];
      const tried = await command(staging, { ...keys, GITHUB_STEP_SUMMARY: summary });
      expect([tried.code, tried.out]).toEqual([
        0,
        expect.stringContaining('- ok: a limit refuses'),
      ]);
      expect(readFileSync(summary, 'utf8')).toContain(`## Smoke of ${gateway.url}`);
      expect((await command([...staging, '--revision', 'aaaaaaa'], keys)).code).toBe(99);
      expect(await command(staging, { SMOKE_KEY: key })).toMatchObject({
        code: 1,
        out: expect.stringContaining('SMOKE_LIMITED_KEY is not set'),
      });
      const refused = await command(staging, { ...keys, SMOKE_KEY: 'sk-of-another-gateway' });
      expect([refused.code, refused.out]).toEqual([
        99,
        expect.stringMatching(/\/v1\/responses: 401, The API key was refused.* \(request /),
      ]);
      expect(refused.out).not.toContain('sk-of-another-gateway');
      expect(await command(['--env', 'qa', '--url', gateway.url], keys)).toMatchObject({
        code: 1,
        out: expect.stringContaining('dev, kind, prod, staging are'),
      });
      expect(await command(['--environment', 'dev'])).toMatchObject({
        code: 1,
        out: expect.stringContaining(
          "Unknown option '--environment'\n\nnpm run smoke -- --env NAME",
        ),
      });
      expect(await command(['--help'])).toMatchObject({
        code: 0,
        out: expect.stringContaining('--revision COMMIT'),
      });
    });

    it('says what was not tried', async () => {
      const { code, out } = await smoke(gateway.url, { limits: false });
      expect(out).toContain('not tried here: a limit refuses');
      expect(code).toBe(0);
    });

    it('spends next to nothing', async () => {
      const before = simulator.requests().length;
      await smoke(gateway.url);
      expect(simulator.requests().length - before).toBeLessThan(15);
    });

    const isStream: (seen: Seen) => boolean = ({ body }) => body.includes('"stream":true');
    const faults: [what: string, step: string, spoil: Spoil, more?: Partial<GateSettings>][] = [
      [
        'whoever has no key gets in',
        'nobody gets in without a key',
        ({ status }, { path }) =>
          path === '/v1/models' && status === 401
            ? { status: 200, body: '{"data":[]}' }
            : undefined,
      ],
      [
        'a refusal has another form',
        'nobody gets in without a key',
        ({ status }) => (status === 401 ? { body: '{"detail":"no"}' } : undefined),
      ],
      [
        'a header of the upstream is told to strangers',
        'nobody gets in without a key',
        ({ status, headers }) =>
          status === 401 ? { headers: { ...headers, 'x-ms-region': 'Sweden Central' } } : undefined,
      ],
      [
        'a model is missing',
        'models are those of the environment',
        ({ body }, { path }) =>
          path === '/v1/models' ? { body: body.replaceAll(models.codex, 'another') } : undefined,
      ],
      [
        'responses fail',
        'responses are answered',
        (_, { path }) => (path === '/v1/responses' ? { status: 502, body: '{}' } : undefined),
      ],
      [
        'embeddings are empty',
        'embeddings are answered',
        ({ status }, { path }) =>
          path === '/v1/embeddings' && status === 200 ? { body: '{"data":[]}' } : undefined,
      ],
      [
        'an answer has no usage',
        'chats are answered',
        ({ body }, seen) =>
          isStream(seen) ? undefined : { body: body.replace('"total_tokens"', '"total"') },
      ],
      [
        'an answer has no id',
        'chats are answered',
        ({ headers }) => ({ headers: { ...headers, 'x-request-id': undefined } }),
      ],
      [
        'a stream has no end',
        'chats are answered',
        ({ body }, seen) =>
          isStream(seen) ? { body: body.replace('data: [DONE]\n\n', '') } : undefined,
      ],
      [
        'a stream begins late',
        'http_req_waiting',
        async (_, seen) => {
          if (isStream(seen)) await delay(300);
          return undefined;
        },
        { longestFirstByteMs: 200 },
      ],
      [
        'calls are slow',
        'http_req_duration',
        async (_, { path }) => {
          if (path === '/v1/responses') await delay(300);
          return undefined;
        },
        { longestCallMs: 200 },
      ],
      [
        'a limit does not hold',
        'a limit refuses',
        ({ status }) => (status === 429 ? { status: 200, body: '{}' } : undefined),
      ],
      [
        'a refused call is not told when to come again',
        'a limit refuses',
        ({ status, headers }) =>
          status === 429 ? { headers: { ...headers, 'retry-after': undefined } } : undefined,
      ],
      [
        'anybody may manage',
        'nobody manages',
        (_, { path }) => (path === '/key/list' ? { status: 200, body: '{"keys":[]}' } : undefined),
      ],
      [
        'management is reached from outside',
        'nobody manages',
        () => undefined,
        { management: 'closed' },
      ],
    ];

    it.each(faults)('stays closed when %s', async (_, step, spoil, more) => {
      const { code, out } = await smoke(await spoiled(spoil), more);
      expect(
        out
          .split('\n')
          .filter((line) => line.includes('**failed**'))
          .join('\n'),
      ).toContain(step);
      expect(code).toBe(99);
    });

    describe('under load', () => {
      it('holds for a gateway that has no bottleneck, with more callers step by step', async () => {
        const { code, out } = await load(gateway.url);
        expect(out.match(/^\| \d+ \|/gm)).toEqual(['| 1 |', '| 2 |', '| 3 |', '| 4 |', '| 1 |']);
        expect(out).toContain('ok: 100.0 % answered to their end');
        expect(code).toBe(0);
      });

      it('counts what is refused for want of quota, which is no bottleneck of the gateway', async () => {
        const { code, out } = await load(gateway.url, {}, slowKey);
        expect(out).toMatch(/^\| 4 \| .* \| ([5-9]\d|100) % \| ok \|$/m);
        expect(code).toBe(0);
      });

      it('does not hold where calls fail, or their output comes late', async () => {
        const broken = await spoiled(() => ({ status: 503 }));
        const failed = await load(broken);
        expect(failed.out).toContain('**failed**: 0.0 %');
        expect(failed.code).toBe(99);
        const slow = await spoiled(async () => {
          await delay(50);
          return undefined;
        });
        const late = await load(slow, { longestFirstByteMs: 20 });
        expect(late.out).toContain('**too slow**');
        expect(late.code).toBe(99);
      });
    });

    it('stays closed for another revision than the one that was deployed', async () => {
      const url = await spoiled(({ headers }) => ({
        headers: { ...headers, 'x-litellm-version': '0.1.0+0123abc' },
      }));
      expect((await smoke(url, {}, '0123abc')).code).toBe(0);
      expect((await smoke(url, {}, 'fedcba9')).code).toBe(99);
      expect((await smoke(gateway.url, {}, '0123abc')).code).toBe(99);
    });
  },
);

describe('the settings of an environment', () => {
  const environments = readdirSync(join(import.meta.dirname, 'environments'));

  it('are there for dev, staging, prod and the cluster that ci makes, and hold no key', () => {
    expect(environments.toSorted()).toEqual(['dev.json', 'kind.json', 'prod.json', 'staging.json']);
    for (const file of environments) {
      expect(gateSettings(file.replace('.json', '')).models.length).toBeGreaterThan(0);
      expect(readFileSync(join(import.meta.dirname, 'environments', file), 'utf8')).not.toMatch(
        /sk-|key"/i,
      );
    }
  });

  it('that do not exist are refused by their name', () => {
    expect(() => gateSettings('qa')).toThrow('no environment is called qa');
  });
});
