import { setFlagsFromString } from 'node:v8';

/**
 * Imported first, for its effect on the whole process.
 *
 * V8 creates objects directly in the old generation where their kind often outlives collections of the young one. What a request
 * makes lives exactly as long as the request, so under load that guess is made for nearly all of it, and each such object keeps
 * what it refers to until the next full collection. Without the guess, a request costs a fifth less CPU time.
 */
setFlagsFromString('--no-allocation-site-pretenuring');
