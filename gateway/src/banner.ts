import { defaultResponsesModel } from '@aigateway/contract/environment-config';
import type { Proxy } from '@aigateway/proxy/proxy';
import type { Configuration } from './configuration.ts';

/**
 * What a person reads who has just started the gateway: where it listens, where the key is kept, a line to try, and what to
 * paste into a client. Holds no secret: the key is named by its file or variable.
 */
export function banner({ compiled, masterKey, simulated }: Configuration, proxy: Proxy): string {
  const { records, server } = compiled;
  const base = `${proxy.url}${server.basePath}/v1`;
  if (server.profile === 'production') return `PVC AI Gateway listens on ${proxy.url}`;
  const chat =
    records.models.find(({ name }) => name === defaultResponsesModel) ?? records.models[0];
  const model = chat === undefined || chat.name.includes('*') ? '<deployment>' : chat.name;
  const key = masterKey === undefined ? keyVariable(compiled) : `$(cat ${masterKey.file})`;
  const keyPlace =
    masterKey === undefined
      ? `as set in ${keyVariable(compiled).replaceAll(/[${}]/g, '')}`
      : `${masterKey.created ? 'created and kept' : 'kept'} in ${masterKey.file}`;
  return [
    '',
    `  PVC AI Gateway listens on ${proxy.url}`,
    '',
    `  Base URL   ${base}`,
    `  Key        ${keyPlace}`,
    `  Models     ${records.models.map(({ name }) => name).join(', ') || 'none'}`,
    ...(proxy.opsUrl === undefined ? [] : [`  Metrics    ${proxy.opsUrl}/metrics`]),
    '',
    ...(simulated
      ? [
          '  No upstream is configured: these models are SIMULATED. Their answers repeat what was asked.',
          '  For real ones set AZURE_OPENAI_URL, AZURE_OPENAI_API_KEY and PROXY_API_KEY, or pass --config config.yaml.',
          '',
        ]
      : []),
    '  Try it:',
    '',
    `    curl ${base}/responses -H "Authorization: Bearer ${key}" -H 'content-type: application/json' \\`,
    `      -d '{"model":"${model}","input":"Say hello"}'`,
    '',
    '  In a client (Roo Code, Qoder, Cline, Codex, opencode, any OpenAI SDK):',
    '',
    `    base URL  ${base}`,
    `    API key   ${masterKey === undefined ? 'the one above' : `the content of ${masterKey.file}`}`,
    `    model     ${model}`,
    '',
  ].join('\n');
}

/** The variable that most likely holds a key to call with. */
function keyVariable({ records }: Configuration['compiled']): string {
  return records.keys.some(({ role }) => role === 'model')
    ? '$PROXY_API_KEY'
    : '$LITELLM_MASTER_KEY';
}
