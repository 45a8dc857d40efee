import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { run, start } from './child-process.ts';
import type { Command } from './child-process.ts';
import { describeClient, packageFile } from './client-packages.ts';
import { failures } from './failing-resource.ts';
import { canary, startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { settingsFor } from './settings.ts';
import { models } from './simulated-azure.ts';

const limitMs = 90_000;
const prompt = `${canary} Say hello.`;
const said = `You said: ${prompt}`;

/** A prompt that makes the model run a command whose output is not part of the prompt. */
const commandPrompt = `${canary} [SIM:tool exec_command {"cmd":"echo made-by-$((40+2))"}] Run it.`;

const everyModel = [models.codex, models.reasoning, models.plain, models.chatOnly];

type CodexEvent = {
  type: string;
  message?: string;
  item?: { type: string; text?: string; exit_code?: number };
};
type CodexRun = {
  status: number | NodeJS.Signals;
  events: CodexEvent[];
  answer: string;
  stderr: string;
};

describeClient('Codex', ['@openai/codex'], () => {
  let stage: Stage;
  let runs = 0;

  beforeAll(async () => {
    stage = await startStage();
  });

  afterEach(() => {
    stage.simulator.clearFaults();
  });

  afterAll(async () => {
    await stage.end();
  });

  const commandOf = (settings: string, args: readonly string[]): Command => {
    runs += 1;
    const home = stage.home(`codex-${String(runs)}`);
    const codexHome = join(home, '.codex');
    const work = join(home, 'work');
    mkdirSync(codexHome);
    mkdirSync(work);
    writeFileSync(join(codexHome, 'config.toml'), settingsFor(settings, stage));
    return {
      file: process.execPath,
      args: [
        packageFile('@openai', 'codex', 'bin', 'codex.js'),
        'exec',
        '--json',
        '--skip-git-repo-check',
        ...args,
      ],
      environment: stage.environment(home, { CODEX_HOME: codexHome, GATEWAY_KEY: stage.key }),
      cwd: work,
    };
  };

  /** What the program asked last: the gateway's probes of a resource that failed before are no calls. */
  const lastCall = () => stage.simulator.requests().findLast(({ method }) => method === 'POST');

  const codex = async (settings: string, args: readonly string[]): Promise<CodexRun> =>
    readRun(await run(commandOf(settings, args), limitMs));

  describe.each(['codex.toml', 'codex-azure.toml'])('with %s', (settings) => {
    describe.each(everyModel)('with %s', (model) => {
      it('answers', async () => {
        const { status, answer, events } = await codex(settings, ['-m', model, prompt]);
        expect({ status, events }).toMatchObject({ status: 0 });
        expect(answer).toContain(said);
        expect(events.at(-1)).toMatchObject({
          type: 'turn.completed',
          usage: {
            input_tokens: expect.any(Number) as number,
            output_tokens: expect.any(Number) as number,
          },
        });
      });

      it('runs a command and goes on with its output', async () => {
        const { status, answer, events } = await codex(settings, ['-m', model, commandPrompt]);
        expect({ status, events }).toMatchObject({ status: 0 });
        expect(events.map(({ item }) => item)).toContainEqual(
          expect.objectContaining({
            type: 'command_execution',
            exit_code: 0,
            aggregated_output: 'made-by-42\n',
          }),
        );
        expect(answer).toContain('made-by-42');
      });
    });
  });

  describe.each(everyModel)('with %s', (model) => {
    it.each(failures)('answers although a resource $name', async ({ fault }) => {
      const from = stage.simulator.requests().length;
      stage.simulator.fault(fault);
      const { status, answer, events } = await codex('codex.toml', ['-m', model, commandPrompt]);
      expect({ status, events }).toMatchObject({ status: 0 });
      expect(answer).toContain('made-by-42');
      const struck = stage.simulator
        .requests()
        .slice(from)
        .filter((request) => request.fault !== undefined);
      expect(struck).toHaveLength(1);
      expect(
        events.filter(({ type, message }) => type === 'error' && message !== undefined),
      ).toEqual([]);
    });
  });

  it('goes on with a session when the resource that began it fails', async () => {
    // The command ends when the test has seen the first turn and has broken the resource that answered it.
    const flag = join(stage.home('flags'), 'broken');
    const command = commandOf('codex.toml', [
      `${canary} [SIM:tool exec_command {"cmd":"until [ -e ${flag} ]; do sleep 0.05; done; echo made-by-$((40+2))","yield_time_ms":20000}] Go.`,
    ]);
    const from = stage.simulator.requests().length;
    const running = start(command);
    const late = setTimeout(() => void running.stop(), limitMs);
    try {
      const first = await vi.waitFor(
        () => {
          const answered = stage.simulator
            .requests()
            .slice(from)
            .find(
              ({ status, finished, operation }) =>
                finished && status === 200 && operation === 'responses',
            );
          if (answered === undefined)
            throw new Error(running.output().stdout + running.output().stderr);
          return answered;
        },
        { timeout: limitMs },
      );
      const resource = first.resource ?? '';
      stage.simulator.fault({ kind: 'error', error: '500-internal', resource });
      writeFileSync(flag, '');
      const { status, answer, events } = readRun(await running.ended);
      expect({ status, events }).toMatchObject({ status: 0 });
      expect(answer).toContain('made-by-42');
      const other = resource === 'east' ? 'west' : 'east';
      expect(lastCall()).toMatchObject({ resource: other, status: 200 });
    } finally {
      clearTimeout(late);
      await running.stop();
    }
  });

  it('goes on with an earlier session', async () => {
    const command = commandOf('codex.toml', [prompt]);
    expect(readRun(await run(command, limitMs)).status).toBe(0);
    const resumed = {
      ...command,
      args: [...command.args.slice(0, -1), 'resume', '--last', `${canary} And now?`],
    };
    const { status, answer, events } = readRun(await run(resumed, limitMs));
    expect({ status, events }).toMatchObject({ status: 0 });
    expect(answer).toContain(`You said: ${canary} And now?`);
    expect(JSON.stringify(lastCall()?.body)).toContain(said);
  });

  it('falls back at once from a WebSocket that the gateway does not offer', async () => {
    const command = commandOf('codex.toml', [
      '-c',
      'model_providers.gateway.supports_websockets=true',
      prompt,
    ]);
    const { status, answer, events } = readRun(await run(command, limitMs));
    expect({ status, events }).toMatchObject({ status: 0 });
    expect(answer).toContain(said);
    expect(JSON.stringify(events)).not.toContain('Reconnecting');
  });

  it('has nothing of its headers sent upstream', () => {
    const sent = stage.simulator.requests().flatMap(({ headers }) => Object.keys(headers));
    expect(
      sent.filter((name) => /^(x-codex|session|thread|originator|authorization$)/.test(name)),
    ).toEqual([]);
  });

  it('shows why its key was refused', async () => {
    const command = commandOf('codex.toml', [prompt]);
    const environment = { ...command.environment, GATEWAY_KEY: 'sk-nobody-knows-this-key' };
    const { status, events } = readRun(await run({ ...command, environment }, limitMs));
    expect(status).toBe(1);
    expect(JSON.stringify(events)).toContain('The API key was refused');
  });
});

function readRun({
  status,
  stdout,
  stderr,
}: {
  status: number | NodeJS.Signals;
  stdout: string;
  stderr: string;
}): CodexRun {
  const events = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as CodexEvent);
  const answer = events.findLast(({ item }) => item?.type === 'agent_message')?.item?.text ?? '';
  return { status, events, answer, stderr };
}
