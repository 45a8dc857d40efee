/**
 * `npm run terraform --prefix cdktf`: `terraform validate` and `terraform test` on every stack and every variant, with a provider that is mocked: nothing
 * asks Azure. The test is `tests/STACK.tftest.hcl`, or for what has none that a plan can be made. With `AZURERM_PROVIDER_DIR`, the folder of a provider of the version that the bindings are of, or of azurerm 5
 * (`AZURERM_PROVIDER_MAJOR=5`), nothing is downloaded; else `terraform init` gets it. Exit code 1 when a stack does not pass.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forAzurerm5 } from './azurerm-5.ts';
import type { Json } from './snapshot-files.ts';
import { plainStacks } from './snapshots.ts';
import { variants } from './variants.ts';

const testFolder = join(import.meta.dirname, '..', 'tests');

type Environment = { readonly [name: string]: string | undefined };

/** Runs Terraform in a folder that has one stack. */
function passes(folder: string, steps: readonly string[][], environment: Environment): boolean {
  return steps.every((args) => {
    const { status, error } = spawnSync('terraform', args, {
      cwd: folder,
      stdio: 'inherit',
      env: { ...environment },
    });
    if (error !== undefined) process.stderr.write(`terraform cannot be run: ${error.message}\n`);
    return status === 0;
  });
}

/** The stack without its backend: there is no state to be read. */
function withoutBackend(stack: Json): Json {
  const { backend: _, ...terraform } = stack['terraform'] as Json;
  return { ...stack, terraform };
}

/** What a plan needs: what other stacks have made, in the form that Azure has for it since providers look at ids, and variables. */
const given = JSON.parse(readFileSync(join(testFolder, 'plan.json'), 'utf8')) as {
  readonly mock_data: Json;
  readonly variables: Json;
};

/** A test that plans a stack, all its variables set. */
function planOf(stack: Json): Json {
  const needed = Object.keys((stack['variable'] ?? {}) as Json);
  const variables = Object.entries(given.variables).filter(([name]) => needed.includes(name));
  return {
    mock_provider: { azurerm: { mock_data: given.mock_data } },
    variables: Object.fromEntries(variables),
    run: { plan: { command: 'plan' } },
  };
}

const folder = mkdtempSync(join(tmpdir(), 'aigateway-terraform-'));
try {
  const providerFolder = process.env['AZURERM_PROVIDER_DIR'];
  const environment: { [name: string]: string | undefined } = {
    ...process.env,
    CHECKPOINT_DISABLE: '1',
  };
  if (providerFolder !== undefined) {
    const file = join(folder, 'terraform.rc');
    const overrides = `dev_overrides { "hashicorp/azurerm" = ${JSON.stringify(providerFolder)} }`;
    writeFileSync(file, `provider_installation {\n  ${overrides}\n  direct {}\n}\n`);
    environment['TF_CLI_CONFIG_FILE'] = file;
  }
  const failed: string[] = [];
  const isFive = process.env['AZURERM_PROVIDER_MAJOR'] === '5';
  const stacks = [...(await plainStacks()), ...(await plainStacks(variants))];
  for (const [name, made] of stacks) {
    const stack = isFive ? forAzurerm5(made) : made;
    process.stdout.write(`== ${name}\n`);
    const own = join(folder, name);
    mkdirSync(join(own, 'tests'), { recursive: true });
    writeFileSync(join(own, 'main.tf.json'), JSON.stringify(withoutBackend(stack), null, 2));
    const tests = join(testFolder, `${name}.tftest.hcl`);
    if (existsSync(tests)) cpSync(tests, join(own, 'tests', 'stack.tftest.hcl'));
    else writeFileSync(join(own, 'tests', 'plan.tftest.json'), JSON.stringify(planOf(stack)));
    const init = ['init', '-backend=false', '-input=false'];
    const steps = [...(providerFolder === undefined ? [init] : []), ['validate'], ['test']];
    if (!passes(own, steps, environment)) failed.push(name);
  }
  process.stdout.write(failed.length === 0 ? 'all pass\n' : `failed: ${failed.join(', ')}\n`);
  process.exitCode = failed.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
