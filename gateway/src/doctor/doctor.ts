import { checkConfiguration } from './configuration.ts';
import { checkFiles } from './files.ts';
import type { Check, Finding, Patient } from './finding.ts';
import { checkProcess } from './process.ts';
import { checkRedis } from './redis.ts';
import { withoutSecrets } from './report.ts';
import { checkStore } from './store.ts';
import { checkUpstreams } from './upstreams.ts';

/** Everything that a gateway depends on, in the order it is told. */
const checks: readonly Check[] = [
  checkConfiguration,
  checkProcess,
  checkFiles,
  checkUpstreams,
  checkRedis,
  checkStore,
];

/**
 * Looks at the configuration and then, where it can be used, at everything that the gateway of this role depends on. Changes nothing,
 * uses no tokens, and never throws.
 */
export async function diagnose(patient: Patient): Promise<readonly Finding[]> {
  const isUsable = patient.configuration.compiled.problems.length === 0;
  const run = isUsable ? checks : [checkConfiguration];
  const found = await Promise.all(run.map((check) => findingsOf(check, patient)));
  return withoutSecrets(found.flat(), patient);
}

async function findingsOf(check: Check, patient: Patient): Promise<readonly Finding[]> {
  try {
    return await check.run(patient);
  } catch (error) {
    const message = error instanceof Error ? error.message : 'for no known reason';
    return [
      { area: check.area, subject: 'check', status: 'failed', message: `it broke off: ${message}` },
    ];
  }
}
