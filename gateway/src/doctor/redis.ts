import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { snapshotHeadKey } from '@aigateway/contract/channels';
import { SnapshotSigner } from '@aigateway/contract/signing';
import { connectRedis, type RedisConnection } from '@aigateway/proxy/stores/redis/connection';
import { redisConnection } from '../redis-settings.ts';
import { howToFollow, standsBesideControlPlane } from '../standalone.ts';
import { resolveSecret } from '../start.ts';
import { about, type Check, type Finding, type Patient } from './finding.ts';

/** How long a server may take to let us in. */
const connectMs = 5_000;

/** The oldest release whose commands are used. */
const oldestVersion = [6, 2] as const;

/** A difference of clocks that shows in the age of records and in the log. */
const mostClockMs = 2_000;

/** Whether processes can meet in Redis: it lets this one in, has what is used of it, and what is published there is of the same secret. */
export const checkRedis: Check = {
  area: 'redis',
  async run(patient) {
    const settings = patient.configuration.compiled.server.redis;
    if (settings === undefined) return [];
    const { ok, failed } = about('redis', settings.address.kind);
    let connection: RedisConnection | undefined;
    let last: Error | undefined;
    try {
      connection = await connectRedis({
        ...redisConnection(settings, patient.environment),
        answerMs: connectMs,
        onError: (error) => (last = error),
      });
      const { client } = connection;
      if (client.status !== 'ready')
        await Promise.race([
          once(client, 'ready').catch(() => undefined),
          delay(connectMs, undefined, { ref: false }),
        ]);
      if (client.status !== 'ready') throw last ?? new Error('it does not answer');
      return [
        ok('lets this process in'),
        ...(await server(client)),
        await commands(client),
        await clock(client),
        await published(client, patient),
      ];
    } catch (error) {
      return [failed(`cannot be used: ${messageOf(last ?? error)}`, changeOf(last ?? error))];
    } finally {
      await connection?.close();
    }
  },
};

type Client = RedisConnection['client'];

async function server(client: Client): Promise<Finding[]> {
  const { ok, failed, warning } = about('redis', 'server');
  let info: string;
  try {
    info = await client.info();
  } catch (error) {
    return [
      warning(
        `does not tell about itself: ${messageOf(error)}`,
        'Let its user call INFO, or do without.',
      ),
    ];
  }
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1];
  const version = field('redis_version') ?? '';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isOld =
    major < oldestVersion[0] || (major === oldestVersion[0] && minor < oldestVersion[1]);
  const policy = field('maxmemory_policy');
  return [
    isOld
      ? failed(`is release ${version}`, `Take ${oldestVersion.join('.')} or later.`)
      : ok(`is release ${version}`),
    ...(policy === undefined || policy === 'noeviction'
      ? []
      : [
          warning(
            `forgets what it has no room for (${policy}): keys, limits and usage among it`,
            'Set maxmemory-policy to noeviction.',
          ),
        ]),
  ];
}

/** Each kind of command that is used, on a name of its own that is gone afterwards. */
async function commands(client: Client): Promise<Finding> {
  const { ok, failed } = about('redis', 'commands');
  const key = (kind: string) => `aigateway:{doctor:${randomUUID()}}:${kind}`;
  const [text, hash, set, stream] = [key('text'), key('hash'), key('set'), key('stream')];
  const tries: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['SET', () => client.set(text, '1', 'PX', connectMs)],
    ['GET', () => client.get(text)],
    ['HSET', () => client.hset(hash, 'a', '1')],
    ['HGET', () => client.hget(hash, 'a')],
    ['HSCAN', () => client.hscan(hash, '0')],
    ['ZADD', () => client.zadd(set, 1, 'a')],
    ['ZRANGE', () => client.zrange(set, '0', '-1')],
    ['XADD', () => client.xadd(stream, '*', 'a', '1')],
    ['XRANGE', () => client.xrange(stream, '-', '+')],
    ['XLEN', () => client.xlen(stream)],
    ['XTRIM', () => client.xtrim(stream, 'MAXLEN', 0)],
    ['EVAL', () => client.eval("return redis.call('TIME')[1]", 1, text)],
    ['EVALSHA', () => client.evalsha('0'.repeat(40), 1, text).catch(orThere)],
    ['UNLINK', () => Promise.all([text, hash, set, stream].map((name) => client.unlink(name)))],
  ];
  const refused: string[] = [];
  let reason = '';
  for (const [name, call] of tries) {
    try {
      await call();
    } catch (error) {
      refused.push(name);
      reason = messageOf(error);
    }
  }
  return refused.length === 0
    ? ok('those that are used may be called')
    : failed(
        `may not be called: ${refused.join(', ')} (${reason})`,
        'Give its user +@read +@write +@scripting and ~aigateway:*, and let the server take writes.',
      );
}

/** A script that is not there is what was asked for. */
function orThere(error: unknown): void {
  if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
}

async function clock(client: Client): Promise<Finding> {
  const { ok, warning } = about('redis', 'clock');
  const before = Date.now();
  const [seconds, micros] = (await client.eval(
    "return redis.call('TIME')",
    1,
    snapshotHeadKey,
  )) as [string, string];
  const here = (before + Date.now()) / 2;
  const differenceMs = Math.round(Number(seconds) * 1000 + Number(micros) / 1000 - here);
  return Math.abs(differenceMs) <= mostClockMs
    ? ok(`differs by ${differenceMs} ms from that of this machine`)
    : warning(
        `differs by ${differenceMs} ms from that of this machine`,
        'Set both by NTP: windows of limits follow that of Redis, logs and the age of records that of this machine.',
      );
}

/** What a control plane has published must be of the secret that this process has. */
async function published(
  client: Client,
  { role, configuration, environment }: Patient,
): Promise<Finding> {
  const { ok, warning, failed } = about('redis', 'snapshot');
  const { server: settings, records } = configuration.compiled;
  const sealed = await client.hget(snapshotHeadKey, 'sealed');
  if (sealed === null) {
    const follows = role === 'proxy' && records.deployments.length === 0;
    return follows
      ? warning('no control plane has published anything', 'Start one (--role control-plane).')
      : ok('nothing is published yet');
  }
  if (settings.secret === undefined) return ok('something is published');
  const signer = new SnapshotSigner({
    current: resolveSecret(settings.secret, environment),
    ...(settings.previousSecret !== undefined && {
      previous: resolveSecret(settings.previousSecret, environment),
    }),
  });
  const head = signer.open(sealed);
  if (head === undefined)
    return failed(
      'what is published is signed with another secret',
      'Give every process the same AIGATEWAY_SECRET, and during a rotation AIGATEWAY_SECRET_PREVIOUS.',
    );
  return role === 'proxy' && records.deployments.length > 0
    ? warning(standsBesideControlPlane, howToFollow)
    : ok(`is at revision ${head.revision}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function changeOf(error: unknown): string {
  const message = messageOf(error);
  if (/WRONGPASS|NOAUTH|invalid username-password|no password is set/i.test(message))
    return 'Look at user and password (REDIS_USERNAME, REDIS_PASSWORD, or those of REDIS_URL).';
  if (/NOPERM/.test(message))
    return 'Give its user the commands and names that are used: +@all ~aigateway:*.';
  if (/certificate|self.signed|altname|SSL|TLS|wrong version number/i.test(message))
    return 'Take rediss:// where the server speaks TLS and redis:// where not; name its authority by redis_ca_file.';
  return 'Look at host and port (REDIS_URL), and whether this machine may connect to them.';
}
