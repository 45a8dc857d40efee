import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../free-port.ts';
import { gatewayEnvironment, masterKey } from '../bench/targets.ts';
import { startServer } from '../bench/server-process.ts';
import { startSimulator } from '../simulator/simulator.ts';
import type { ApiDocument } from './document.ts';
import type { Models } from './exchanges.ts';
import type { Target } from './run-exchanges.ts';

/** The models that the simulator gets. */
export const simulatedModels: Models = {
  chat: 'gpt-4o',
  embeddings: 'text-embedding-3-small',
  completions: 'gpt-35-turbo-instruct',
};

/** The source, not a bundle that may be older. */
const gatewaySource = join(import.meta.dirname, '..', '..', 'gateway', 'src', 'main.ts');
const resource = 'conformance';
const key = 'sk-conformance-0123456789abcdef';

/** A target that ends with the run. */
export type OwnTarget = Target & { stop(): Promise<void> };

/** Starts the simulator alone, to be asked as Azure is. */
export async function startSimulatorTarget(document: ApiDocument): Promise<OwnTarget> {
  const simulator = await startSimulator({
    config: {
      resources: [
        {
          name: resource,
          keys: [key],
          deployments: Object.values(simulatedModels).map((name) => ({ name, model: name })),
        },
      ],
    },
  });
  return {
    // Azure has no `/v1`: a document without Azure's path is checked on its v1 form.
    baseUrl: `${simulator.resourceUrl(resource)}${document.apiVersion ? '/openai' : '/openai/v1'}`,
    headers: (which) => ({ 'api-key': which === 'right' ? key : 'wrong' }),
    models: simulatedModels,
    stop: () => simulator.close(),
  };
}

/** Starts the gateway in front of a simulator. */
export async function startGatewayTarget(document: ApiDocument): Promise<OwnTarget> {
  const simulator = await startSimulatorTarget(document);
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-conformance-'));
  const port = await freePort();
  const config = join(folder, 'config.yaml');
  const upstream = new URL(simulator.baseUrl);
  const list = Object.values(simulatedModels).map((name) => ({
    model_name: name,
    litellm_params: {
      model: `azure/${name}`,
      api_base: `${upstream.origin}/${resource}`,
      api_key: key,
      api_version: document.apiVersion ?? 'v1',
    },
  }));
  writeFileSync(
    config,
    JSON.stringify({ model_list: list, aigateway_settings: { allow_insecure_upstream: true } }),
  );
  const stopUpstream = async (): Promise<void> => {
    await simulator.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const gateway = await startServer({
      name: 'gateway',
      folder,
      command: [
        process.execPath,
        gatewaySource,
        '--config',
        config,
        '--port',
        String(port),
        '--host',
        '127.0.0.1',
      ],
      environment: gatewayEnvironment(folder),
      port,
      readyPath: '/health/readiness',
    });
    return {
      baseUrl: `http://127.0.0.1:${port}${document.basePath}`,
      headers: bearer(masterKey),
      models: simulatedModels,
      stop: async () => {
        await gateway.stop();
        await stopUpstream();
      },
    };
  } catch (error) {
    await stopUpstream();
    throw error;
  }
}

/** The headers of a caller with an OpenAI SDK. */
export function bearer(own: string): Target['headers'] {
  return (which) => ({ authorization: `Bearer ${which === 'right' ? own : 'sk-wrong'}` });
}
