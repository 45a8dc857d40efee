import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { run } from './child-process.ts';
import type { Ended } from './child-process.ts';
import { describeClient, packageFile } from './client-packages.ts';
import { failures } from './failing-resource.ts';
import { canary, startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { environmentFor } from './settings.ts';
import { models } from './simulated-azure.ts';

const limitMs = 60_000;
/** The program sends more than this as the user's text, so an echo would not begin with it. */
const prompt = `${canary} [SIM:say hello-from-the-model]`;
/** It may miss what a command writes in its last moment; hence the pause. */
const commandPrompt = `${canary} [SIM:tool run_shell_command {"command":"echo made-by-$((40+2)); sleep 0.5","is_background":false}] Run it.`;

/** What it would otherwise send to its maker. */
const quiet = {
  general: { enableAutoUpdate: false },
  privacy: { usageStatisticsEnabled: false },
  telemetry: { enabled: false },
};

type Result = {
  type: string;
  is_error?: boolean;
  result?: string;
  usage?: { total_tokens?: number };
};

describeClient('Qwen Code', ['@qwen-code/qwen-code'], () => {
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

  const qwen = async (type: string, model: string, text: string, key?: string): Promise<Ended> => {
    runs += 1;
    const home = stage.home(`qwen-${String(runs)}`);
    const work = join(home, 'work');
    mkdirSync(work);
    mkdirSync(join(home, '.qwen'));
    writeFileSync(join(home, '.qwen', 'settings.json'), JSON.stringify(quiet));
    const access = key === undefined ? stage : { ...stage, key };
    return await run(
      {
        file: process.execPath,
        args: [
          packageFile('@qwen-code', 'qwen-code', 'cli-entry.js'),
          '--auth-type',
          type,
          '-m',
          model,
          '-o',
          'json',
          '-y',
          text,
        ],
        environment: stage.environment(home, {
          ...environmentFor('qwen-code.env', access),
          OPENAI_MODEL: model,
        }),
        cwd: work,
      },
      limitMs,
    );
  };

  const types = ['openai', 'openai-responses'];
  const language = [models.plain, models.reasoning, models.chatOnly, models.codex];

  describe.each(types)('with --auth-type %s', (type) => {
    it.each(language)('gets an answer of %s, with usage', async (model) => {
      const { status, stdout, stderr } = await qwen(type, model, prompt);
      expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
      const result = resultOf(stdout);
      expect(result).toMatchObject({ is_error: false });
      expect(result?.result).toBe('hello-from-the-model');
      expect(result?.usage?.total_tokens).toBeGreaterThan(0);
    });

    it.each(language)('runs a command for %s and goes on with its output', async (model) => {
      const { status, stdout, stderr } = await qwen(type, model, commandPrompt);
      expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
      expect(resultOf(stdout)?.result).toContain('made-by-42');
    });
  });

  it.each(failures)('answers although a resource $name', async ({ fault }) => {
    const from = stage.simulator.requests().length;
    stage.simulator.fault(fault);
    const { status, stdout, stderr } = await qwen('openai', models.codex, commandPrompt);
    expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
    expect(resultOf(stdout)?.result).toContain('made-by-42');
    const struck = stage.simulator
      .requests()
      .slice(from)
      .filter((request) => request.fault !== undefined);
    expect(struck).toHaveLength(1);
  });

  it('shows why its key was refused, at once', async () => {
    const { status, stdout, stderr } = await qwen(
      'openai',
      models.plain,
      prompt,
      'sk-nobody-knows-this-key',
    );
    expect(status).toBe(1);
    expect(stdout + stderr).toContain('The API key was refused');
  });
});

/** The last event of its JSON output. */
function resultOf(stdout: string): Result | undefined {
  const start = stdout.indexOf('[');
  const events = JSON.parse(stdout.slice(start)) as Result[];
  return events.findLast(({ type }) => type === 'result');
}
