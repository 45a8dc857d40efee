import { isLoopback } from './azure-url.ts';
import type { Config } from './config.ts';
import type { Report } from './config-problems.ts';

/** Where a proxy forwards management paths to: an address without a slash at its end; undefined where it does not. */
export function controlPlaneUrl(
  { aigateway_settings: ours }: Config,
  report: Report,
): string | undefined {
  const written = ours?.control_plane_url;
  if (written === undefined) return undefined;
  const path = ['aigateway_settings', 'control_plane_url'];
  const url = URL.parse(written);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    report.problem(path, 'is not an http or https address', 'For example https://control.internal');
    return undefined;
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    report.problem(path, 'has more than host, port and path', 'Callers bring their own keys.');
    return undefined;
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !ours?.allow_insecure_upstream) {
    report.problem(
      path,
      'would be called over plain http: keys could be read on the way',
      'Use https, or set aigateway_settings.allow_insecure_upstream: true.',
    );
    return undefined;
  }
  return url.href.replace(/\/+$/, '');
}
