import { until } from '../../contract/test/until.ts';

/** Sends JSON with a key. */
export function post(url: string, path: string, key: string, body: object): Promise<Response> {
  return fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** Asks a model for one word. */
export function chat(url: string, key: string, model = 'gpt-4o'): Promise<Response> {
  const messages = [{ role: 'user', content: 'hello' }];
  return post(url, '/v1/chat/completions', key, { model, messages });
}

/** A metric without labels, from the port for probes. */
export async function metric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(new RegExp(`^aigateway_${name} (.*)$`, 'm').exec(text)?.[1]);
}

/** Resolves when a process says that it is ready. */
export async function ready(url: string): Promise<void> {
  await until(
    async () => (await fetch(`${url}/health/readiness`)).status,
    (status) => status === 200,
  );
}
