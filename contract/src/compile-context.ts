import type { CredentialContext } from './compile-credential.ts';
import type { Config, UpstreamConfig } from './config.ts';
import type { ConfigPath } from './config-problems.ts';

/** What the deployments of one configuration have in common. */
export type DeploymentContext = CredentialContext & {
  readonly config: Config;
  readonly credentials: ReadonlyMap<string, NamedCredential>;
  /** Unset variables by the path of the value that refers to them. */
  readonly unset: ReadonlyMap<string, string>;
  readonly allowInsecure: boolean;
};

/** An entry of `credential_list` and where it stands. */
export type NamedCredential = { readonly values: UpstreamConfig; readonly path: ConfigPath };
