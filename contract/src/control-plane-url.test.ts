import { expect, it } from 'vitest';
import { configure } from './compile.ts';
import { formatNotice, formatProblem } from './config-problems.ts';

const read = (control_plane_url: string, more: object = {}) =>
  configure(
    { aigateway_settings: { control_plane_url, ...more } },
    { REDIS_URL: 'redis://127.0.0.1:6379' },
  );

it.each([
  ['https://control.example/manager/', 'https://control.example/manager'],
  ['http://127.0.0.1:4000', 'http://127.0.0.1:4000'],
])('takes %s for the address of a control plane', (written, url) => {
  const compiled = read(written);
  expect(compiled.problems.map((problem) => formatProblem(problem))).toEqual([]);
  expect(compiled.server.controlPlaneUrl).toBe(url);
});

it.each([
  ['control.example', 'not an http or https address'],
  ['https://user:secret@control.example', 'more than host, port and path'],
  ['https://control.example?key=secret', 'more than host, port and path'],
  ['http://control.example', 'over plain http'],
])('refuses %s', (written, problem) => {
  const text = read(written)
    .problems.map((each) => formatProblem(each))
    .join();
  expect(text).toContain(problem);
  expect(text).not.toContain('secret');
});

it('takes plain http where it is allowed, and says where the setting does nothing', () => {
  const allowed = read('http://control', { allow_insecure_upstream: true });
  expect(allowed.server.controlPlaneUrl).toBe('http://control');
  const inert = configure(
    { aigateway_settings: { control_plane_url: 'https://control.example' } },
    {
      AZURE_OPENAI_URL: 'https://res.openai.azure.com',
      AZURE_OPENAI_API_KEY: 'azure-key-0123456789',
      PROXY_API_KEY: 'sk-caller-0123456789abcdef',
    },
  );
  expect(inert.notices.map(formatNotice).join()).toContain('control_plane_url');
});
