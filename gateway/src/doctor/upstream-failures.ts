import type { CredentialMethod, DeploymentRecord } from '@aigateway/contract/records';
import { describeError } from '@aigateway/proxy/telemetry/logger';
import { apiVersionChange } from '@aigateway/proxy/upstream/failure';
import type { ProbeResult } from '@aigateway/proxy/upstream/probe';

/** A failure in words, and what to change. */
export type Explanation = {
  readonly status: 'warning' | 'failed';
  readonly message: string;
  readonly change: string;
};

/** Why a credential gives nothing to sign in with. */
export function lost(
  error: unknown,
  method: CredentialMethod,
): Pick<Explanation, 'message' | 'change'> {
  const { cause } = error as { cause?: unknown };
  return { message: describeError(cause ?? error).message, change: changeOf(method) };
}

function changeOf(method: CredentialMethod): string {
  switch (method.kind) {
    case 'api-key':
    case 'token': {
      const secret = method.kind === 'api-key' ? method.key : method.token;
      if (secret.kind !== 'vault') return 'Give it the value; see docs/guides/azure.md.';
      return 'Let the identity of this process read secrets of the vault (Key Vault Secrets User), and reach it.';
    }
    case 'managed-identity':
      return 'Run where Azure gives the process an identity, and name its client id (azure_client_id, AZURE_CLIENT_ID) where it has several.';
    case 'workload-identity':
      return 'Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE, as the webhook of workload identity does.';
    case 'client-secret':
      return 'Look at tenant, client id and secret: the secret may have expired.';
    case 'client-certificate':
      return 'Look at tenant, client id and the file of the certificate.';
    case 'developer':
      return 'Sign in with "az login" or "azd auth login".';
    case 'none':
      return 'Nothing is needed.';
  }
}

/** Why an upstream, or a deployment of it, did not answer as one that could serve. */
export function explained(
  { status, failure, cause }: ProbeResult,
  deployment: DeploymentRecord,
  method: CredentialMethod,
): Explanation {
  const said = failure === undefined || failure.message === '' ? '' : `: ${failure.message}`;
  const failed = (message: string, change: string): Explanation => ({
    status: 'failed',
    message,
    change,
  });
  const warning = (message: string, change: string): Explanation => ({
    status: 'warning',
    message,
    change,
  });
  switch (failure?.kind) {
    case 'unreachable':
    case 'aborted':
      return failed(`cannot be reached${causeOf(cause)}`, changeOfNetwork(cause));
    case 'timeout':
      return failed(
        `does not answer in time${causeOf(cause)}`,
        'Let this machine connect to it: egress rules, private endpoint, and proxy where one is needed.',
      );
    case 'auth':
      return failed(
        `refuses the credential (${status})${said}`,
        method.kind === 'api-key' || method.kind === 'token'
          ? 'Take the key from "Keys and Endpoint" of the same resource; where keys are disabled there, sign in with an identity.'
          : 'Give the identity the role "Cognitive Services OpenAI User" on the resource; a new role takes some minutes.',
      );
    case 'network_refused':
      return failed(
        `keeps this machine out (${status})${said}`,
        "Allow this machine's address in the resource's networking, or reach it by its private endpoint.",
      );
    case 'resource_blocked':
      return failed(`is suspended (${status})${said}`, 'Ask Azure why; it may take a while.');
    case 'deployment_missing':
      return failed(
        `there is no deployment ${deployment.deployment}`,
        'Name one that the resource has as litellm_params.model: azure/NAME. A new one takes some minutes.',
      );
    case 'api_version':
    case 'operation_unsupported':
      return failed(
        `does not know the path, or not by this version of the API (${status})${said}`,
        `Compare api_base with the portal, and ${apiVersionChange}; --api-version tries another.`,
      );
    case 'rate_limited':
    case 'capacity_exhausted':
    case 'no_capacity':
      return warning(
        `is there, and at its limit now (${status})`,
        'Try again later; raise its quota if it is so for long.',
      );
    case 'quota_exhausted':
      return failed(`its quota is used up (${status})${said}`, 'Raise the quota.');
    case 'unavailable':
      return failed(`fails (${status})${said}`, "Look at the resource's health in Azure.");
    default:
      return failed(`answers ${status}${said}`, 'Compare api_base and model with the portal.');
  }
}

function causeOf(cause: ProbeResult['cause']): string {
  if (cause === undefined) return '';
  const { code, message } = describeError(cause);
  const words = message === '' ? '' : `: ${message}`;
  return code === undefined || message.includes(code) ? words : ` (${code})${words}`;
}

function changeOfNetwork(cause: ProbeResult['cause']): string {
  const code = describeError(cause).code ?? '';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return 'The name has no address here: look for a mistake in api_base, and at DNS (private endpoints need their zone).';
  if (/CERT|SSL|TLS|SELF_SIGNED|ALTNAME|SIGNATURE|ISSUER/.test(code))
    return 'Its certificate is not trusted: name the authority by ca_file, or set right the address.';
  return 'Nobody listens there, or something between: look at address, port, egress rules and proxy.';
}
