import { type AzureUrl, parseAzureUrl, readApiVersion } from './azure-url.ts';
import type { DeploymentContext } from './compile-context.ts';
import type { Provider } from './compile-model-name.ts';
import type { UpstreamConfig } from './config.ts';
import { type ConfigPath, formatPath } from './config-problems.ts';
import { azureVersionNames, firstSet, unsetVariable } from './environment-config.ts';
import type { DialectName } from './records.ts';

/** Api-version of a deployment address that names none: the last dated one, which has everything that classic has. */
export const lastDatedVersion = '2025-04-01-preview';

const azureAddresses = ['AZURE_API_BASE', 'AZURE_OPENAI_ENDPOINT', 'AZURE_OPENAI_URL'];
const openAiAddresses = ['OPENAI_API_BASE', 'OPENAI_BASE_URL'];

/** The address of a deployment: the entry's, its credential's, or the environment's. */
export function readAddress(
  upstream: UpstreamConfig,
  provider: Provider,
  credentialName: string | undefined,
  path: ConfigPath,
  context: DeploymentContext,
): AzureUrl | undefined {
  const { environment, report, unset } = context;
  const written = upstream.api_base ?? upstream.base_url;
  const place = [...path, 'api_base'];
  const variable = firstSet(environment, provider === 'azure' ? azureAddresses : openAiAddresses);
  const named = credentialName === undefined ? undefined : context.credentials.get(credentialName);
  const missing = [path, ...(named === undefined ? [] : [named.path])]
    .flatMap((at) => [
      [...at, 'api_base'],
      [...at, 'base_url'],
    ])
    .map((at) => unset.get(formatPath(at)))
    .find((variableName) => variableName !== undefined);
  if (missing !== undefined) {
    const { message, hint } = unsetVariable(missing, environment);
    report.problem(place, message, hint);
    return undefined;
  }
  const text =
    written ??
    (variable === undefined ? undefined : environment[variable]) ??
    (provider === 'openai' ? 'https://api.openai.com/v1' : undefined);
  if (text === undefined) {
    report.problem(
      place,
      'is missing',
      'Give the address of the resource, for example https://my-resource.openai.azure.com',
    );
    return undefined;
  }
  if (written === undefined && variable !== undefined) {
    report.notice('decision', place, `no address is given: ${variable} is used`);
  }
  const url = parseAzureUrl(text, { allowInsecure: context.allowInsecure });
  if (!url.ok) {
    report.problem(place, url.problem.replace(/\.$/, ''), url.hint);
    return undefined;
  }
  const allowed = context.config.aigateway_settings?.allowed_upstream_hosts;
  const { hostname } = new URL(url.origin);
  if (allowed !== undefined && !allowed.some((pattern) => matchesHost(pattern, hostname))) {
    report.problem(place, `has the host ${hostname}, which allowed_upstream_hosts does not name`);
    return undefined;
  }
  for (const note of url.notes) report.notice('decision', place, note);
  return url;
}

function matchesHost(pattern: string, hostname: string): boolean {
  const lower = pattern.toLowerCase();
  return lower.startsWith('*.') ? hostname.endsWith(lower.slice(1)) : hostname === lower;
}

/** The address decides first, where it says something; then the configured version; a bare resource is spoken to on v1. */
export function chooseDialect(
  url: AzureUrl,
  upstream: UpstreamConfig,
  provider: Provider,
  path: ConfigPath,
  context: DeploymentContext,
): { name: DialectName; apiVersion?: string } | undefined {
  const { report, environment, config } = context;
  if (
    url.dialect === 'openai' ||
    (provider === 'openai' && url.kind === 'other' && url.decidedBy === 'default')
  ) {
    return { name: 'openai' };
  }
  const place = [...path, 'api_version'];
  const variable = firstSet(environment, azureVersionNames);
  const text =
    upstream.api_version ??
    url.apiVersion ??
    config.litellm_settings?.api_version ??
    (variable === undefined ? undefined : environment[variable]);
  const version = text === undefined ? undefined : readApiVersion(text);
  if (typeof version === 'object' && 'ok' in version) {
    report.problem(place, version.problem.replace(/\.$/, ''), version.hint);
    return undefined;
  }
  const dated = typeof version === 'object' ? version.dated : undefined;
  if (url.dialect === 'v1' && url.decidedBy === 'path') {
    if (dated !== undefined && upstream.api_version !== undefined) {
      report.notice(
        'decision',
        place,
        'is left out: api_base names the /openai/v1 path, which refuses dated versions',
      );
    }
    return version === 'preview' ? { name: 'v1', apiVersion: 'preview' } : { name: 'v1' };
  }
  if (dated !== undefined) return { name: 'classic', apiVersion: dated };
  if (version === 'preview') return { name: 'v1', apiVersion: 'preview' };
  if (version === 'v1') return { name: 'v1' };
  if (url.dialect === 'classic') {
    report.notice(
      'decision',
      place,
      `no api-version is given: ${lastDatedVersion} is used on the deployments path`,
    );
    return { name: 'classic', apiVersion: lastDatedVersion };
  }
  report.notice(
    'decision',
    place,
    'no api-version is given: the /openai/v1 path is used, which needs none',
  );
  return { name: 'v1' };
}

/** A full deployment address keeps its own deployment, as in LiteLLM. */
export function deploymentName(
  asked: string,
  url: AzureUrl,
  path: ConfigPath,
  context: DeploymentContext,
): string {
  if (url.deployment === undefined || url.deployment === asked || asked.includes('*')) return asked;
  context.report.notice(
    'decision',
    [...path, 'api_base'],
    `names the deployment ${url.deployment}, which is used`,
  );
  return url.deployment;
}
