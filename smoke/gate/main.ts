/** `npm run smoke`: tries one environment with k6. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { commandOptions } from '../../scripts/command-options.ts';
import { toolPath } from '../../scripts/tools.ts';
import { loadShares } from './load-shares.ts';
import { gateSettings } from './settings.ts';

/** Longer than the scripts' own limits: only a k6 that hangs meets it. */
const longestRunMs = 300_000;

const help = `npm run smoke -- --env NAME [options]

  --env NAME           the environment: smoke/gate/environments/NAME.json has its address, its models and what has to hold
  --url URL            at this address instead
  --revision COMMIT    it has to say that it is this commit
  --load CALLERS       puts it under load instead, in steps up to so many callers at once
  --step-seconds N     length of a step (default 60)

Keys come from the environment: SMOKE_KEY, a key of every model; SMOKE_LIMITED_KEY, where the settings say "limits", one of three calls a minute.
Exit code 0 when all holds, 99 when something does not, 1 when it could not be tried.
`;

const values = commandOptions(help, {
  env: { type: 'string' },
  url: { type: 'string' },
  revision: { type: 'string', default: '' },
  load: { type: 'string' },
  'step-seconds': { type: 'string', default: '60' },
});

try {
  process.exitCode = run();
} catch (error) {
  console.error(`Cannot smoke: ${(error as Error).message}`);
  process.exitCode = 1;
}

function run(): number {
  const k6 = toolPath('k6');
  if (k6 === undefined) throw new Error('k6 is not there: npm run tools -- k6');
  if (values.env === undefined) throw new Error('--env names the environment');
  const settings = gateSettings(values.env);
  const { load, 'step-seconds': stepSeconds } = values;
  for (const [name, value] of Object.entries({ load, 'step-seconds': stepSeconds }))
    if (value !== undefined && !/^[1-9]\d{0,3}$/.test(value))
      throw new Error(`--${name} is a number from 1 to 9999`);
  const needsLimited = settings.limits && load === undefined;
  for (const name of ['SMOKE_KEY', ...(needsLimited ? ['SMOKE_LIMITED_KEY'] : [])]) {
    if (!process.env[name]) throw new Error(`${name} is not set`);
  }
  const { GITHUB_STEP_SUMMARY: summary } = process.env;
  const script = join(import.meta.dirname, load === undefined ? 'smoke.ts' : 'load.ts');
  const ran = spawnSync(k6, ['run', '--quiet', '--no-usage-report', '--no-color', script], {
    stdio: 'inherit',
    timeout:
      longestRunMs + (load === undefined ? 0 : loadShares.length * Number(stepSeconds) * 1000),
    env: {
      ...process.env,
      SMOKE_SETTINGS: JSON.stringify({ ...settings, url: values.url ?? settings.url }),
      SMOKE_REVISION: values.revision,
      ...(load !== undefined && { SMOKE_CALLERS: load, SMOKE_STEP_SECONDS: stepSeconds }),
      ...(summary && { SMOKE_SUMMARY: summary }),
    },
  });
  if (ran.error !== undefined) throw ran.error;
  return ran.status ?? 1;
}
