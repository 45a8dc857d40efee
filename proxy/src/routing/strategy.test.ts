import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeploymentRecord, StrategyName } from '@aigateway/contract/records';
import type { Deployments, DeploymentState } from './deployments.ts';
import { availableAt, isUsable } from './health.ts';
import { isFull, orderDeployments, strategies, type OrderContext } from './index.ts';
import { routerRecord } from '../../../contract/test/router.fixture.ts';
import {
  deploymentRecord,
  deploymentsOf,
  ids,
  seededRandom,
  TestClock,
} from './records.fixture.ts';

const names = Object.keys(strategies) as StrategyName[];

function context(clock: TestClock, overrides: Partial<OrderContext> = {}): OrderContext {
  return {
    now: clock.now(),
    random: seededRandom(1),
    estimateTokens: 100,
    stream: false,
    router: routerRecord(),
    ...overrides,
  };
}

function setUp(records: readonly Partial<DeploymentRecord>[]) {
  const clock = new TestClock();
  const deployments = deploymentsOf(
    clock,
    records.map((record) => deploymentRecord(record)),
  );
  return { clock, deployments, group: deployments.group('chat') };
}

function rest(deployments: Deployments, id: string, waitMs: number): void {
  const state = deployments.get(id);
  if (state === undefined) throw new Error(`no deployment ${id}`);
  deployments.started(state, 0);
  deployments.finished(state, {
    ok: false,
    failureClass: 'RateLimitError',
    blame: true,
    waitMs,
  });
}

/** How often each deployment is first. */
function shares(
  count: number,
  group: readonly DeploymentState[],
  next: () => OrderContext,
): Record<string, number> {
  const result: Record<string, number> = {};
  for (let call = 0; call < count; call += 1) {
    const id = orderDeployments(group, next())[0]?.record.id ?? 'none';
    result[id] = (result[id] ?? 0) + 1;
  }
  return result;
}

