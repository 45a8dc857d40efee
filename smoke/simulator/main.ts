import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { defaultConfig, loadConfig } from './config.ts';
import { startSimulator } from './simulator.ts';

const HELP = `Simulator of Azure OpenAI

Usage: npm run simulator -- [options]

  --port NUMBER   port to listen on (default 9100; 0 takes any free one)
  --host ADDRESS  address to listen on (default 127.0.0.1)
  --config FILE   resources and deployments, YAML or JSON (default: one resource "simulator")
  --seed NUMBER   seed of ids and chances (default 1)
  --tls-cert FILE, --tls-key FILE
                  PEM files: serves HTTPS, which Azure's identity libraries demand
  --help          this text

docs/guides/simulator.md tells what it can do.
`;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '9100' },
      host: { type: 'string', default: '127.0.0.1' },
      config: { type: 'string' },
      seed: { type: 'string', default: '1' },
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const tls = tlsOf(values['tls-cert'], values['tls-key']);
  const simulator = await startSimulator({
    port: portOf(values.port),
    host: values.host,
    config: values.config === undefined ? defaultConfig : loadConfig(values.config),
    seed: seedOf(values.seed),
    ...(tls !== undefined && { tls }),
  });
  for (const resource of simulator.config.resources) {
    const base = simulator.resourceUrl(resource.name);
    say(`resource ${resource.name} (${resource.region}), key ${resource.keys.join(' or ')}`);
    say(`  v1       ${base}/openai/v1`);
    say(`  classic  ${base}/openai/deployments/NAME/…?api-version=2024-10-21`);
    say(`  deployments: ${resource.deployments.map(({ name }) => name).join(', ')}`);
  }
  say(
    `managed identity: ${simulator.url}/msi/token, X-IDENTITY-HEADER ${simulator.config.identity.header}`,
  );
  say(`control: ${simulator.url}/_sim/`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void simulator.close();
    });
  }
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`--port ${text} is no port`);
  return port;
}

function seedOf(text: string): number {
  const seed = Number(text);
  if (text === '' || !Number.isInteger(seed)) throw new Error(`--seed ${text} is no whole number`);
  return seed;
}

function tlsOf(cert: string | undefined, key: string | undefined) {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw new Error('--tls-cert and --tls-key need each other');
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
