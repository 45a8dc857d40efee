import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FailureClass } from '@aigateway/contract/records';
import type { Deployments, DeploymentState } from './deployments.ts';
import { availableAt, healthReport, isUsable, standing } from './health.ts';
import { routerRecord } from '../../../contract/test/router.fixture.ts';
import { deploymentRecord, deploymentsOf, TestClock } from './records.fixture.ts';

function setUp(overrides: Parameters<typeof routerRecord>[0] = {}, members = ['a', 'b']) {
  const clock = new TestClock();
  const deployments = deploymentsOf(
    clock,
    members.map((id) => deploymentRecord({ id })),
    routerRecord(overrides),
  );
  const state = (id: string): DeploymentState => {
    const found = deployments.get(id);
    if (found === undefined) throw new Error(`no deployment ${id}`);
    return found;
  };
  return { clock, deployments, state };
}

function fail(
  deployments: Deployments,
  state: DeploymentState,
  failureClass: FailureClass,
  waitMs?: number,
): void {
  deployments.started(state, 0);
  deployments.finished(state, {
    ok: false,
    failureClass,
    blame: true,
    ...(waitMs !== undefined && { waitMs }),
  });
}

function succeed(deployments: Deployments, state: DeploymentState): void {
  deployments.started(state, 0);
  deployments.finished(state, { ok: true, blame: false });
}

function openCircuit(deployments: Deployments, state: DeploymentState): void {
  for (let call = 0; call < 3; call += 1) fail(deployments, state, 'InternalServerError');
}

describe('a snapshot change', () => {
  it('keeps the state of a deployment that still points to the same upstream', () => {
    const { clock, deployments, state } = setUp();
    fail(deployments, state('a'), 'RateLimitError', 30_000);
    const before = state('a');
    deployments.update({
      deployments: [deploymentRecord({ id: 'a', weight: 7 }), deploymentRecord({ id: 'b' })],
      router: routerRecord(),
    });
    expect(state('a')).toBe(before);
    expect(state('a').record.weight).toBe(7);
    expect(availableAt(state('a'), clock.now())).toBe(clock.now() + 30_000);
  });

  it('starts anew when the id points to another resource or deployment', () => {
    const { deployments, state } = setUp();
    const before = state('a');
    deployments.update({
      deployments: [deploymentRecord({ id: 'a', deployment: 'other' })],
      router: routerRecord(),
    });
    expect(state('a')).not.toBe(before);
    expect(deployments.get('b')).toBeUndefined();
  });

  it('moves a deployment between groups', () => {
    const { deployments } = setUp();
    deployments.update({
      deployments: [deploymentRecord({ id: 'a', model: 'other' })],
      router: routerRecord(),
    });
    expect(deployments.group('chat')).toEqual([]);
    expect(deployments.group('other')).toHaveLength(1);
    expect([...deployments.all()]).toHaveLength(1);
  });

  it('lets a call that began before it end afterwards', () => {
    const { deployments, state } = setUp();
    const before = state('a');
    deployments.started(before, 10);
    deployments.update({ deployments: [], router: routerRecord() });
    deployments.finished(before, { ok: true, blame: false });
    expect(before.inFlight).toBe(0);
  });
});