describe.each(names)('strategy %s', (name) => {
  const member = fc.record({
    priority: fc.integer({ min: 0, max: 2 }),
    weight: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
    rpm: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
    price: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
    waitMs: fc.option(fc.integer({ min: 1, max: 60_000 }), { nil: undefined }),
    calls: fc.integer({ min: 0, max: 3 }),
    latencyMs: fc.option(fc.integer({ min: 1, max: 5_000 }), { nil: undefined }),
    remaining: fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined }),
  });
  const scenario = fc.record({
    members: fc.array(member, { maxLength: 7 }),
    seed: fc.nat(),
    sessionKey: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
    enforceRateLimits: fc.boolean(),
  });
  type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

  function build({ members, seed, sessionKey, enforceRateLimits }: Scenario) {
    const { clock, deployments, group } = setUp(
      members.map((value, index) => ({
        id: `d${index}`,
        priority: value.priority,
        ...(value.weight !== undefined && { weight: value.weight }),
        ...(value.rpm !== undefined && { requestsPerMinute: value.rpm }),
        ...(value.price !== undefined && { prices: { input: value.price, output: 1 } }),
      })),
    );
    for (const [index, value] of members.entries()) {
      const state = deployments.get(`d${index}`);
      if (state === undefined) throw new Error('missing');
      for (let call = 0; call < value.calls; call += 1) deployments.started(state, 50);
      if (value.latencyMs !== undefined) {
        deployments.started(state, 50);
        deployments.finished(state, {
          ok: true,
          blame: false,
          latencyMs: value.latencyMs,
          ...(value.remaining !== undefined && {
            rateLimit: { remainingTokens: value.remaining },
          }),
        });
      }
      if (value.waitMs !== undefined) rest(deployments, `d${index}`, value.waitMs);
    }
    const make = (): OrderContext =>
      context(clock, {
        strategy: name,
        random: seededRandom(seed),
        router: routerRecord({ enforceRateLimits }),
        ...(sessionKey !== undefined && { sessionKey }),
      });
    return { clock, group, make };
  }

  it('neither loses nor doubles a candidate', () => {
    fc.assert(
      fc.property(scenario, (value) => {
        const { group, make } = build(value);
        expect(ids(orderDeployments(group, make())).sort()).toEqual(ids(group).sort());
      }),
    );
  });

  it('puts the resting after the usable ones, the soonest available first', () => {
    fc.assert(
      fc.property(scenario, (value) => {
        const { clock, group, make } = build(value);
        const now = clock.now();
        const order = orderDeployments(group, make());
        const times = order.map((state) => availableAt(state, now));
        expect(times).toEqual(times.toSorted((a, b) => a - b));
      }),
    );
  });

  it('uses up a priority tier before the next one', () => {
    fc.assert(
      fc.property(scenario, (value) => {
        const { clock, group, make } = build(value);
        const usable = orderDeployments(group, make()).filter((state) =>
          isUsable(state, clock.now()),
        );
        const priorities = usable.map((state) => state.record.priority);
        expect(priorities).toEqual(priorities.toSorted((a, b) => a - b));
      }),
    );
  });

  it('puts full ones behind the others of their tier', () => {
    fc.assert(
      fc.property(scenario, (value) => {
        const { clock, group, make } = build(value);
        const orderContext = make();
        const order = orderDeployments(group, orderContext).filter((state) =>
          isUsable(state, clock.now()),
        );
        for (const tier of Map.groupBy(order, (state) => state.record.priority).values()) {
          const full = tier.map((state) =>
            isFull(state, orderContext.estimateTokens, false, clock.now()),
          );
          if (value.enforceRateLimits || name.includes('-based-')) continue;
          expect(full).toEqual(full.toSorted((a, b) => Number(a) - Number(b)));
        }
      }),
    );
  });

  it('gives the same order for the same seed', () => {
    fc.assert(
      fc.property(scenario, (value) => {
        const one = build(value);
        const other = build(value);
        expect(ids(orderDeployments(one.group, one.make()))).toEqual(
          ids(orderDeployments(other.group, other.make())),
        );
      }),
    );
  });

  it('hands a lone candidate back without work', () => {
    const { clock, group } = setUp([{ id: 'a' }]);
    expect(orderDeployments(group, context(clock, { strategy: name }))).toBe(group);
  });

  it('goes on to the next tier at once when the first one rests', () => {
    const { clock, deployments, group } = setUp([
      { id: 'ptu', priority: 0, capacity: 'ptu' },
      { id: 'standard', priority: 1 },
    ]);
    expect(ids(orderDeployments(group, context(clock, { strategy: name })))).toEqual([
      'ptu',
      'standard',
    ]);
    rest(deployments, 'ptu', 300);
    expect(ids(orderDeployments(group, context(clock, { strategy: name })))).toEqual([
      'standard',
      'ptu',
    ]);
    clock.pass(300);
    expect(ids(orderDeployments(group, context(clock, { strategy: name })))[0]).toBe('ptu');
  });

  it('avoids a deployment whose upstream says that the call would not fit', () => {
    const { clock, deployments, group } = setUp([{ id: 'a' }, { id: 'b' }]);
    for (const id of ['a', 'b']) {
      const state = deployments.get(id);
      if (state === undefined) throw new Error('missing');
      deployments.started(state, 0);
      deployments.finished(state, {
        ok: true,
        blame: false,
        latencyMs: id === 'a' ? 1 : 1_000,
        rateLimit: { remainingTokens: id === 'a' ? 99 : 5_000, resetMs: 2_000 },
      });
    }
    for (let seed = 0; seed < 20; seed += 1) {
      const order = orderDeployments(
        group,
        context(clock, { strategy: name, random: seededRandom(seed) }),
      );
      expect(ids(order)).toEqual(['b', 'a']);
    }
  });
});

describe('simple-shuffle', () => {
  it.each([
    ['weight', { weight: 3 }, { weight: 1 }],
    ['rpm when no weight is set', { requestsPerMinute: 300 }, { requestsPerMinute: 100 }],
    ['tpm when neither is set', { tokensPerMinute: 3_000 }, { tokensPerMinute: 1_000 }],
    [
      'weight over rpm',
      { weight: 3, requestsPerMinute: 1 },
      { weight: 1, requestsPerMinute: 1_000 },
    ],
  ])('shares calls by %s', (_, a, b) => {
    const { clock, group } = setUp([
      { id: 'a', ...a },
      { id: 'b', ...b },
    ]);
    const random = seededRandom(7);
    const result = shares(4_000, group, () => context(clock, { random }));
    expect(result['a']).toBeGreaterThan(2_850);
    expect(result['a']).toBeLessThan(3_150);
  });

  it('never begins with a member without weight while another has one', () => {
    const { clock, group } = setUp([{ id: 'a', weight: 1 }, { id: 'b' }, { id: 'c', weight: 0 }]);
    const random = seededRandom(3);
    expect(shares(500, group, () => context(clock, { random }))).toEqual({ a: 500 });
  });

  it('treats all as equals when every weight is 0', () => {
    const { clock, group } = setUp([
      { id: 'a', weight: 0 },
      { id: 'b', weight: 0 },
    ]);
    const random = seededRandom(3);
    const result = shares(1_000, group, () => context(clock, { random }));
    expect(result['a']).toBeGreaterThan(430);
    expect(result['b']).toBeGreaterThan(430);
  });
});

