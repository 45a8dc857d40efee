import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { CredentialMethod } from '@aigateway/contract/records';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificates, type Certificates } from './certificates.ts';
import { startServer, type TestServer } from './server.ts';

type Seen = {
  method: string | undefined;
  url: string | undefined;
  headers: Record<string, unknown>;
  form: Record<string, string>;
};

type Report = {
  parallel: string[];
  renewed: string;
  whileRefreshing: string;
  refreshed: string;
  events: string[];
};

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates(['localhost']);
});
afterAll(() => certificates.remove());

const started: TestServer[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.close();
});

/** Issues numbered tokens of one hour; tells what it was asked. */
async function startIssuer(isSecure: boolean, refuse = false) {
  const seen: Seen[] = [];
  const listener: RequestListener = (request, response) => {
    void request.toArray().then((chunks: Buffer[]) => {
      const origin = `https://${request.headers.host}`;
      response.setHeader('content-type', 'application/json');
      if (request.url?.includes('/.well-known/openid-configuration')) {
        const at = `${origin}/tenant`;
        response.end(
          JSON.stringify({
            issuer: `${at}/v2.0`,
            authorization_endpoint: `${at}/oauth2/v2.0/authorize`,
            token_endpoint: `${at}/oauth2/v2.0/token`,
            jwks_uri: `${at}/keys`,
          }),
        );
        return;
      }
      const form = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
      seen.push({ method: request.method, url: request.url, headers: request.headers, form });
      if (refuse) {
        response
          .writeHead(401)
          .end(JSON.stringify({ error: 'invalid_client', error_description: 'no such client' }));
        return;
      }
      const expiresOn = Math.floor(Date.now() / 1000) + 3600;
      response.end(
        JSON.stringify({
          token_type: 'Bearer',
          access_token: `token-${seen.length}`,
          expires_in: isSecure ? 3600 : '3600',
          ...(!isSecure && {
            expires_on: String(expiresOn),
            resource: 'https://cognitiveservices.azure.com',
          }),
        }),
      );
    });
  };
  const server = await startServer(listener, isSecure ? certificates : undefined);
  started.push(server);
  return { server, seen };
}

async function run(
  method: CredentialMethod,
  environment: Record<string, string>,
  authorityHost?: string,
): Promise<Report> {
  const record = {
    id: 'c1',
    method,
    origins: ['https://contoso.openai.azure.com'],
    ...(authorityHost !== undefined && { authorityHost }),
  };
  const script = fileURLToPath(new URL('identity-process.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, JSON.stringify(record)], {
    env: {
      ...(process.env['PATH'] !== undefined && { PATH: process.env['PATH'] }),
      // Whatever is asked through this proxy fails.
      HTTPS_PROXY: 'http://127.0.0.1:1',
      NODE_EXTRA_CA_CERTS: certificates.caFile,
      ...environment,
    },
  });
  return JSON.parse(stdout) as Report;
}

type Setting = {
  name: string;
  isSecure: boolean;
  method: CredentialMethod;
  environment: (issuer: TestServer) => Record<string, string>;
  expected: (seen: Seen) => void;
};

const secretOf = { SECRET: 'a secret' };

const settings: Setting[] = [
  {
    name: 'managed identity of Container Apps and App Service',
    isSecure: false,
    method: { kind: 'managed-identity', clientId: '00000000-0000-4000-8000-0000000000aa' },
    environment: ({ origin }) => ({
      IDENTITY_ENDPOINT: `${origin}/msi/token`,
      IDENTITY_HEADER: 'header-value',
    }),
    expected: ({ method, url, headers }) => {
      const query = new URL(url ?? '', 'http://x').searchParams;
      expect(method).toBe('GET');
      expect(Object.fromEntries(query)).toEqual({
        'api-version': '2019-08-01',
        resource: 'https://cognitiveservices.azure.com',
        client_id: '00000000-0000-4000-8000-0000000000aa',
      });
      expect(headers['x-identity-header']).toBe('header-value');
    },
  },
  {
    name: 'managed identity of a virtual machine',
    isSecure: false,
    method: { kind: 'managed-identity' },
    environment: ({ origin }) => ({
      AZURE_POD_IDENTITY_AUTHORITY_HOST: origin,
      NO_PROXY: '127.0.0.1',
    }),
    expected: ({ url, headers }) => {
      expect(url).toMatch(
        /^\/metadata\/identity\/oauth2\/token\/?\?api-version=2018-02-01&resource=/,
      );
      expect(headers['metadata']).toBe('true');
    },
  },
  {
    name: 'workload identity',
    isSecure: true,
    method: { kind: 'workload-identity' },
    environment: ({ port }) => {
      const file = join(certificates.directory, 'federated-token');
      writeFileSync(file, 'federated-jwt');
      return {
        AZURE_AUTHORITY_HOST: `https://localhost:${port}/`,
        AZURE_TENANT_ID: 'tenant',
        AZURE_CLIENT_ID: 'client',
        AZURE_FEDERATED_TOKEN_FILE: file,
        NO_PROXY: 'localhost',
      };
    },
    expected: ({ method, url, form }) => {
      expect({ method, url: url?.split('?')[0] }).toEqual({
        method: 'POST',
        url: '/tenant/oauth2/v2.0/token',
      });
      expect(form).toMatchObject({
        grant_type: 'client_credentials',
        client_id: 'client',
        client_assertion: 'federated-jwt',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      });
      expect(form['scope']).toContain('https://cognitiveservices.azure.com/.default');
    },
  },
  {
    name: 'client secret',
    isSecure: true,
    method: {
      kind: 'client-secret',
      tenantId: 'tenant',
      clientId: 'client',
      secret: { kind: 'env', name: 'SECRET' },
    },
    environment: () => ({ ...secretOf, NO_PROXY: 'localhost' }),
    expected: ({ form }) => {
      expect(form).toMatchObject({
        grant_type: 'client_credentials',
        client_id: 'client',
        client_secret: 'a secret',
      });
    },
  },
];

describe.each(settings.map((setting) => [setting.name, setting] as const))('%s', (_, setting) => {
  const authorityOf = ({ port }: TestServer) =>
    setting.method.kind === 'client-secret' ? `https://localhost:${port}` : undefined;

  it('asks its issuer once for all who wait, again after a refusal, and again ahead of the end', async () => {
    const { server, seen } = await startIssuer(setting.isSecure);
    const report = await run(setting.method, setting.environment(server), authorityOf(server));
    expect(new Set(report.parallel)).toEqual(new Set(['Bearer token-1']));
    expect(report).toMatchObject({
      renewed: 'Bearer token-2',
      whileRefreshing: 'Bearer token-2',
      refreshed: 'Bearer token-3',
    });
    expect(seen).toHaveLength(3);
    for (const request of seen) setting.expected(request);
  });

  it('tells a refusal of its issuer without showing a secret', async () => {
    const { server } = await startIssuer(setting.isSecure, true);
    const report = await run(setting.method, setting.environment(server), authorityOf(server));
    expect(new Set(report.parallel)).toEqual(new Set(['GatewayError']));
    expect(report.events[0]).toContain(`no ${setting.method.kind} token`);
    expect(JSON.stringify(report)).not.toMatch(/a secret|federated-jwt|header-value/);
  });
});
