import { afterAll, beforeAll } from 'vitest';
import { startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { aider } from './replays/aider.ts';
import { brokenStreams } from './replays/broken-streams.ts';
import { cline } from './replays/cline.ts';
import { codexForAzure } from './replays/codex-azure.ts';
import { continueReplays } from './replays/continue.ts';
import { keysAndPaths } from './replays/keys-and-paths.ts';
import { kilo } from './replays/kilo.ts';
import { qoder } from './replays/qoder.ts';
import { rooCode } from './replays/roo-code.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await startStage();
});

afterAll(async () => {
  await stage.end();
});

const stageOf = (): Stage => stage;

rooCode(stageOf);
qoder(stageOf);
cline(stageOf);
aider(stageOf);
kilo(stageOf);
codexForAzure(stageOf);
continueReplays(stageOf);
keysAndPaths(stageOf);
brokenStreams(stageOf);