describe('round-robin', () => {
  it('gives each of two deployments 500 of 1,000 calls', () => {
    const { clock, group } = setUp([{ id: 'a' }, { id: 'b' }]);
    const result = shares(1_000, group, () => context(clock, { strategy: 'round-robin' }));
    expect(result).toEqual({ a: 500, b: 500 });
  });

  it('takes a newcomer into the circle', () => {
    const { clock, group } = setUp([{ id: 'a' }, { id: 'b' }, { id: 'c' }]);
    const next = () => context(clock, { strategy: 'round-robin' });
    shares(10, group.slice(0, 2), next);
    const result = shares(300, group, next);
    expect(result['a']).toBeGreaterThan(95);
    expect(result['b']).toBeGreaterThan(95);
    expect(result['c']).toBeLessThan(111);
  });
});

describe('least-busy', () => {
  it('begins with the fewest calls in flight', () => {
    const { clock, deployments, group } = setUp([{ id: 'a' }, { id: 'b' }, { id: 'c' }]);
    const [a, b] = group;
    if (a === undefined || b === undefined) throw new Error('missing');
    deployments.started(a, 0);
    deployments.started(a, 0);
    deployments.started(b, 0);
    expect(ids(orderDeployments(group, context(clock, { strategy: 'least-busy' })))).toEqual([
      'c',
      'b',
      'a',
    ]);
  });
});

describe('latency-based routing', () => {
  function measured(latencies: Record<string, number>, latencyBuffer = 0) {
    const set = setUp(Object.keys(latencies).map((id) => ({ id })));
    for (const [id, latencyMs] of Object.entries(latencies)) {
      const state = set.deployments.get(id);
      if (state === undefined || latencyMs === 0) continue;
      set.deployments.started(state, 0);
      set.deployments.finished(state, { ok: true, blame: false, latencyMs });
    }
    const make = (seed: number): OrderContext =>
      context(set.clock, {
        strategy: 'latency-based-routing',
        router: routerRecord({ latencyBuffer }),
        random: seededRandom(seed),
      });
    return { ...set, make };
  }

  it('begins with the fastest', () => {
    const { group, make } = measured({ slow: 900, fast: 100, middle: 300 });
    expect(ids(orderDeployments(group, make(1)))).toEqual(['fast', 'middle', 'slow']);
  });

  it('shares calls between those within the buffer of the best', () => {
    const { group, make } = measured({ a: 100, b: 140, c: 160 }, 0.5);
    let seed = 0;
    const result = shares(400, group, () => make((seed += 1_000)));
    expect(Object.keys(result).sort()).toEqual(['a', 'b']);
  });

  it('goes by the last measurements, as many and as old as the group or the router wants', () => {
    const { clock, deployments, group, make } = measured({ a: 100, b: 200 });
    const [a] = group;
    if (a === undefined) throw new Error('missing');
    const measure = (latencyMs: number) => {
      deployments.started(a, 0);
      deployments.finished(a, { ok: true, blame: false, latencyMs });
    };
    for (let count = 0; count < 9; count += 1) measure(10);
    measure(1500);
    const first = (of: Partial<OrderContext>) =>
      ids(orderDeployments(group, { ...make(1), ...of }))[0];
    expect(first({})).toBe('a');
    expect(first({ router: routerRecord({ latencySamples: 1 }) })).toBe('b');
    expect(first({ latency: { samples: 1 } })).toBe('b');
    expect(first({ latency: { samples: 1, buffer: 7 }, random: () => 0.1 })).toBe('a');
    // Kept from the first time on that more than ten were asked for.
    expect(first({ latency: { samples: 30 } })).toBe('a');
    for (let count = 0; count < 19; count += 1) measure(150);
    expect(first({ latency: { samples: 30 } })).toBe('a');
    expect(first({ latency: { samples: 20 } })).toBe('b');
    clock.pass(1000);
    expect(first({ latency: { windowMs: 500 } })).toBeDefined();
    measure(5000);
    expect(first({ now: clock.now(), latency: { windowMs: 500 } })).toBe('b');
  });

  it('explores an untried deployment with one call at a time', () => {
    const { deployments, group, make } = measured({ known: 100, untried: 0 });
    expect(ids(orderDeployments(group, make(1)))[0]).toBe('untried');
    const untried = deployments.get('untried');
    if (untried === undefined) throw new Error('missing');
    deployments.started(untried, 0);
    let seed = 0;
    const result = shares(200, group, () => make((seed += 1_000)));
    expect(result['known']).toBeGreaterThan(50);
  });

  it('holds a timeout against a deployment', () => {
    const { deployments, group, make } = measured({ a: 100, b: 900 });
    const [a] = group;
    if (a === undefined) throw new Error('missing');
    deployments.started(a, 0);
    deployments.finished(a, { ok: false, failureClass: 'TimeoutError', blame: true });
    expect(ids(orderDeployments(group, make(1)))[0]).toBe('b');
  });
});

