/**
 * The roles of the admin plane and what each may do. Pure; which route needs which access is the table in routes/access.ts, and
 * middleware/admin-access.ts applies it.
 */

export const ROLES = ["operator", "viewer", "tenant-admin", "tenant-viewer"] as const;
export type Role = (typeof ROLES)[number];

/** Who calls the admin plane. */
export interface AdminCaller {
  /** As the audit names it: `admin` for ADMIN_TOKEN, else the token's id. */
  readonly actor: string;
  readonly name: string;
  readonly role: Role;
  /** Set for the roles of one tenant, and for these only. */
  readonly tenant?: string;
  /** ISO 8601 in UTC. */
  readonly expiresAt?: string;
}

/**
 * What a route asks of its caller. `operate`: operators only. `observe`: also viewers. `manage`: operators, and the admins of
 * the URL's tenant. `inspect`: every role, a tenant's own for the URL's tenant. `list`: every role; the route itself reads
 * only what belongs to the caller's tenant.
 */
export type Access = "operate" | "observe" | "manage" | "inspect" | "list";

/** By method and path as the app names them: `GET /admin/tenants/:tenant`. */
export type AccessTable = Readonly<Record<string, Access>>;

const ALLOWED: Readonly<Record<Access, readonly Role[]>> = {
  operate: ["operator"],
  observe: ["operator", "viewer"],
  manage: ["operator", "tenant-admin"],
  inspect: ROLES,
  list: ROLES,
};

/** Whether the role may call such a route for its own tenant, or for all where it has none. */
export function isRoleAllowed(access: Access, role: Role): boolean {
  return ALLOWED[access].includes(role);
}

/** `tenant` is the one of the URL. */
export function isAllowed(access: Access, caller: AdminCaller, tenant: string | undefined): boolean {
  if (!isRoleAllowed(access, caller.role)) return false;
  return caller.tenant === undefined || access === "list" || caller.tenant === tenant;
}

export function isTenantRole(role: Role): boolean {
  return role.startsWith("tenant-");
}
