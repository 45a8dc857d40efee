import { describe, expect, it } from 'vitest';
import { readCommand } from './command-line.ts';

describe('the command line', () => {
  it('starts with what it names', () => {
    expect(readCommand(['-c', 'config.yaml', '--port', '4000', '--host', '::1'])).toEqual({
      action: 'start',
      configFile: 'config.yaml',
      port: '4000',
      host: '::1',
    });
  });

  it('takes what is of the doctor with the doctor alone', () => {
    expect(readCommand(['--doctor', '--json', '--api-version', 'v1'])).toMatchObject({
      action: 'doctor',
      json: true,
      apiVersion: 'v1',
    });
    for (const args of [['--json'], ['--check', '--api-version', 'v1']])
      expect(() => readCommand(args)).toThrow('belong to --doctor');
  });

  it.each(['abc', '-1', '65536', '80.5', ''])(
    'refuses %j as a port by the name of the option',
    (port) => {
      expect(() => readCommand([`--port=${port}`])).toThrow(
        `--port must be a whole number from 0 to 65535, found "${port}"`,
      );
    },
  );

  it('takes a job in place of a start', () => {
    expect(readCommand(['--keys', 'report'])).toMatchObject({ action: 'keys', keys: 'report' });
    expect(() => readCommand(['--keys', 'delete'])).toThrow(
      '--keys must be report, found "delete"',
    );
  });

  it.each([['--confg', 'x'], ['config.yaml']])('refuses what it does not know: %s', (...args) => {
    expect(() => readCommand(args)).toThrow(TypeError);
  });
});
