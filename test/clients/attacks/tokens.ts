// Tokens of the admin plane that are wrong, ended, or good for less than they ask.
import { type Attack, type AttackChapter, DENIED, NO_KEY, BAD_REQUEST } from "./attack.ts";

const asAdmin = { authorization: "Bearer {tenantAdmin}" } as const;
const asTenantViewer = { authorization: "Bearer {tenantViewer}" } as const;
const asViewer = { authorization: "Bearer {viewer}" } as const;

const ENDED: readonly Attack[] = [
  ["a well-formed token that nothing has issued", "Bearer {tokenUnknown}"],
  ["a token without its last character", "Bearer {tokenCut}"],
  ["a token in other letters", "Bearer {tokenUpper}"],
  ["a revoked token", "Bearer {tokenRevoked}"],
  ["an expired token", "Bearer {tokenExpired}"],
  ["a token of a deleted tenant", "Bearer {tokenOrphaned}"],
  ["the mask that the list shows", "Bearer {tokenMask}"],
].map(([what, authorization = ""]) => ({
  attack: `${what}`,
  path: "/admin/me",
  headers: { authorization },
  refusal: NO_KEY,
}));

const VICTIM = "/admin/tenants/{victim}";
const OWN = "/admin/tenants/{tenant}";

/** Method, path, body. */
const OF_ANOTHER_TENANT: readonly (readonly [string, string, object?])[] = [
  ["GET", VICTIM],
  ["GET", `${VICTIM}/keys`],
  ["POST", `${VICTIM}/keys`, { name: "mine" }],
  ["PATCH", `${VICTIM}/keys/{victimKeyId}`, { status: "paused" }],
  ["POST", `${VICTIM}/keys/{victimKeyId}/rotate`],
  ["DELETE", `${VICTIM}/keys/{victimKeyId}`],
  ["GET", `${VICTIM}/providers/secret-account`],
  ["PUT", `${VICTIM}/providers/mine`, { kind: "sim" }],
  ["DELETE", `${VICTIM}/routes/secret-route`],
  ["GET", `${VICTIM}/queue`],
  ["POST", `${VICTIM}/queue/drain`, { forSeconds: 60 }],
  ["POST", `${VICTIM}/cache/purge`],
  ["GET", "/admin/tenants/none-such"],
  ["GET", "/admin/tenants/%76ictim"],
  ["GET", "/admin/traces?tenant={victim}"],
  ["GET", "/admin/traces/{victimTrace}?tenant={victim}"],
  ["GET", "/admin/traces/{victimTrace}/surroundings?tenant={victim}"],
  ["GET", "/admin/traces?tenant=-"],
  ["GET", "/metrics?tenant={victim}"],
];

const otherTenants: readonly Attack[] = OF_ANOTHER_TENANT.map(([method, path, body]) => ({
  attack: `a tenant's admin: \`${method} ${path}\` of another`,
  method,
  path,
  headers: asAdmin,
  ...(body !== undefined && { body }),
  refusal: DENIED,
}));

const MORE_THAN_ITS_ROLE: readonly (readonly [
  string,
  { readonly authorization: string },
  string,
  string,
  object?,
])[] = [
  ["a tenant's admin raises its limits", asAdmin, "PATCH", OWN, { limits: { requestsPerMinute: 1_000_000 } }],
  ["a tenant's admin replaces its record", asAdmin, "PUT", OWN, { budget: null }],
  ["a tenant's admin deletes its tenant", asAdmin, "DELETE", OWN],
  ["a tenant's admin makes a tenant", asAdmin, "PUT", "/admin/tenants/mine", {}],
  [
    "a tenant's admin raises the queue's limits",
    asAdmin,
    "POST",
    `${OWN}/queue/limits`,
    { limits: {}, forSeconds: 9 },
  ],
  ["a tenant's admin makes an operator", asAdmin, "POST", "/admin/tokens", { name: "x", role: "operator" }],
  ["a tenant's admin lists the tokens", asAdmin, "GET", "/admin/tokens"],
  ["a tenant's admin reads the operator's export", asAdmin, "GET", "/admin/export"],
  ["a tenant's admin reads the master keys", asAdmin, "GET", "/admin/master-keys"],
  [
    "a tenant's viewer makes a key",
    asTenantViewer,
    "POST",
    `${OWN}/keys`,
    { name: "x", role: "tenant-admin" },
  ],
  [
    "a tenant's admin opens the deployment's AI binding",
    asAdmin,
    "PUT",
    `${OWN}/providers/bound`,
    { kind: "workers-ai" },
  ],
  [
    "a tenant's admin opens the AI binding beside an account",
    asAdmin,
    "PUT",
    `${OWN}/providers/bound`,
    { kind: "workers-ai", options: { accountId: "a", binding: true } },
  ],
  ["a tenant's viewer writes a provider", asTenantViewer, "PUT", `${OWN}/providers/x`, { kind: "sim" }],
  ["a tenant's viewer drains the queue", asTenantViewer, "POST", `${OWN}/queue/drain`, { forSeconds: 9 }],
  ["a viewer makes a token", asViewer, "POST", "/admin/tokens", { name: "x", role: "operator" }],
  ["a viewer writes a tenant", asViewer, "PUT", OWN, {}],
  ["a viewer makes a key", asViewer, "POST", `${OWN}/keys`, { name: "x" }],
  ["a viewer empties a cache", asViewer, "POST", `${OWN}/cache/purge`],
];

const escalations: readonly Attack[] = MORE_THAN_ITS_ROLE.map(([attack, headers, method, path, body]) => ({
  attack,
  method,
  path,
  headers,
  ...(body !== undefined && { body }),
  refusal: DENIED,
}));

const others: readonly Attack[] = [
  {
    attack: "a tenant's admin opens another's trace by its id",
    path: "/admin/traces/{victimTrace}",
    headers: asAdmin,
    refusal: { kind: "refused", status: 404, code: "not_found" },
  },
  {
    attack: "a tenant's admin opens another's trace by Jaeger's API",
    path: "/jaeger/api/traces/{victimTrace}",
    headers: asAdmin,
    refusal: { kind: "refused", status: 404, code: "" },
  },
  {
    attack: "a tenant's admin makes a key with a role in its body",
    method: "POST",
    path: `${OWN}/keys`,
    headers: asAdmin,
    body: { name: "x", role: "operator", tenant: "{victim}" },
    refusal: BAD_REQUEST,
  },
  {
    attack: "an operator's token that is also for one tenant",
    method: "POST",
    path: "/admin/tokens",
    headers: { authorization: "Bearer {admin}" },
    body: { name: "x", role: "operator", tenant: "{tenant}" },
    refusal: BAD_REQUEST,
  },
  {
    attack: "a tenant's admin for no tenant",
    method: "POST",
    path: "/admin/tokens",
    headers: { authorization: "Bearer {admin}" },
    body: { name: "x", role: "tenant-admin" },
    refusal: BAD_REQUEST,
  },
  {
    attack: "a token of the admin plane as a gateway key",
    path: "/v1/models",
    headers: asAdmin,
    refusal: NO_KEY,
  },
  {
    attack: "the list of tokens shows none",
    path: "/admin/tokens",
    headers: { authorization: "Bearer {admin}" },
    refusal: { kind: "not shown", text: "{tenantAdmin}" },
  },
];

export const lesserTokens: AttackChapter = {
  file: "tokens.ts",
  title: "Tokens of the admin plane",
  attacks: [...ENDED, ...otherTenants, ...escalations, ...others],
};
