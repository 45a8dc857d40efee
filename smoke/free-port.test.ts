import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { freePort } from './free-port.ts';

const script = `
const { freePort } = await import(${JSON.stringify(new URL('free-port.ts', import.meta.url).href)});
const ports = [];
while (ports.length < 30) ports.push(await freePort());
process.stdout.write(JSON.stringify(ports) + '\\n');
process.stdin.on('data', () => process.exit()).resume();
`;

it('no two processes are given the same port while they live', async () => {
  const processes = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', script]),
  );
  const given = await Promise.all(
    processes.map(({ stdout }) => new Promise<Buffer>((resolve) => stdout.once('data', resolve))),
  );
  for (const { stdin } of processes) stdin.end('enough');
  const ports = given.flatMap((line) => JSON.parse(String(line)) as number[]);
  expect(new Set(ports).size).toBe(4 * 30);
  // What a Redis cluster listens on besides is a port as well.
  for (const port of ports) expect(port).toBeLessThanOrEqual(65_535 - 10_000);
});

it('a port that somebody listens on is not given', async () => {
  const taken = await freePort();
  const server = createServer().listen(taken, '127.0.0.1');
  const others = new Set<number>();
  // More than there are.
  for (let asked = 0; asked < 100; asked += 1) others.add(await freePort());
  server.close();
  expect(others).not.toContain(taken);
  expect(others.size).toBeGreaterThan(50);
});

it('a process that was given ports ends by itself', async () => {
  const { stdout } = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    script.split('process.stdin')[0] ?? '',
  ]);
  expect(JSON.parse(await text(stdout))).toHaveLength(30);
});
