/** What a team can permit its members to do with its keys. */
export const memberPermissions: readonly string[] = [
  '/key/generate',
  '/key/update',
  '/key/delete',
  '/key/info',
  '/key/list',
  '/key/regenerate',
  '/key/{key_id}/regenerate',
  '/key/{key_id}/reset_spend',
  '/key/service-account/generate',
  '/key/block',
  '/key/unblock',
  '/team/key/bulk_update',
  '/team/daily/activity',
  '/spend/logs',
];
