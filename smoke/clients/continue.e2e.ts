import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { run } from './child-process.ts';
import type { Ended } from './child-process.ts';
import { describeClient, packageFile } from './client-packages.ts';
import { failures } from './failing-resource.ts';
import { canary, startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { settingsFor } from './settings.ts';
import { models } from './simulated-azure.ts';

const limitMs = 60_000;
const prompt = `${canary} Say hello.`;
const commandPrompt = `${canary} [SIM:tool Bash {"command":"echo made-by-$((40+2))"}] Run it.`;

type ContinueConfig = { models: { name: string; model: string }[] };

describeClient('Continue', ['@continuedev/cli'], () => {
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

  /** Runs the program with one entry of the settings, as it would be with that entry chosen. */
  const cn = async (
    entry: string,
    model: string | undefined,
    text: string,
    key?: string,
  ): Promise<Ended> => {
    runs += 1;
    const home = stage.home(`continue-${String(runs)}`);
    const work = join(home, 'work');
    mkdirSync(work);
    const access = key === undefined ? stage : { ...stage, key };
    const config = parse(settingsFor('continue.yaml', access)) as ContinueConfig;
    const chosen = config.models.find(({ name }) => name === entry);
    if (chosen === undefined) throw new Error(`the settings have no ${entry}`);
    if (model !== undefined) chosen.model = model;
    const file = join(home, 'config.yaml');
    writeFileSync(file, stringify({ ...config, models: [chosen] }));
    return await run(
      {
        file: process.execPath,
        args: [
          packageFile('@continuedev', 'cli', 'dist', 'cn.js'),
          '-p',
          '--silent',
          '--auto',
          '--config',
          file,
          text,
        ],
        environment: stage.environment(home, {
          CONTINUE_GLOBAL_DIR: home,
          CONTINUE_CLI_ENABLE_TELEMETRY: '0',
          CONTINUE_METRICS_ENABLED: '0',
        }),
        cwd: work,
      },
      limitMs,
    );
  };

  const entries = [
    { entry: 'Chat', model: undefined },
    { entry: 'Chat', model: models.plain },
    { entry: 'Chat', model: models.chatOnly },
    { entry: 'Codex', model: undefined },
    { entry: 'Azure', model: undefined },
  ];

  describe.each(entries)('with the entry $entry (model $model)', ({ entry, model }) => {
    it('answers', async () => {
      const { status, stdout, stderr } = await cn(entry, model, prompt);
      expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
      expect(stdout).toContain(`You said: ${prompt}`);
    });

    it('runs a command and goes on with its output', async () => {
      const { status, stdout, stderr } = await cn(entry, model, commandPrompt);
      expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
      expect(stdout).toContain('The tool returned: made-by-42');
    });
  });

  it.each(failures)('answers although a resource $name', async ({ fault }) => {
    const from = stage.simulator.requests().length;
    stage.simulator.fault(fault);
    const { status, stdout, stderr } = await cn('Codex', undefined, commandPrompt);
    expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
    expect(stdout).toContain('The tool returned: made-by-42');
    const struck = stage.simulator
      .requests()
      .slice(from)
      .filter((request) => request.fault !== undefined);
    expect(struck).toHaveLength(1);
  });

  it('shows why its key was refused, at once', async () => {
    const { status, stdout, stderr } = await cn(
      'Chat',
      undefined,
      prompt,
      'sk-nobody-knows-this-key',
    );
    expect(status).toBe(1);
    expect(stdout + stderr).toContain('The API key was refused');
  });
});
