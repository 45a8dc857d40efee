import { about, type Check, type Finding, type Patient } from './finding.ts';

/** Parts of a host by which programs take a server for Azure itself: Codex and Roo Code look for them in the base URL. */
const azureMarkers = [
  'azure.com',
  'openai.azure.',
  'cognitiveservices.azure.',
  'aoai.azure.',
  'azure-api.',
  'azurefd.',
];

/** How the process stands between its callers and what is in front of it. */
export const checkProcess: Check = {
  area: 'process',
  run: (patient) => Promise.resolve([...inFront(patient), ...silence(patient)]),
};

function inFront({ configuration, environment }: Patient): Finding[] {
  const { server } = configuration.compiled;
  const { ok, warning } = about('process', 'in front');
  const findings: Finding[] = [];
  if (server.trustedHops > 0)
    findings.push(
      ok(
        `the last ${server.trustedHops} in x-forwarded-for are believed: as many proxies must be in front`,
      ),
    );
  else if (server.profile === 'production')
    findings.push(
      warning(
        'no proxy in front is trusted: behind one, its address stands in the log, and all callers share the tries of wrong_keys',
        'Set trusted_hops to the number of your own proxies; leave it at 0 where callers connect directly.',
      ),
    );
  if (server.allowedIps !== undefined)
    findings.push(
      ok(
        `calls are taken from ${server.allowedIps.join(', ')} alone, by ${server.trustedHops > 0 ? 'x-forwarded-for: nobody may reach this port past those proxies' : 'the address of the connection'}`,
      ),
    );
  if (server.basePath !== '')
    findings.push(ok(`published under ${server.basePath}: paths are taken with it and without it`));
  const publicUrl = URL.parse(environment['PROXY_BASE_URL']?.trim() ?? '');
  const marker = azureMarkers.find((part) => publicUrl?.host.includes(part));
  if (publicUrl !== null && marker !== undefined)
    findings.push(
      warning(
        `programs take ${publicUrl.host} for Azure itself because of "${marker}", and speak to it in another way`,
        'Publish the gateway under a domain of your own.',
      ),
    );
  return findings;
}

/** Azure's ingresses cut connections that are silent for so long. */
const ingressIdleMs = 230_000;

function silence({ configuration }: Patient): Finding[] {
  const { heartbeatMs, silentAnswerMs, firstOutputHoldMs } = configuration.compiled.server;
  const { ok, warning } = about('process', 'silence');
  const longest = Math.max(heartbeatMs, firstOutputHoldMs, silentAnswerMs);
  const message = `streams say something after ${firstOutputHoldMs / 1000} s and every ${heartbeatMs / 1000} s, plain answers after ${silentAnswerMs / 1000} s`;
  if (longest < ingressIdleMs) return [ok(message)];
  return [
    warning(
      `${message}: Azure's ingresses end what is silent for ${ingressIdleMs / 1000} s`,
      'Lower heartbeat, first_output_hold and silent_answer.',
    ),
  ];
}
