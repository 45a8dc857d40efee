import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCases } from './cases.ts';
import type { Cases } from './cases.ts';
import { clientsFolder, describeUnless } from './client-packages.ts';
import { canary, startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { preparePython } from './python-environment.ts';
import { keyOfEast, models } from './simulated-azure.ts';

const prompt = `${canary} Say hello.`;
const said = expect.stringContaining(`You said: ${prompt}`) as string;
/** Each of the commands loads all of LiteLLM first. */
const limitMs = 280_000;

const python = await preparePython('requirements-litellm.txt');
const lacking = 'missing' in python ? `missing: ${python.missing}` : undefined;

describeUnless(lacking, "LiteLLM's own client and command line", () => {
  let stage: Stage;
  let cases: Cases;

  beforeAll(async () => {
    if ('missing' in python) throw new Error(python.missing);
    stage = await startStage('all');
    const home = stage.home('litellm');
    cases = await runCases(
      {
        file: python.interpreter,
        args: [join(clientsFolder, 'programs', 'litellm_python.py')],
        environment: stage.environment(home, {
          PYTHONDONTWRITEBYTECODE: '1',
          LITELLM_LOCAL_MODEL_COST_MAP: 'True',
          GATEWAY_URL: stage.url,
          MASTER_KEY: stage.masterKey,
          PROMPT: prompt,
          MODEL: models.plain,
          UPSTREAM: JSON.stringify({
            model: `azure/${models.plain}`,
            api_base: stage.simulator.resourceUrl('east'),
            api_key: keyOfEast,
            api_version: '2025-04-01-preview',
          }),
        }),
        cwd: home,
      },
      limitMs,
    );
  });

  afterAll(async () => {
    await stage.end();
  });

  it('makes, lists, renames and deletes a key, which works meanwhile and for its model alone', () => {
    expect(cases.value('keys')).toEqual({
      prefix: 'sk-',
      listed: ['python-key'],
      counted: 1,
      models: [models.plain],
      renamed: 'renamed',
      answer: said,
      foreign: 403,
      deleted: true,
      after: 401,
    });
  });

  it('makes a user with a key, and knows an unknown one by its own class of error', () => {
    expect(cases.value('user_rows')).toEqual({
      listed: ['python-user'],
      info: ['internal_user', 1],
      flat: 'py@example.com',
      answer: said,
      gone: 1,
      missing: 'NotFoundError',
    });
  });

  it('makes a team whose limit holds, and whose keys go with it', () => {
    expect(cases.value('teams')).toEqual({
      listed: ['python-team'],
      paged: [1, true],
      available: [],
      limited: 429,
      answer: said,
      after: 401,
    });
  });

  it('adds a model that answers at once, changes it and takes it away, and sees no secret', () => {
    expect(cases.value('models')).toEqual({
      made: 'python-id',
      listed: true,
      found: ['python-model', true],
      answer: said,
      rpm: 7,
      secret: false,
      group: true,
      gone: 400,
    });
  });

  it('keeps credentials, masked', () => {
    expect(cases.value('credentials')).toEqual({
      listed: ['python-credential'],
      masked: true,
      left: [],
    });
  });

  it('is refused once a budget is spent', () => {
    expect(cases.value('budgets')).toEqual({ calls: [200, 429], info: 0.000_000_1 });
  });

  it('finds what was spent, by key, log and day', () => {
    expect(cases.value('spend')).toEqual({
      spent: true,
      logs: [[models.plain, true]],
      requests: true,
      global: true,
    });
  });

  it('chats, whole and streamed', () => {
    expect(cases.value('chat')).toEqual({ answer: said, streamed: said });
    expect(cases.value('health')).toEqual({ ready: 'healthy' });
    expect(cases.value('wrong_key')).toBe('UnauthorizedError');
  });

  it('works from the command line', () => {
    expect(cases.value('command_line')).toEqual({
      key: 'sk-',
      listed: true,
      user: 'cli@example.com',
      models: true,
      deleted: true,
    });
  });
});
