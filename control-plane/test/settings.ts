import type { ManagementSettings } from '../src/http/call.ts';

/** What tests of the management API are set to unless they say otherwise. */
export const settings: ManagementSettings = {
  keyDefaults: {},
  keyUpperBounds: {},
  customKeys: true,
  keyVaults: ['https://given-free.vault.azure.net'],
  timezone: 'UTC',
  budgetResetTime: '00:00',
  fileModels: new Map(),
  fileAliases: [],
  fileSettings: {},
};
