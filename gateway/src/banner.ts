import {
  defaultResponsesModel,
  isSet,
  masterKeyNames,
} from '@aigateway/contract/environment-config';
import type { Configuration } from './configuration.ts';
import type { Running } from './roles.ts';

/**
 * What a person reads who has just started the gateway: where it listens, where the key is kept, a line to try, and what to
 * paste into a client; in production, where programs read, one line of the log. Holds no secret: the key is named by its file or variable.
 */
export function banner(configuration: Configuration, { url, proxy }: Running): string {
  const { compiled, simulated } = configuration;
  const [file] = configuration.file.files;
  const { records, server } = compiled;
  const base = `${url}${server.basePath}/v1`;
  if (server.profile === 'production' || proxy === undefined)
    return JSON.stringify({
      level: 'info',
      time: new Date().toISOString(),
      msg: `PVC AI Gateway listens on ${url}`,
    });
  const answering = records.models.filter(({ name }) =>
    records.deployments.some((one) => one.model === name && one.facts.mode !== 'embedding'),
  );
  const chat =
    answering.find(({ name }) => name === defaultResponsesModel) ??
    answering.find(({ name }) => !name.includes('*'));
  const model = chat?.name ?? '<deployment>';
  const key = keyToUse(configuration);
  return [
    '',
    `  PVC AI Gateway listens on ${url}`,
    '',
    `  Base URL   ${base}`,
    `  Key        ${key.place}`,
    `  Models     ${records.models.map(({ name }) => name).join(', ') || 'none'}`,
    ...(proxy.opsUrl === undefined ? [] : [`  Metrics    ${proxy.opsUrl}/metrics`]),
    '',
    ...(simulated
      ? [
          `  ${file === undefined ? 'No upstream is configured' : `${file} lists no models`}: these models are SIMULATED. Their answers repeat what was asked.`,
          `  For real ones set AZURE_OPENAI_URL, AZURE_OPENAI_API_KEY and PROXY_API_KEY, or ${file === undefined ? 'pass --config config.yaml' : 'write model_list into the file'}.`,
          '',
        ]
      : []),
    '  Try it:',
    '',
    `    curl ${base}/responses -H "Authorization: Bearer ${key.shell}" -H 'content-type: application/json' \\`,
    `      -d '{"model":"${model}","input":"Say hello"}'`,
    '',
    '  In a client (Roo Code, Qoder, Cline, Codex, opencode, any OpenAI SDK):',
    '',
    `    base URL  ${base}`,
    `    API key   ${key.toPaste}`,
    `    model     ${model}`,
    '',
  ].join('\n');
}

type KeyToUse = {
  /** Where it is, in words. */
  place: string;
  /** How a shell gets at it. */
  shell: string;
  /** What to put into a client's settings. */
  toPaste: string;
};

/** A key that works, named and not shown: the caller's own before the administrator's. */
function keyToUse({ environment, masterKey, compiled }: Configuration): KeyToUse {
  const names = masterKey === undefined ? ['PROXY_API_KEY', ...masterKeyNames] : ['PROXY_API_KEY'];
  const name = names.find((candidate) => isSet(environment, candidate));
  if (name !== undefined) {
    return { place: `as set in ${name}`, shell: `$${name}`, toPaste: `the value of ${name}` };
  }
  if (masterKey !== undefined) {
    const { file, created } = masterKey;
    return {
      place: `${created ? 'created and kept' : 'kept'} in ${file}`,
      shell: `$(cat ${file})`,
      toPaste: `the content of ${file}`,
    };
  }
  const count = compiled.records.keys.length;
  return { place: `one of the ${count} in the file`, shell: '$KEY', toPaste: 'one of the file' };
}
