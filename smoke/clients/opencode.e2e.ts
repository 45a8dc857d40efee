import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { run } from './child-process.ts';
import type { Ended } from './child-process.ts';
import { describeClient, packageFile } from './client-packages.ts';
import { failures } from './failing-resource.ts';
import { canary, startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { settingsFor } from './settings.ts';
import { models } from './simulated-azure.ts';

const limitMs = 90_000;
const prompt = `${canary} Say hello.`;
const commandPrompt = `${canary} [SIM:tool bash {"command":"echo made-by-$((40+2))","description":"prints"}] Run it.`;

/** Providers of the settings file, each with the models it has there. */
const choices = [
  `gateway/${models.plain}`,
  `gateway/${models.codex}`,
  `gateway-responses/${models.codex}`,
  `gateway-responses/${models.chatOnly}`,
];

describeClient('opencode', ['opencode-ai'], () => {
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

  const opencode = async (model: string, text: string): Promise<Ended> => {
    runs += 1;
    const home = stage.home(`opencode-${String(runs)}`);
    const work = join(home, 'work');
    mkdirSync(work);
    writeFileSync(join(work, 'opencode.json'), settingsFor('opencode.json', stage));
    return await run(
      {
        file: packageFile('.bin', 'opencode'),
        args: ['run', '--model', model],
        // It takes its folder from PWD, and text on standard input as it is.
        environment: stage.environment(home, {
          PWD: work,
          OPENCODE_DISABLE_MODELS_FETCH: '1',
          OPENCODE_DISABLE_AUTOUPDATE: '1',
        }),
        cwd: work,
        stdin: text,
      },
      limitMs,
    );
  };

  describe.each(choices)('with %s', (model) => {
    it('answers', async () => {
      const { status, stdout, stderr } = await opencode(model, prompt);
      expect({ status, stderr }).toMatchObject({ status: 0 });
      expect(stdout).toContain(`You said: ${prompt}`);
    });

    it('runs a command and goes on with its output', async () => {
      const { status, stdout, stderr } = await opencode(model, commandPrompt);
      expect({ status, stderr }).toMatchObject({ status: 0 });
      expect(stdout).toContain('The tool returned: made-by-42');
    });
  });

  it.each(failures)('answers although a resource $name', async ({ fault }) => {
    const from = stage.simulator.requests().length;
    stage.simulator.fault(fault);
    const { status, stdout, stderr } = await opencode(
      `gateway-responses/${models.codex}`,
      commandPrompt,
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stdout).toContain('The tool returned: made-by-42');
    const struck = stage.simulator
      .requests()
      .slice(from)
      .filter((request) => request.fault !== undefined);
    expect(struck).toHaveLength(1);
  });
});
