import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FaultSpec } from '../simulator/faults.ts';
import { runCases } from './cases.ts';
import type { Cases } from './cases.ts';
import { clientsFolder, describeUnless } from './client-packages.ts';
import { failures } from './failing-resource.ts';
import { buildGoProgram, goLimitMs, prepareGo } from './go-program.ts';
import { canary, startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { environmentFor } from './settings.ts';
import { embeddingDimensions, models } from './simulated-azure.ts';

const language = [models.plain, models.reasoning, models.chatOnly, models.codex];
const prompt = `${canary} Say hello.`;
const said = expect.stringContaining(`You said: ${prompt}`) as string;
// A count that never came is 0 in Go.
const someTokens = expect.toSatisfy((count: number) => count > 0) as number;

/** Each kind of failure for as long as the program runs, of either resource by turns. */
const stages = failures.map(({ name, fault: { times: _once, ...fault } }, index) => {
  const resource = index % 2 === 0 ? 'east' : 'west';
  return { name: `${resource} ${name}`, resource, fault: { ...fault, resource } as FaultSpec };
});

const toolchain = await prepareGo();
const lacking = 'missing' in toolchain ? `missing: ${toolchain.missing}` : undefined;

describeUnless(lacking, 'openai for Go', () => {
  let folder: string;
  let program: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'aigateway-go-'));
    program = await buildGoProgram(folder);
    // The compiler is ended first, so that the failure says what it was.
  }, goLimitMs + 30_000);

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  // A stage for each: what the gateway has learned of one failure must not help with the next.
  describe.each(stages)('while $name', ({ resource, fault }) => {
    let stage: Stage;
    let cases: Cases;

    beforeAll(async () => {
      stage = await startStage();
      stage.simulator.fault(fault);
      const home = stage.home('go');
      cases = await runCases({
        file: program,
        args: [],
        environment: stage.environment(home, {
          ...environmentFor('openai.env', stage),
          ...environmentFor('azure-openai.env', stage),
          MODELS: JSON.stringify({ ...models, language }),
          PROMPT: prompt,
          SLOW_KEY: stage.slowKey,
        }),
        cwd: home,
      });
    });

    afterAll(async () => {
      await stage.end();
    });

    it('is answered by the other resource after the failing one has failed', () => {
      const calls = stage.modelCalls();
      const struck = calls.filter((call) => call.fault !== undefined);
      expect(new Set(struck.map((call) => call.resource))).toEqual(new Set([resource]));
      expect(calls.some((call) => call.resource !== resource && call.status === 200)).toBe(true);
    });

    describe.each(['OpenAI', 'Azure'])('%s', (kind) => {
      it.each(language)('gets a chat completion of %s and streams one, with usage', (model) => {
        const answer = { text: said, finish: 'stop', tokens: someTokens };
        expect(cases.value(`chat, ${kind}, ${model}`)).toEqual(answer);
        expect(cases.value(`chat_stream, ${kind}, ${model}`)).toEqual({
          ...answer,
          accumulated: said,
        });
      });

      it.each(language)('has a tool called by %s and goes on with its result', (model) => {
        expect(cases.value(`tool_turn, ${kind}, ${model}`)).toEqual({
          name: 'weather',
          arguments: { city: expect.any(String) as string },
          text: expect.stringContaining('The tool returned: 21 degrees') as string,
        });
      });

      it.each(language)('gets a response of %s and streams one, with usage', (model) => {
        expect(cases.value(`responses, ${kind}, ${model}`)).toEqual({
          text: said,
          status: 'completed',
          tokens: someTokens,
        });
        expect(cases.value(`responses_stream, ${kind}, ${model}`)).toEqual({
          text: said,
          whole: said,
          first: 'response.created',
          last: 'response.completed',
          tokens: someTokens,
        });
      });

      it('continues, retrieves and deletes a stored response', () => {
        expect(cases.value(`stored, ${kind}`)).toEqual({
          continued: expect.stringContaining('You said: And now?') as string,
          same: true,
          afterwards: 404,
        });
      });

      it('gets the same vectors whether the wire carries base64 or numbers', () => {
        expect(cases.value(`embeddings, ${kind}`)).toEqual({
          lengths: [embeddingDimensions, embeddingDimensions, embeddingDimensions],
          onTheWire: ['["', '["', '["'],
          near: true,
        });
      });

      it('lists every model', () => {
        expect(cases.value(`model_ids, ${kind}`)).toEqual(Object.values(models).toSorted());
      });

      it('returns its own type of error for a wrong key and for an unknown model', () => {
        expect(cases.failure(`wrong_key, ${kind}`)).toMatchObject({
          type: 'openai.Error',
          status: 401,
          code: 'invalid_api_key',
        });
        expect(cases.failure(`unknown_model, ${kind}`)).toMatchObject({
          type: 'openai.Error',
          status: 404,
          code: 'model_not_found',
          message: expect.stringContaining('no-such-model') as string,
        });
      });
    });

    it('is told how long to wait when its key is at its limit', () => {
      const failure = cases.failure('over_limit');
      expect(failure).toMatchObject({ type: 'openai.Error', status: 429 });
      expect(Number(failure.retryAfter)).toBeGreaterThan(0);
    });
  });
});

it('docs/clients.md names the version of the SDK for Go that runs', () => {
  const modules = readFileSync(join(clientsFolder, 'go', 'go.mod'), 'utf8');
  const version = /openai-go\/v\d+ v(\S+)/.exec(modules)?.[1];
  const page = readFileSync(join(clientsFolder, '..', '..', 'docs', 'clients.md'), 'utf8');
  expect(/^\| OpenAI SDK, Go \|[^|]*\|[^|]*\| (\S+) \|/m.exec(page)?.[1]).toBe(version);
});