describe('cool-down', () => {
  it('follows a 429 at once and ends by itself without a trial', () => {
    const { clock, deployments, state } = setUp();
    fail(deployments, state('a'), 'RateLimitError');
    expect(standing(state('a'), clock.now())).toBe('cooling');
    expect(availableAt(state('a'), clock.now())).toBe(clock.now() + 5_000);
    clock.pass(5_000);
    expect(standing(state('a'), clock.now())).toBe('healthy');
  });

  it.each([
    ['announced wait over the router setting', undefined, 40_000, 40_000],
    ['a short announced wait over the router setting', undefined, 200, 200],
    ['a deployment setting over a shorter announced wait', 60_000, 40_000, 60_000],
    ['an announced wait over a shorter deployment setting', 10_000, 40_000, 40_000],
    ['a deployment setting without an announced wait', 10_000, undefined, 10_000],
    ['the router setting when nothing else is known', undefined, undefined, 5_000],
  ])('takes %s', (_, coolDownMs, waitMs, expectedMs) => {
    const clock = new TestClock();
    const deployments = deploymentsOf(clock, [
      deploymentRecord({ id: 'a', ...(coolDownMs !== undefined && { coolDownMs }) }),
      deploymentRecord({ id: 'b' }),
    ]);
    const [a] = deployments.group('chat');
    if (a === undefined) throw new Error('no member');
    fail(deployments, a, 'RateLimitError', waitMs);
    expect(availableAt(a, clock.now()) - clock.now()).toBe(expectedMs);
  });

  it('is never shortened by a later, shorter announcement', () => {
    const { clock, deployments, state } = setUp();
    const start = clock.now();
    fail(deployments, state('a'), 'RateLimitError', 60_000);
    clock.pass(1_000);
    fail(deployments, state('a'), 'RateLimitError', 2_000);
    expect(availableAt(state('a'), clock.now())).toBe(start + 60_000);
  });

  it('does not end early because an older call succeeds', () => {
    const { clock, deployments, state } = setUp();
    deployments.started(state('a'), 0);
    fail(deployments, state('a'), 'RateLimitError', 30_000);
    deployments.finished(state('a'), { ok: true, blame: false });
    expect(isUsable(state('a'), clock.now())).toBe(false);
  });

  it('does not follow mistakes of callers, however many', () => {
    const { clock, deployments, state } = setUp();
    for (let call = 0; call < 1_000; call += 1) {
      deployments.started(state('a'), 0);
      deployments.finished(state('a'), {
        ok: false,
        failureClass: 'BadRequestError',
        blame: false,
      });
    }
    expect(standing(state('a'), clock.now())).toBe('healthy');
    expect(state('a').inFlight).toBe(0);
  });

  it('spares the last usable member, which only keeps the announced waits', () => {
    const { clock, deployments, state } = setUp({}, ['a']);
    openCircuit(deployments, state('a'));
    fail(deployments, state('a'), 'AuthenticationError');
    fail(deployments, state('a'), 'RateLimitError');
    expect(standing(state('a'), clock.now())).toBe('healthy');
    fail(deployments, state('a'), 'RateLimitError', 7_000);
    expect(availableAt(state('a'), clock.now())).toBe(clock.now() + 7_000);
  });

  it('spares the member that is left while the others rest or are blocked', () => {
    const clock = new TestClock();
    const deployments = deploymentsOf(clock, [
      deploymentRecord({ id: 'a' }),
      deploymentRecord({ id: 'b' }),
      deploymentRecord({ id: 'c', blocked: true }),
    ]);
    const [a, b] = deployments.group('chat');
    if (a === undefined || b === undefined) throw new Error('no members');
    openCircuit(deployments, a);
    openCircuit(deployments, b);
    expect(standing(a, clock.now())).toBe('cooling');
    expect(standing(b, clock.now())).toBe('healthy');
  });
});

describe('a group under any sequence of outcomes', () => {
  const outcome = fc.constantFrom(
    'ok',
    'left',
    'BadRequestError',
    'RateLimitError',
    'InternalServerError',
    'TimeoutError',
    'AuthenticationError',
  );
  const step = fc.oneof(
    fc.record({ member: fc.nat(2), start: fc.constant(true) }),
    fc.record({ member: fc.nat(2), end: outcome }),
    fc.record({ passMs: fc.integer({ min: 1, max: 90_000 }) }),
    fc.record({ member: fc.nat(2), probe: fc.boolean() }),
  );

  it('keeps a healthy member, and its clocks and counts make sense', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.option(fc.nat(3), { nil: undefined }),
        (steps, allowedFails) => {
          const { clock, deployments } = setUp(allowedFails === undefined ? {} : { allowedFails }, [
            'a',
            'b',
            'c',
          ]);
          const group = deployments.group('chat');
          for (const each of steps) {
            if ('passMs' in each) clock.pass(each.passMs);
            else {
              const state = group[each.member];
              if (state === undefined) throw new Error('missing');
              if ('start' in each) deployments.started(state, 1);
              else if ('probe' in each) deployments.recordProbe(state, each.probe);
              else if (each.end === 'ok') deployments.finished(state, { ok: true, blame: false });
              else if (each.end === 'left')
                deployments.finished(state, { ok: false, blame: false });
              else {
                deployments.finished(state, {
                  ok: false,
                  failureClass: each.end,
                  blame: each.end !== 'BadRequestError',
                });
              }
            }
            const now = clock.now();
            expect(group.some((state) => standing(state, now) === 'healthy')).toBe(true);
            for (const state of group) {
              expect(state.inFlight).toBeGreaterThanOrEqual(0);
              expect(isUsable(state, now)).toBe(availableAt(state, now) === now);
              expect(availableAt(state, now) - now).toBeLessThanOrEqual(60_000);
            }
          }
        },
      ),
    );
  });
});

