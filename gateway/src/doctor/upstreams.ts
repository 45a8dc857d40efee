import { describeMethod } from '@aigateway/contract/compile-credential';
import type { CredentialRecord, DeploymentRecord } from '@aigateway/contract/records';
import { createCredentials, type Credential } from '@aigateway/proxy/upstream/credential';
import { probe, type ProbeResult } from '@aigateway/proxy/upstream/probe';
import { createTransport, type Transport } from '@aigateway/proxy/upstream/transport';
import { transportOptions } from '../start.ts';
import { about, type Check, type Finding, type Patient } from './finding.ts';
import { ownSecrets, withoutTexts } from './report.ts';
import { explained, lost } from './upstream-failures.ts';

/**
 * Whether each deployment could serve: its way to sign in gives something, its host answers and takes it, and the deployment is there.
 * Without tokens: the list of models is asked for, and the deployment for nothing at all.
 */
export const checkUpstreams: Check = {
  area: 'upstream',
  async run(patient) {
    const { server, records } = patient.configuration.compiled;
    if (patient.role === 'control-plane') return [];
    const { upstreams, found: ofStore } =
      patient.role === 'all'
        ? await (await import('./stored-models.ts')).withStored(patient)
        : { upstreams: records, found: [] };
    if (upstreams.deployments.length === 0) return [...ofStore, withoutDeployments(patient)];
    const options = transportOptions(server, patient.environment);
    const transport = createTransport(options);
    const credentials = createCredentials({
      clock: { now: Date.now },
      environment: patient.environment,
      vaultIdentity: server.vaultIdentity,
      caCertificates: options.caCertificates,
      onEvent: () => undefined,
    });
    try {
      const found = await Promise.all(
        byAccess(upstreams.deployments).map(async (deployments) => {
          const [first] = deployments;
          const record = upstreams.credentials.find(({ id }) => id === first?.credential);
          if (first === undefined || record === undefined) return [];
          const { origin } = first.resource;
          const credential = credentials.get(record, origin, first.dialect);
          const access = { deployments, record, credential, transport };
          return ofAccess(access, patient.apiVersion);
        }),
      );
      return withoutTexts([...ofStore, ...found.flat()], upstreams.credentials.flatMap(ownSecrets));
    } finally {
      credentials.close();
      await transport.close();
    }
  },
};

function withoutDeployments({ role, configuration }: Patient): Finding {
  const { ok, warning } = about('upstream', 'models');
  if (role === 'proxy' && configuration.compiled.server.redis !== undefined)
    return ok('none are configured here: they come from the control plane');
  return configuration.compiled.server.profile === 'development'
    ? warning(
        'none are configured: simulated ones are served',
        'Set AZURE_OPENAI_URL, or write model_list into the file.',
      )
    : warning('none are configured', 'Set AZURE_OPENAI_URL, or write model_list into the file.');
}

/** Deployments that are reached in the same way: at one resource, with one credential, by one version of the API. */
function byAccess(deployments: readonly DeploymentRecord[]): DeploymentRecord[][] {
  const groups = Map.groupBy(deployments, ({ resource, credential, dialect, apiVersion }) =>
    JSON.stringify([resource.origin, resource.basePath, credential, dialect, apiVersion]),
  );
  return [...groups.values()];
}

type Access = {
  readonly deployments: readonly DeploymentRecord[];
  readonly record: CredentialRecord;
  readonly credential: Credential;
  readonly transport: Transport;
};

async function ofAccess(access: Access, apiVersion: string | undefined): Promise<Finding[]> {
  const { deployments, record, credential, transport } = access;
  const [first] = deployments;
  if (first === undefined) return [];
  const { ok, failed, warning } = about('upstream', addressOf(first));
  const method = describeMethod(record.method);
  try {
    await credential.header();
  } catch (error) {
    const { message, change } = lost(error, record.method);
    return [failed(`${method}: ${message}`, change)];
  }
  const found = [ok(`signs in by ${method}, and by nothing else`)];
  const list = await probe(first, credential, transport);
  const isFound = list.ok || (first.dialect === 'openai' && list.status === 404);
  if (!isFound) {
    const { status, message, change } = explained(list, first, record.method);
    found.push(status === 'warning' ? warning(message, change) : failed(message, change));
    if (status === 'failed') return found;
  } else if (list.ok) found.push(ok(`answers, and takes the credential (${versionOf(first)})`));
  else found.push(ok('answers, and has no list of models'));
  const ofDeployments = await Promise.all(
    deployments.map((deployment) => ofDeployment(deployment, access, apiVersion)),
  );
  return [...found, ...ofDeployments.flat()];
}

async function ofDeployment(
  deployment: DeploymentRecord,
  { record, credential, transport }: Access,
  apiVersion: string | undefined,
): Promise<Finding[]> {
  const { ok, failed, warning } = about('upstream', nameOf(deployment));
  if (deployment.blocked === true) return [ok('is taken out of service, and not asked')];
  if (deployment.deployment.includes('*')) return [ok('any name is tried as a deployment')];
  const result = await probe(deployment, credential, transport, { level: 'deployment' });
  const found = [];
  if (result.ok) found.push(ok(`${deployment.deployment} is there`));
  else {
    const { status, message, change } = explained(result, deployment, record.method);
    found.push(status === 'warning' ? warning(message, change) : failed(message, change));
  }
  if (apiVersion === undefined || deployment.dialect === 'openai') return found;
  const other = withVersion(deployment, apiVersion);
  if (versionOf(other) === versionOf(deployment)) return found;
  const tried = await probe(other, credential, transport, { level: 'deployment' });
  return [...found, difference(deployment, result, other, tried, record)];
}

function withVersion(deployment: DeploymentRecord, apiVersion: string): DeploymentRecord {
  const { apiVersion: _, ...rest } = deployment;
  return apiVersion === 'v1'
    ? { ...rest, dialect: 'v1' }
    : { ...rest, dialect: 'classic', apiVersion };
}

/** What another version of the API would change, as far as that shows without a call that costs tokens. */
function difference(
  deployment: DeploymentRecord,
  now: ProbeResult,
  other: DeploymentRecord,
  tried: ProbeResult,
  record: CredentialRecord,
): Finding {
  const { ok, warning } = about('upstream', nameOf(deployment));
  const [version, present] = [versionOf(other), versionOf(deployment)];
  if (tried.ok)
    return ok(now.ok ? `answers in the same way by ${version}` : `answers by ${version}`);
  const { message } = explained(tried, other, record.method);
  return now.ok
    ? warning(`by ${version}: ${message}`, `Stay with ${present}.`)
    : ok(`by ${version} no better: ${message}`);
}

/** Ids that nobody gave say nothing to people. */
function nameOf({ id, model }: DeploymentRecord): string {
  return id === model ? id : `${model} (${id})`;
}

function versionOf({ dialect, apiVersion }: DeploymentRecord): string {
  if (dialect === 'openai') return 'paths as OpenAI has them';
  const version = apiVersion === undefined ? '' : `, api-version ${apiVersion}`;
  return dialect === 'v1' ? `/openai/v1${version}` : `deployments path${version}`;
}

function addressOf({ resource }: DeploymentRecord): string {
  return resource.origin + resource.basePath;
}
