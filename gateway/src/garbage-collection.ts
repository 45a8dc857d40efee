import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// Imported first, for its effect on the whole process: see docs/decisions/0013.
//
// V8 creates objects directly in the old generation where their kind often outlives collections of the young one. What a request
// makes lives exactly as long as the request, so under load that guess is made for nearly all of it, and each such object keeps
// what it refers to until the next full collection. Without the guess, a request costs a fifth less CPU time.
setFlagsFromString('--no-allocation-site-pretenuring');
// On a machine with much memory V8 lets the old generation grow to several times what is alive in it before it looks. Records
// hardly change, so what is there besides them is garbage: looking sooner keeps the process small. Not much sooner: buffers of streams
// count too, and at 30 instead of 100 percent a stream cost a third more.
setFlagsFromString('--heap-growing-percent=100');

/**
 * Collects everything and gives the pages back to the operating system, which V8 by itself does not do while there is work.
 * Takes some ten milliseconds: for the moment between reading a configuration, which needs several times the memory of what is
 * left of it, and the first request. What is alive then is what the old generation's growth is reckoned from.
 */
export function releaseMemory(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: object) => void;
  collect({ type: 'major', flavor: 'last-resort' });
}