describe('allowed failures', () => {
  it('are exceeded by one more than allowed within a minute', () => {
    const { clock, deployments, state } = setUp({ allowedFails: 2 });
    fail(deployments, state('a'), 'RateLimitError');
    fail(deployments, state('a'), 'InternalServerError');
    expect(standing(state('a'), clock.now())).toBe('healthy');
    fail(deployments, state('a'), 'TimeoutError');
    expect(standing(state('a'), clock.now())).toBe('cooling');
  });

  it("are a deployment's own where it has any", () => {
    const clock = new TestClock();
    const deployments = deploymentsOf(clock, [
      deploymentRecord({ id: 'a', allowedFails: 1 }),
      deploymentRecord({ id: 'b', allowedFailsPolicy: { RateLimitError: 1 } }),
      deploymentRecord({ id: 'c' }),
    ]);
    const group = deployments.group('chat');
    const standings = () => group.map((state) => standing(state, clock.now()));
    for (const state of group) fail(deployments, state, 'RateLimitError');
    expect(standings()).toEqual(['healthy', 'healthy', 'cooling']);
    for (const state of group.slice(0, 2)) fail(deployments, state, 'RateLimitError');
    expect(standings()).toEqual(['cooling', 'healthy', 'cooling']);
    clock.pass(5_000);
    fail(deployments, group[1]!, 'RateLimitError');
    expect(standings()).toEqual(['healthy', 'cooling', 'healthy']);
  });

  it('start anew with every minute', () => {
    const { clock, deployments, state } = setUp({ allowedFails: 2 });
    for (let minute = 0; minute < 5; minute += 1) {
      fail(deployments, state('a'), 'InternalServerError');
      fail(deployments, state('a'), 'InternalServerError');
      clock.pass(60_000);
    }
    expect(standing(state('a'), clock.now())).toBe('healthy');
  });

  it('are counted per class where a policy names the class', () => {
    const { clock, deployments, state } = setUp({
      allowedFails: 100,
      allowedFailsPolicy: { TimeoutError: 1 },
    });
    fail(deployments, state('a'), 'TimeoutError');
    for (let call = 0; call < 10; call += 1) fail(deployments, state('a'), 'InternalServerError');
    expect(standing(state('a'), clock.now())).toBe('healthy');
    fail(deployments, state('a'), 'TimeoutError');
    expect(standing(state('a'), clock.now())).toBe('cooling');
  });

  it('do not make a caller run into an announced wait', () => {
    const { clock, deployments, state } = setUp({ allowedFails: 100 });
    fail(deployments, state('a'), 'RateLimitError', 3_000);
    expect(availableAt(state('a'), clock.now())).toBe(clock.now() + 3_000);
  });

  it('default to more than half of at least five calls', () => {
    const { clock, deployments, state } = setUp();
    const pattern = [true, false, false, true, false];
    for (const ok of pattern) {
      expect(standing(state('a'), clock.now())).toBe('healthy');
      if (ok) succeed(deployments, state('a'));
      else fail(deployments, state('a'), 'ServiceUnavailableError');
    }
    expect(standing(state('a'), clock.now())).toBe('cooling');
  });
});

