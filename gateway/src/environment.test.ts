import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readEnvironment } from './environment.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'environment-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('readEnvironment', () => {
  it('takes what the .env file says, with quotes and comments', () => {
    writeFileSync(join(directory, '.env'), '# local\nPROXY_API_KEY="sk-from-file"\nPORT=8081\n');
    const environment = readEnvironment(directory, {});
    expect(environment.variables).toMatchObject({ PROXY_API_KEY: 'sk-from-file', PORT: '8081' });
    expect(environment.file).toBe(join(directory, '.env'));
  });

  it('lets variables of the process win, also empty ones', () => {
    writeFileSync(join(directory, '.env'), 'PORT=8081\nHTTPS_PROXY=http://proxy:3128\n');
    const { variables } = readEnvironment(directory, { PORT: '9000', HTTPS_PROXY: '' });
    expect(variables).toEqual({ PORT: '9000', HTTPS_PROXY: '' });
  });

  it('does without a file', () => {
    const environment = readEnvironment(directory, { A: '1' });
    const file = join(directory, '.env');
    expect(environment).toEqual({ variables: { A: '1' }, file, profile: 'production' });
  });

  it('is in production unless development is named', () => {
    expect(readEnvironment(directory, {}).profile).toBe('production');
    expect(readEnvironment(directory, { AIGATEWAY_PROFILE: 'development' }).profile).toBe(
      'development',
    );
  });

  it("finds the configuration file under our name and LiteLLM's, ours first", () => {
    expect(readEnvironment(directory, { CONFIG_FILE_PATH: 'b.yaml' }).configFile).toBe('b.yaml');
    expect(
      readEnvironment(directory, { AIGATEWAY_CONFIG: 'a.yaml', CONFIG_FILE_PATH: 'b.yaml' })
        .configFile,
    ).toBe('a.yaml');
  });

  it('takes a configuration as a text, unless it is empty', () => {
    const read = (text: string) => readEnvironment(directory, { AIGATEWAY_CONFIG_TEXT: text });
    expect(read('model_list: []').configText).toBe('model_list: []');
    expect(read(' \n')).not.toHaveProperty('configText');
  });

  it('refuses a .env that is no text, without showing it', () => {
    writeFileSync(join(directory, '.env'), Buffer.from([0x41, 0x3d, 0xff, 0xfe]));
    expect(() => readEnvironment(directory, {})).toThrow(/not UTF-8/);
  });
});
