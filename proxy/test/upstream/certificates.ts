import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Certificates = {
  /** Folder of the files below. */
  directory: string;
  /** The authority's certificate: as PEM, and where it lies. */
  ca: string;
  caFile: string;
  /** A server's key and certificate for the names asked for. */
  key: string;
  cert: string;
  remove(): void;
};

/** Makes a certificate authority and one server certificate of it; the machine needs `openssl`. */
export function makeCertificates(names: readonly string[]): Certificates {
  const directory = mkdtempSync(join(tmpdir(), 'certificates-'));
  const at = (name: string): string => join(directory, name);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/CN=Test CA',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
  );
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    `/CN=${names[0]}`,
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-addext',
    `subjectAltName=${names.map((name) => (/^[\d.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`)).join(',')}`,
    '-addext',
    'basicConstraints=critical,CA:FALSE',
    '-keyout',
    'server.key',
    '-out',
    'server.pem',
  );
  return {
    directory,
    ca: readFileSync(at('ca.pem'), 'utf8'),
    caFile: at('ca.pem'),
    key: readFileSync(at('server.key'), 'utf8'),
    cert: readFileSync(at('server.pem'), 'utf8'),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