describe('circuit', () => {
  it('lets one trial through after the cool-down and closes on its success', () => {
    const { clock, deployments, state } = setUp();
    openCircuit(deployments, state('a'));
    clock.pass(5_000);
    expect(standing(state('a'), clock.now())).toBe('half-open');
    expect(isUsable(state('a'), clock.now())).toBe(true);
    deployments.started(state('a'), 0);
    expect(isUsable(state('a'), clock.now())).toBe(false);
    expect(availableAt(state('a'), clock.now())).toBeGreaterThan(clock.now());
    deployments.finished(state('a'), { ok: true, blame: false });
    expect(standing(state('a'), clock.now())).toBe('healthy');
  });

  it('closes at the first output of a trial, not only at the end of its stream', () => {
    const { clock, deployments, state } = setUp();
    openCircuit(deployments, state('a'));
    clock.pass(5_000);
    deployments.started(state('a'), 0);
    deployments.answered(state('a'));
    expect(standing(state('a'), clock.now())).toBe('healthy');
    expect(isUsable(state('a'), clock.now())).toBe(true);
  });

  it('rests twice as long after each failed trial, up to a minute', () => {
    const { clock, deployments, state } = setUp();
    openCircuit(deployments, state('a'));
    const rests: number[] = [];
    for (let trial = 0; trial < 6; trial += 1) {
      const restMs = availableAt(state('a'), clock.now()) - clock.now();
      rests.push(restMs);
      clock.pass(restMs);
      fail(deployments, state('a'), 'InternalServerError');
    }
    expect(rests).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  });

  it('begins again with the short rest once it was closed', () => {
    const { clock, deployments, state } = setUp();
    openCircuit(deployments, state('a'));
    clock.pass(5_000);
    fail(deployments, state('a'), 'InternalServerError');
    clock.pass(10_000);
    succeed(deployments, state('a'));
    openCircuit(deployments, state('a'));
    expect(availableAt(state('a'), clock.now())).toBe(clock.now() + 5_000);
  });

  it('allows another trial when the caller of the first one left', () => {
    const { clock, deployments, state } = setUp();
    openCircuit(deployments, state('a'));
    clock.pass(5_000);
    deployments.started(state('a'), 0);
    deployments.finished(state('a'), { ok: false, blame: false });
    expect(standing(state('a'), clock.now())).toBe('half-open');
    expect(isUsable(state('a'), clock.now())).toBe(true);
  });

  it.each<FailureClass>(['BadRequestError', 'ContentPolicyViolationError'])(
    'closes when the trial is refused for the caller’s sake: %s',
    (failureClass) => {
      const { clock, deployments, state } = setUp();
      openCircuit(deployments, state('a'));
      clock.pass(5_000);
      deployments.started(state('a'), 0);
      deployments.finished(state('a'), { ok: false, failureClass, blame: false });
      expect(standing(state('a'), clock.now())).toBe('healthy');
    },
  );

  it('takes a 429 on the trial as a sign of life and rests as announced', () => {
    const { clock, deployments, state } = setUp();
    openCircuit(deployments, state('a'));
    clock.pass(5_000);
    fail(deployments, state('a'), 'RateLimitError', 1_000);
    expect(availableAt(state('a'), clock.now())).toBe(clock.now() + 1_000);
    clock.pass(1_000);
    expect(standing(state('a'), clock.now())).toBe('healthy');
  });

  it('does not wait for ever for a trial whose end is never reported', () => {
    const { clock, deployments, state } = setUp();
    openCircuit(deployments, state('a'));
    clock.pass(5_000);
    deployments.started(state('a'), 0);
    clock.pass(300_000);
    expect(isUsable(state('a'), clock.now())).toBe(true);
  });

  it('stays closed where cool-downs are switched off', () => {
    const { clock, deployments, state } = setUp({ coolDownMs: 0 });
    openCircuit(deployments, state('a'));
    expect(standing(state('a'), clock.now())).toBe('healthy');
  });
});

describe('probes', () => {
  it('close an open circuit early', () => {
    const { clock, deployments, state } = setUp();
    openCircuit(deployments, state('a'));
    deployments.recordProbe(state('a'), true);
    expect(standing(state('a'), clock.now())).toBe('healthy');
  });

  it('say nothing about quota', () => {
    const { clock, deployments, state } = setUp();
    fail(deployments, state('a'), 'RateLimitError', 30_000);
    deployments.recordProbe(state('a'), true);
    expect(standing(state('a'), clock.now())).toBe('cooling');
  });

  it('keep an open circuit open but never open one', () => {
    const { clock, deployments, state } = setUp();
    deployments.recordProbe(state('b'), false);
    expect(standing(state('b'), clock.now())).toBe('healthy');
    openCircuit(deployments, state('a'));
    clock.pass(5_000);
    deployments.recordProbe(state('a'), false);
    expect(standing(state('a'), clock.now())).toBe('cooling');
  });
});

