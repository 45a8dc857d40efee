import { describe, expect, it } from 'vitest';
import { readCommand } from './command-line.ts';
import { problemLines, readConfiguration, type Configuration } from './configuration.ts';

const text = `model_list:
  - model_name: answers
    litellm_params: { model: azure/answers, api_base: "https://west.openai.azure.com", azure_credential: managed-identity }
`;

function read(configText: string, args: string[] = []): Promise<Configuration> {
  return readConfiguration({
    command: readCommand(args),
    process: {
      variables: { PROXY_API_KEY: 'sk-caller-0123456789abcdef' },
      file: '.env',
      profile: 'production',
      configText,
    },
    simulatorUrl: undefined,
  });
}

describe('readConfiguration', () => {
  it('takes the configuration from a variable', async () => {
    const { compiled, file } = await read(text);
    expect(compiled.problems).toEqual([]);
    expect(compiled.records.models.map(({ name }) => name)).toEqual(['answers']);
    expect(file.files).toEqual([]);
  });

  it('tells the line of a problem in a variable', async () => {
    const configuration = await read(`${text}router_settings:\n  num_retries: many\n`);
    expect(problemLines(configuration).join('\n')).toMatch(/num_retries.*line 5|5.*num_retries/);
  });

  it('refuses a file and a variable together, naming both', async () => {
    await expect(read(text, ['--config', 'a.yaml'])).rejects.toThrow(
      'a.yaml and AIGATEWAY_CONFIG_TEXT are both a configuration: keep one',
    );
  });
});
