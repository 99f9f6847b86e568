/** The admin plane's routers, all mounted at `/admin`. Who may call what is access.ts. */

import { adminAudit } from "./audit.ts";
import { adminExport } from "./export.ts";
import { adminDryRun } from "./dry-run.ts";
import { adminKeys } from "./keys.ts";
import { adminMasterKeys } from "./master-keys.ts";
import { adminProviders } from "./providers.ts";
import { adminQueue } from "./queue.ts";
import { adminRoutes } from "./routes.ts";
import { adminSessions } from "./sessions.ts";
import { adminSession } from "./session.ts";
import { adminTenants } from "./tenants.ts";
import { adminTokens } from "./tokens.ts";
import { adminTraces } from "./traces.ts";
import { adminUsage } from "./usage.ts";

export const ADMIN_ROUTERS = [
  adminTokens,
  adminSession,
  adminTenants,
  adminKeys,
  adminProviders,
  adminRoutes,
  adminDryRun,
  adminQueue,
  adminTraces,
  adminSessions,
  adminUsage,
  adminExport,
  adminAudit,
  adminMasterKeys,
] as const;
