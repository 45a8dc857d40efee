/** Tables of LiteLLM's published schema of one subject, and what becomes of their rows here. */
export type LitellmSubject = {
  readonly subject: string;
  readonly tables: readonly string[];
  /** `carried` as far as it has a place here; rows of what is `left` are counted in the report. */
  readonly fate: 'carried' | 'left';
  /** What of it is carried, or why it is not. */
  readonly how: string;
};

/**
 * Every table of LiteLLM's published schema (schema.prisma up to the release 1.110). The guide's table is written from this, and what
 * an import says of what it leaves.
 */
export const litellmSubjects: readonly LitellmSubject[] = [
  carried(
    'Keys',
    'VerificationToken DeprecatedVerificationToken',
    'with limits, spend, end and groups; the hash is the same, so they go on working, secrets that overlap after a rotation as well. Session keys of the UI are not',
  ),
  carried('Users', 'UserTable', 'with role, limits and spend; without passwords'),
  carried(
    'Teams',
    'TeamTable ModelTable',
    'with members, limits, spend and the aliases of their models',
  ),
  carried(
    'Members of teams',
    'TeamMembership',
    'with the budget that each has there, and what is spent of it',
  ),
  carried('Organizations', 'OrganizationTable', 'with budget and spend'),
  carried(
    'Members of organizations',
    'OrganizationMembership',
    'with role and budget; not what each spent within the organization, which is not counted by itself here: it is in the spend of both',
  ),
  carried('Customers', 'EndUserTable', 'with models, block, budget and spend'),
  carried('Tags', 'TagTable', 'with deployments, budget and spend'),
  carried('Budgets', 'BudgetTable', 'with limits and window'),
  carried(
    'Access groups',
    'AccessGroupTable',
    "with their models; keys and teams have them by their own lists, as in LiteLLM. A key's group opens nothing beyond its team's list. MCP servers, agents and skills in them have no effect",
  ),
  carried(
    'Models and credentials',
    'ProxyModelTable CredentialsTable',
    "opened with LiteLLM's key, whichever algorithm sealed them, and sealed with ours",
  ),
  carried('Single requests', 'SpendLogs', 'with what they used and cost; without their content'),
  carried(
    'Sums by day',
    'DailyUserSpend DailyTeamSpend DailyOrganizationSpend DailyEndUserSpend DailyTagSpend',
    'what is in them beyond the single requests, by key and model: the history that LiteLLM no longer has request by request. Not what caching and compression saved, and how long answers took. `total_spend` begins with what is in them and in the single requests: where LiteLLM has deleted days, its own is higher',
  ),
  left(
    'Settings',
    'Config ConfigOverrides CacheConfig UISettings',
    'settings are taken from the configuration file; the report names those that are stored',
  ),
  left(
    'Permissions for objects',
    'ObjectPermissionTable',
    'there are no MCP servers, vector stores, agents, search tools and skills here to permit; who has such a permission is named',
  ),
  left(
    'Projects',
    'ProjectTable',
    'between teams and keys there is no level here: give what a project bounds to a team of its own',
  ),
  left(
    'Budgets of groups',
    'ModelAccessGroupBudgetTable',
    'limits hang on keys, teams, users, organizations, customers, tags and deployments',
  ),
  left(
    'Spend of each of several windows',
    'BudgetWindowSpend',
    'it is counted anew from the sums by day and the single requests',
  ),
  left(
    'Other sums by day',
    'DailyGlobalSpend DailyModelUsage DailyToolSpend DailyAgentSpend DailyGatewayRequests DailyGatewayFailedRequests DailyRequestErrors DailyGuardrailMetrics DailyGuardrailUsageUnits DailyPolicyMetrics',
    'they are the same requests by another name, or what is not here: agents, tools, guardrails, policies',
  ),
  left(
    'History of changes',
    'AuditLog DeletedTeamTable DeletedVerificationToken',
    'our audit is a chain of our own records, which begins with the one of the import: keep the data base for what was before',
  ),
  left(
    'Logs of errors and states',
    'ErrorLogs HealthCheckTable TelemetryReport SpendLogDelivery SpendLogGuardrailIndex SpendLogToolIndex',
    "they tell of LiteLLM's own running",
  ),
  left(
    'Signing in',
    'JWTKeyMapping SSOConfig SSOIdentityAssertion VerifiedSubject InvitationLink UserNotifications',
    'keys are all that identifies here',
  ),
  left(
    'MCP, agents, tools and search',
    'MCPServerTable MCPToolsetTable MCPUserCredentials MCPUserEnvVars MCPServerOAuthClient UserProviderCredentials AgentsTable AgentIdentity RetiredAgent RetiredAgentIdentity ToolTable SearchToolsTable',
    'not in this release',
  ),
  left(
    'Files, batches and vector stores',
    'ManagedFileTable ManagedObjectTable ManagedFileContentTable ManagedVectorStoreTable ManagedVectorStoresTable ManagedVectorStoreIndexTable',
    'not in this release; what the upstream stores stays there',
  ),
  left(
    'Guardrails, policies and prompts',
    'GuardrailsTable PolicyTable PolicyAttachmentTable PromptTable',
    'the gateway has none of its own',
  ),
  left(
    'Routers that learn, and comparisons',
    'AdaptiveRouterState AdaptiveRouterSession AutoRouterBaselineComparison AutoRouterBaselineObservation AutoRouterSession AutoRouterUserSession AutoRouterDailySpend ShadowEvalJob ShadowEvalAttempt ShadowEvalFunnel SubscriptionAccountTable',
    'there is no such router here',
  ),
  left(
    'Skills, memories and workflows',
    'SkillsTable SkillSubmission MemoryTable ClaudeCodePluginTable ClaudeCodePluginVersion ClaudeCodePluginDownload ClaudeCodePluginUpload WorkflowRun WorkflowEvent WorkflowMessage BackgroundInteractionSettlement Lens LensRun LensReview LensWorker LensIngestionKey LensDataset LensSignalConfig LensTraceSignal',
    'nothing of the kind is kept here',
  ),
  left('Housekeeping', 'CronJob ProxyWorkerHeartbeat', 'it is about processes that end'),
];

function carried(subject: string, names: string, how: string): LitellmSubject {
  return { subject, tables: tablesOf(names), fate: 'carried', how };
}

function left(subject: string, names: string, how: string): LitellmSubject {
  return { subject, tables: tablesOf(names), fate: 'left', how };
}

function tablesOf(names: string): string[] {
  return names.split(' ').map((name) => `LiteLLM_${name}`);
}
