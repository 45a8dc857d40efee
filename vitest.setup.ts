import fc from 'fast-check';

/**
 * Property tests try the same cases in every run, so that a change fails for what it does and not for what was drawn. The seed
 * `PROPERTY_SEED`, an integer, draws others.
 */
fc.configureGlobal({ seed: Number(process.env['PROPERTY_SEED'] ?? 1) });