describe('the health report', () => {
  it('tells since when and why a deployment rests', () => {
    const { clock, deployments, state } = setUp();
    expect(healthReport(state('a'), clock.now())).toEqual({
      standing: 'healthy',
      since: 0,
      reason: undefined,
      lastFailure: undefined,
    });
    openCircuit(deployments, state('a'));
    const openedAt = clock.now();
    expect(healthReport(state('a'), clock.now())).toEqual({
      standing: 'cooling',
      since: openedAt,
      reason: 'failures',
      lastFailure: 'InternalServerError',
    });
    clock.pass(6_000);
    expect(healthReport(state('a'), clock.now())).toMatchObject({
      standing: 'half-open',
      since: openedAt + 5_000,
    });
  });
});

describe('statistics', () => {
  it('count an estimate at the start and the real use at the end', () => {
    const { deployments, state } = setUp();
    deployments.started(state('a'), 1_000);
    expect(state('a').minuteWindow).toMatchObject({ requests: 1, tokens: 1_000 });
    expect(state('a').inFlight).toBe(1);
    deployments.finished(state('a'), {
      ok: true,
      blame: false,
      tokens: 300,
      estimateTokens: 1_000,
    });
    expect(state('a').minuteWindow).toMatchObject({ requests: 1, tokens: 300 });
    expect(state('a').inFlight).toBe(0);
  });

  it('never make a minute negative when a call ends in a later one', () => {
    const { clock, deployments, state } = setUp();
    deployments.started(state('a'), 1_000);
    clock.pass(60_000);
    deployments.finished(state('a'), {
      ok: true,
      blame: false,
      tokens: 300,
      estimateTokens: 1_000,
    });
    expect(state('a').minuteWindow.tokens).toBe(0);
  });

  it('keep the last ten latencies within the window', () => {
    const { clock, deployments, state } = setUp();
    for (let call = 1; call <= 12; call += 1) {
      deployments.started(state('a'), 0);
      deployments.finished(state('a'), { ok: true, blame: false, firstOutputMs: call * 100 });
    }
    const { firstOutput, perToken } = state('a').latencies;
    expect(firstOutput.mean(clock.now(), 1_000)).toBe(750);
    expect(perToken.mean(clock.now(), 1_000)).toBeUndefined();
    clock.pass(1_001);
    expect(firstOutput.mean(clock.now(), 1_000)).toBeUndefined();
  });

  it('compare whole answers by time per output token', () => {
    const { clock, deployments, state } = setUp();
    deployments.started(state('a'), 0);
    deployments.finished(state('a'), {
      ok: true,
      blame: false,
      latencyMs: 5_000,
      outputTokens: 100,
    });
    expect(state('a').latencies.perToken.mean(clock.now(), 1_000)).toBe(50);
  });
});

describe('names behind a wildcard', () => {
  const wildcard = deploymentRecord({ id: 'any', model: '*', deployment: '*' });

  it('have a state each, which stays while the configuration points to the same upstream', () => {
    const deployments = deploymentsOf(new TestClock(), [wildcard]);
    const [first] = deployments.serving({ group: '*', filled: 'gpt-4o' });
    const [other] = deployments.serving({ group: '*', filled: 'gpt-5' });
    expect(first).not.toBe(other);
    deployments.update({ deployments: [{ ...wildcard, weight: 2 }], router: routerRecord() });
    const [again] = deployments.serving({ group: '*', filled: 'gpt-4o' });
    expect(again).toBe(first);
    expect(again?.record.weight).toBe(2);
  });

  it('are forgotten beyond a bound, the longest unused first', () => {
    const deployments = deploymentsOf(new TestClock(), [wildcard]);
    const [kept] = deployments.serving({ group: '*', filled: 'kept' });
    for (let index = 0; index < 5_000; index += 1) {
      deployments.serving({ group: '*', filled: `made-up-${index}` });
      deployments.serving({ group: '*', filled: 'kept' });
    }
    expect([...deployments.all()].length).toBeLessThan(2_100);
    expect(deployments.serving({ group: '*', filled: 'kept' })[0]).toBe(kept);
  });
});