describe('cost-based routing', () => {
  it('begins with the cheapest and ends with the unpriced', () => {
    const { clock, group } = setUp([
      { id: 'unpriced' },
      { id: 'dear', prices: { input: 30, output: 60 } },
      { id: 'cheap', prices: { input: 10, output: 20 } },
    ]);
    expect(
      ids(orderDeployments(group, context(clock, { strategy: 'cost-based-routing' }))),
    ).toEqual(['cheap', 'dear', 'unpriced']);
  });
});

describe('usage-based routing', () => {
  it('begins with the fewest tokens of the minute and puts a used-up one last', () => {
    const { clock, deployments, group } = setUp([
      { id: 'used-up', requestsPerMinute: 1 },
      { id: 'busy' },
      { id: 'idle' },
    ]);
    const tokens: Record<string, number> = { 'used-up': 0, busy: 500, idle: 10 };
    for (const state of group) deployments.started(state, tokens[state.record.id] ?? 0);
    const order = (): string[] =>
      ids(orderDeployments(group, context(clock, { strategy: 'usage-based-routing-v2' })));
    expect(order()).toEqual(['idle', 'busy', 'used-up']);
    clock.pass(60_000);
    expect(order()).toHaveLength(3);
    expect(isFull(group[0] as DeploymentState, 100, true, clock.now())).toBe(false);
  });
});

describe('free capacity', () => {
  it('counts calls sent since the upstream last told its quota', () => {
    const { clock, deployments, group } = setUp([{ id: 'a' }]);
    const [a] = group;
    if (a === undefined) throw new Error('missing');
    deployments.started(a, 0);
    deployments.finished(a, {
      ok: true,
      blame: false,
      rateLimit: { remainingRequests: 2, remainingTokens: 250, resetMs: 5_000 },
    });
    expect(isFull(a, 100, false, clock.now())).toBe(false);
    deployments.started(a, 200);
    expect(isFull(a, 100, false, clock.now())).toBe(true);
    clock.pass(5_000);
    expect(isFull(a, 100, false, clock.now())).toBe(false);
  });

  it('ends where a provisioned deployment is fully used', () => {
    const { clock, deployments, group } = setUp([{ id: 'a' }]);
    const [a] = group;
    if (a === undefined) throw new Error('missing');
    deployments.started(a, 0);
    deployments.finished(a, { ok: true, blame: false, utilisation: 1.02 });
    expect(isFull(a, 100, false, clock.now())).toBe(true);
  });

  it('ends where as many calls as allowed are in flight', () => {
    const { clock, deployments, group } = setUp([{ id: 'a', parallelRequests: 1 }]);
    const [a] = group;
    if (a === undefined) throw new Error('missing');
    deployments.started(a, 0);
    expect(isFull(a, 0, false, clock.now())).toBe(true);
  });
});

describe('session affinity', () => {
  const four = [{ id: 'a' }, { id: 'b' }, { id: 'c' }, { id: 'd' }];

  it.each(['simple-shuffle', 'round-robin', 'least-busy'] as const)(
    'brings every call of a conversation to the same deployment under %s',
    (strategy) => {
      const { clock, group } = setUp(four);
      const random = seededRandom(5);
      const result = shares(50, group, () =>
        context(clock, { strategy, random, sessionKey: 'conversation-1' }),
      );
      expect(Object.keys(result)).toHaveLength(1);
    },
  );

  it('spreads many conversations evenly, and by weight', () => {
    const { clock, group } = setUp([
      { id: 'a', weight: 3 },
      { id: 'b', weight: 1 },
    ]);
    let session = 0;
    const result = shares(2_000, group, () =>
      context(clock, { sessionKey: `session-${(session += 1)}` }),
    );
    expect(result['a']).toBeGreaterThan(1_400);
    expect(result['a']).toBeLessThan(1_600);
  });

  it('moves only the conversations of a deployment that went away', () => {
    const { clock, group } = setUp(four);
    const without = group.filter((state) => state.record.id !== 'c');
    const sessions = Array.from({ length: 200 }, (_, session) => {
      const made = context(clock, { sessionKey: `session-${session}` });
      return {
        before: orderDeployments(group, made)[0],
        after: orderDeployments(without, made)[0],
      };
    });
    const moved = sessions.filter(({ before, after }) => before !== after);
    expect(moved.length).toBeGreaterThan(30);
    expect(moved.every(({ before }) => before?.record.id === 'c')).toBe(true);
  });

  it('gives way when the home is full or resting', () => {
    const { clock, deployments, group } = setUp(four);
    const made = context(clock, { sessionKey: 's' });
    const home = orderDeployments(group, made)[0];
    if (home === undefined) throw new Error('missing');
    rest(deployments, home.record.id, 10_000);
    const order = orderDeployments(group, made);
    expect(order[0]).not.toBe(home);
    expect(order.at(-1)).toBe(home);
  });
});
