import { createMemoryBus } from '../src/memory-bus.ts';
import { describeSnapshotConformance } from './conformance/snapshot.ts';

describeSnapshotConformance(
  'within one process',
  async () => {
    const bus = createMemoryBus();
    return {
      publisher: bus.publisher,
      createSource: () => bus.createSource(),
      close: () => bus.publisher.close(),
    };
  },
  { hasSeveralPublishers: false },
);
