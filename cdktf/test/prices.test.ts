import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { fetchPrice, filterOf } from '../src/cost/fetch.ts';
import { keptPrices, type Meter, type Price } from '../src/cost/meters.ts';

const meter: Meter = {
  serviceName: 'Log Analytics',
  productName: 'Log Analytics',
  skuName: 'Analytics Logs',
  meterName: 'Analytics Logs Data Ingestion',
  armRegionName: 'southafricanorth',
};

/** As the API answers, of which only what is read here stands. */
const item = {
  currencyCode: 'USD',
  tierMinimumUnits: 0,
  retailPrice: 2.99,
  unitPrice: 2.99,
  armRegionName: 'southafricanorth',
  location: 'ZA North',
  effectiveStartDate: '2024-01-01T00:00:00Z',
  meterName: 'Analytics Logs Data Ingestion',
  productName: 'Log Analytics',
  skuName: 'Analytics Logs',
  serviceName: 'Log Analytics',
  unitOfMeasure: '1 GB',
  type: 'Consumption',
  isPrimaryMeterRegion: true,
};

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

type Answer = { readonly status?: number; readonly body: unknown };

/** A stand-in of the API, and what it was asked. */
async function apiOf(
  answer: (filter: string, page: number, origin: string) => Answer,
): Promise<{ url: string; asked: URLSearchParams[] }> {
  const asked: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    const origin = `http://${request.headers.host}`;
    const { searchParams } = new URL(request.url ?? '/', origin);
    asked.push(searchParams);
    const page = Number(searchParams.get('$skip') ?? 0);
    const { status = 200, body } = answer(searchParams.get('$filter') ?? '', page, origin);
    response.writeHead(status, { 'content-type': 'application/json', 'retry-after': '0' });
    response.end(JSON.stringify(body));
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/prices`, asked };
}

describe('a question to the Retail Prices API', () => {
  it('has each field that is known of the meter', () => {
    expect(filterOf(meter)).toBe(
      "serviceName eq 'Log Analytics' and skuName eq 'Analytics Logs' and armRegionName eq 'southafricanorth' and productName eq 'Log Analytics' and meterName eq 'Analytics Logs Data Ingestion' and priceType eq 'Consumption'",
    );
    expect(
      filterOf({ productName: ["a'b", 'c'], meterNameEnd: 'Endpoint', armRegionName: 'here' }),
    ).toBe(
      "armRegionName eq 'here' and (productName eq 'a''b' or productName eq 'c') and endswith(meterName, 'Endpoint') and priceType eq 'Consumption'",
    );
  });

  it('is asked in US dollars, over all pages, and again when there were too many', async () => {
    let refusals = 1;
    const { url, asked } = await apiOf((_filter, page, origin) => {
      if (refusals-- > 0) return { status: 429, body: {} };
      const Items = page === 0 ? [{ ...item, retailPrice: 0 }] : [{ ...item, tierMinimumUnits: 5 }];
      const NextPageLink = page === 0 ? `${origin}/prices?$skip=1` : null;
      return { body: { BillingCurrency: 'USD', Items, NextPageLink } };
    });
    expect(await fetchPrice(url, meter, '2026-11-27')).toEqual({
      serviceName: 'Log Analytics',
      productName: 'Log Analytics',
      skuName: 'Analytics Logs',
      meterName: 'Analytics Logs Data Ingestion',
      armRegionName: 'southafricanorth',
      unitOfMeasure: '1 GB',
      usd: 2.99,
      source: expect.stringContaining(`${url}?currencyCode=USD&%24filter=`),
      retrieved: '2026-11-27',
    });
    expect(asked.map((query) => query.get('$skip'))).toEqual([null, null, '1']);
    expect(asked[0]?.get('$filter')).toBe(filterOf(meter));
  });

  it('gets the first tier that costs something, and nothing but list prices', async () => {
    const { url } = await apiOf(() => ({
      body: {
        Items: [
          { ...item, tierMinimumUnits: 5000, retailPrice: 1 },
          { ...item, tierMinimumUnits: 5, retailPrice: 3 },
          { ...item, retailPrice: 0 },
          { ...item, type: 'Reservation', retailPrice: 2 },
          { ...item, type: 'DevTestConsumption', retailPrice: 2 },
        ],
      },
    }));
    expect(await fetchPrice(url, meter, '2026-11-27')).toMatchObject({ usd: 3 });
  });

  it.each(['Global', ''])(
    'finds what has one price for all regions, kept as of "%s"',
    async (region) => {
      const { url, asked } = await apiOf((filter) => ({
        body: {
          Items: filter.includes(`armRegionName eq '${region}'`)
            ? [{ ...item, armRegionName: region, retailPrice: 0.025 }]
            : [],
        },
      }));
      expect(await fetchPrice(url, meter, '2026-11-27')).toMatchObject({
        armRegionName: 'Global',
        usd: 0.025,
        source: expect.stringContaining(url),
      });
      // Its own region comes first.
      expect(asked[0]?.get('$filter')).toBe(filterOf(meter));
    },
  );

  it('has no answer where there is none, and none where several meters would be meant', async () => {
    const none = await apiOf(() => ({ body: { Items: [] } }));
    expect(await fetchPrice(none.url, meter, '2026-11-27')).toBeUndefined();
    const { meterName: _whole, ...wide } = meter;
    const two = await apiOf(() => ({
      body: { Items: [item, { ...item, meterName: 'Analytics Logs Data Retention' }] },
    }));
    await expect(fetchPrice(two.url, wide, '2026-11-27')).rejects.toThrow(
      'several meters are meant',
    );
  });

  it('does not follow to another server, and says what the API refused', async () => {
    const away = await apiOf(() => ({
      body: { Items: [item], NextPageLink: 'https://elsewhere.example/prices' },
    }));
    await expect(fetchPrice(away.url, meter, '2026-11-27')).rejects.toThrow(
      'goes on at https://elsewhere.example',
    );
    const refused = await apiOf(() => ({ status: 400, body: {} }));
    await expect(fetchPrice(refused.url, meter, '2026-11-27')).rejects.toThrow('answered 400');
  });
});

describe('npm run prices', () => {
  it('writes what the API has, keeps the rest, and says what is missing', async () => {
    const { url } = await apiOf((filter) => ({
      body: {
        Items: filter === filterOf(meter) ? [{ ...item, retailPrice: 3.5 }] : [],
      },
    }));
    const folder = mkdtempSync(join(tmpdir(), 'aigateway-prices-'));
    try {
      const to = join(folder, 'prices.json');
      const program = join(import.meta.dirname, '..', 'src', 'cost', 'fetch.ts');
      const child = spawn(process.execPath, [program, '--from', url, '--to', to]);
      const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
      expect(code).toBe(1);
      expect(errors).toContain("meterName eq 'Provisioned Managed Data Zone Unit'");
      expect(errors).not.toContain(filterOf(meter));
      const written = JSON.parse(readFileSync(to, 'utf8')) as Price[];
      expect(
        written.find(({ armRegionName }) => armRegionName === 'southafricanorth'),
      ).toMatchObject({ meterName: 'Analytics Logs Data Ingestion', usd: 3.5 });
      expect(written).toEqual(expect.arrayContaining(keptPrices()));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
