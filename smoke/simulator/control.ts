import { isObject } from './json.ts';
import type { Simulation } from './call.ts';
import { resolveConfig } from './config.ts';
import { jsonReply } from './reply.ts';
import type { Reply } from './reply.ts';
import { resetSimulation } from './simulation.ts';

/** A request to the control API. */
export type ControlRequest = {
  method: string;
  /** Path below `/_sim/`. */
  path: string;
  body: string;
};

/** Answers the control API; see docs/guides/simulator.md. Wrong commands are answered with 400 and the reason. */
export function answerControl(simulation: Simulation, request: ControlRequest): Reply {
  try {
    return run(simulation, request);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return jsonReply(400, { error: { code: 'BadCommand', message } });
  }
}

function run(simulation: Simulation, request: ControlRequest): Reply {
  const { clock, faults, recorder } = simulation;
  const body: unknown = request.body === '' ? undefined : JSON.parse(request.body);
  const [name = '', id] = request.path.split('/');
  switch (`${request.method} ${name}`) {
    case 'GET health':
      return jsonReply(200, { status: 'ok' });
    case 'GET config':
      return jsonReply(200, simulation.config);
    case 'PUT config':
      simulation.config = resolveConfig(body);
      resetSimulation(simulation);
      return jsonReply(200, simulation.config);
    case 'GET counters':
      return jsonReply(200, recorder.counters());
    case 'GET requests':
      return jsonReply(200, recorder.requests());
    case 'PUT secrets':
      if (simulation.vault === undefined || id === undefined || typeof body !== 'string')
        throw new Error('needs a vault, the name of a secret in the path, and a JSON text');
      simulation.vault.set(id, body);
      return jsonReply(200, { status: 'ok' });
    case 'GET faults':
      return jsonReply(200, faults.list());
    case 'POST faults':
      return jsonReply(201, { id: faults.add(body).id });
    case 'DELETE faults':
      if (id === undefined) faults.clear();
      else if (!faults.remove(Number(id))) return notFound();
      return jsonReply(200, faults.list());
    case 'GET clock':
      return jsonReply(200, { now: clock.now() });
    case 'POST clock': {
      const ms = isObject(body) ? body['advanceMs'] : undefined;
      if (typeof ms !== 'number' || ms < 0)
        throw new Error('advanceMs must be a number, 0 or more');
      clock.advance(ms);
      return jsonReply(200, { now: clock.now() });
    }
    case 'POST reset':
      resetSimulation(simulation);
      return jsonReply(200, { status: 'ok' });
    default:
      return notFound();
  }
}

function notFound(): Reply {
  return jsonReply(404, { error: { code: 'NotFound', message: 'no such command' } });
}
