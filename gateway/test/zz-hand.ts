import { writeFileSync } from 'node:fs';
import { startRedis } from '../../proxy/test/servers/redis-server.ts';
import { ready } from './calls.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';
import { startAzureOfOneModel, writeConfigurationOfOneModel } from './one-model.ts';
const simulator = await startAzureOfOneModel('k-upstream-0123456789');
const redis = await startRedis();
const env = {
  AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
  LITELLM_MASTER_KEY: 'sk-master-0123456789abcdef',
  REDIS_URL: redis.url,
  AIGATEWAY_STOP_DELAY: '0',
  HOST: '127.0.0.1',
  AIGATEWAY_WRONG_KEYS: '0',
};
const folder = newFolder();
writeConfigurationOfOneModel(folder, simulator, 'k-upstream-0123456789');
const cp = new GatewayProcess(
  ['--port', '0', '--role', 'control-plane', '--config', 'config.yaml'],
  env,
  folder,
);
const a = new GatewayProcess(['--port', '0', '--role', 'proxy'], {
  ...env,
  AIGATEWAY_ALLOW_INSECURE_UPSTREAM: 'true',
});
const b = new GatewayProcess(['--port', '0', '--role', 'proxy'], {
  ...env,
  AIGATEWAY_ALLOW_INSECURE_UPSTREAM: 'true',
});
const urls = [await cp.url(), await a.url(), await b.url()];
await ready(urls[1]!);
await ready(urls[2]!);
writeFileSync('/tmp/hand-urls', urls.join(' '));
console.log('up');
process.on('SIGTERM', () => {
  void Promise.all([cp.stop(), a.stop(), b.stop()])
    .then(() => redis.stop())
    .then(() => process.exit(0));
});
setInterval(() => {}, 1000);
