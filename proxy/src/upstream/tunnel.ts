import type { Socket } from 'node:net';
import type { buildConnector } from 'undici';
import connectThrough from 'undici/lib/api/api-connect.js';
import Pool from 'undici/lib/dispatcher/pool.js';

/**
 * Connects through an HTTP proxy's CONNECT.
 *
 * Used as the connector of an origin's pool, so that a tunnelled request costs what a direct one costs.
 *
 * @param proxyUrl - http or https; user and password in it become `proxy-authorization`
 * @param connect - makes the TLS connection inside the tunnel
 */
export function createTunnel(
  proxyUrl: string,
  timeoutMs: number,
  connect: buildConnector.connector,
): buildConnector.connector {
  const proxy = new URL(proxyUrl);
  const authorization = proxyAuthorization(proxy);
  // A CONNECT takes its connection with it, so the pool keeps none: it has nothing to close.
  const pool = new Pool(proxy.origin, { connectTimeout: timeoutMs, allowH2: false });

  return (options, callback) => {
    // `host` has the port when it is not the usual one, and the brackets of IPv6.
    const target = options.port === '' ? `${options.host}:443` : `${options.host}`;
    connectThrough
      .call(pool, {
        path: target,
        headers: {
          host: target,
          ...(authorization !== undefined && { 'proxy-authorization': authorization }),
        },
        signal: AbortSignal.timeout(timeoutMs),
      })
      .then(
        ({ statusCode, socket }) => {
          if (statusCode !== 200) {
            socket.on('error', () => {}).destroy();
            callback(new TunnelError(`the proxy answered CONNECT with status ${statusCode}`), null);
            return;
          }
          // A proxy's connection is a socket; undici's type is that of every upgrade.
          connect({ ...options, httpSocket: socket as Socket }, callback);
        },
        // Wrapped: undici takes some of the proxy's errors for those of the target and would try again for ever.
        (cause: unknown) => callback(new TunnelError('no tunnel through the proxy', cause), null),
      );
  };
}

class TunnelError extends Error {
  readonly code: string;

  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'TunnelError';
    const isTimeout = cause instanceof Error && cause.name === 'TimeoutError';
    this.code = isTimeout ? 'UND_ERR_CONNECT_TIMEOUT' : 'TUNNEL';
  }
}

function proxyAuthorization(proxy: URL): string | undefined {
  if (proxy.username === '') return undefined;
  const user = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return `Basic ${Buffer.from(user).toString('base64')}`;
}
