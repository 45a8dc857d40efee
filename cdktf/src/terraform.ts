/**
 * `npm run terraform --prefix cdktf`: `terraform validate` and `terraform test` on every stack and every variant, with a provider that is mocked: nothing
 * asks Azure. The test is `tests/STACK.tftest.hcl`, or for what has none that a plan can be made. With `AZURERM_PROVIDER_DIR`, the folder of a provider of the version that the bindings are of, or of azurerm 5
 * (`AZURERM_PROVIDER_MAJOR=5`), nothing is downloaded; else `terraform init` gets it. Exit code 1 when a stack does not pass.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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

const group = '/subscriptions/00000000-0000-4000-8000-000000000003/resourceGroups/group';

/** What stacks read that another one makes, in the form that Azure has for it: providers look at ids. */
const found: Json = {
  azurerm_container_app_environment: {
    id: `${group}/providers/Microsoft.App/managedEnvironments/apps`,
    default_domain: 'kind-sea-1.westeurope.azurecontainerapps.io',
  },
  azurerm_user_assigned_identity: {
    id: `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/proxy`,
    client_id: '00000000-0000-4000-8000-000000000004',
    principal_id: '00000000-0000-4000-8000-000000000005',
  },
};

const values: Json = {
  tenant_id: '00000000-0000-4000-8000-000000000001',
  subscription_id: '00000000-0000-4000-8000-000000000002',
  postgres_password: 'Planned-and-kept-nowhere-1',
  image: `registry.example/aigateway@sha256:${'0'.repeat(64)}`,
};

/** A test that plans a stack, all its variables set. */
function planOf(stack: Json): Json {
  const needed = Object.keys((stack['variable'] ?? {}) as Json).filter((name) => name in values);
  const mocked = Object.entries(found).map(([type, defaults]) => [type, { defaults }]);
  return {
    mock_provider: { azurerm: { mock_data: Object.fromEntries(mocked) as Json } },
    variables: Object.fromEntries(needed.map((name) => [name, values[name]])) as Json,
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
