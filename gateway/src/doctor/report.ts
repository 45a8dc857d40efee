import type { CredentialRecord } from '@aigateway/contract/records';
import type { Finding, FindingStatus, Patient } from './finding.ts';

/** The findings for people: one line for each, and one for what to change. */
export function reportLines(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ area }) => area.length));
  return [
    ...findings.flatMap(({ area, subject, status, message, change }) => [
      `${status.padEnd(7)}  ${area.padEnd(width)}  ${subject}: ${message}`,
      ...(change === undefined ? [] : [`${' '.repeat(width + 11)}→ ${change}`]),
    ]),
    '',
    `${count(findings, 'ok')} ok, ${count(findings, 'warning')} to look at, ${count(findings, 'failed')} failed`,
  ];
}

/** The same for programs. */
export function reportJson(findings: readonly Finding[]): string {
  const totals = {
    ok: count(findings, 'ok'),
    warning: count(findings, 'warning'),
    failed: count(findings, 'failed'),
  };
  return JSON.stringify({ ...totals, findings }, undefined, 2);
}

/** Whether the gateway cannot do what it is for. */
export function hasFailed(findings: readonly Finding[]): boolean {
  return count(findings, 'failed') > 0;
}

function count(findings: readonly Finding[], status: FindingStatus): number {
  return findings.filter((finding) => finding.status === status).length;
}

const secretVariable = /key|secret|password|token|credential|_url$|connection|proxy/i;
/** Shorter values are words that stand in every text. */
const leastLength = 6;

/** What others say (a driver, an issuer, a server) may repeat what it was given: no value of the environment that is a secret gets out. */
export function withoutSecrets(
  findings: readonly Finding[],
  { environment }: Patient,
): readonly Finding[] {
  const secrets = Object.entries(environment)
    .filter(([name]) => secretVariable.test(name))
    .flatMap(([, value = '']) => [value, passwordOf(value)])
    .filter((value) => !isAddress(value));
  return withoutTexts(findings, secrets);
}

/** The findings without some texts, as far as these are no ordinary words. */
export function withoutTexts(
  findings: readonly Finding[],
  texts: readonly string[],
): readonly Finding[] {
  const long = texts.filter(({ length }) => length >= leastLength);
  const clean = (text: string) =>
    long.reduce((left, secret) => left.replaceAll(secret, '[redacted]'), text);
  return findings.map((finding) => ({
    ...finding,
    subject: clean(finding.subject),
    message: clean(finding.message),
    ...(finding.change !== undefined && { change: clean(finding.change) }),
  }));
}

/** The secret of a credential that states it itself. */
export function ownSecrets({ method }: CredentialRecord): readonly string[] {
  const references =
    'key' in method
      ? [method.key]
      : 'token' in method
        ? [method.token]
        : 'secret' in method
          ? [method.secret]
          : [];
  return references.flatMap((reference) => (reference.kind === 'inline' ? [reference.value] : []));
}

function passwordOf(text: string): string {
  const password = URL.parse(text)?.password ?? '';
  try {
    return decodeURIComponent(password);
  } catch {
    return password;
  }
}

/** An address without a password is what an operator looks for. */
function isAddress(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && url.host !== '' && url.password === '' && url.search === '';
}
