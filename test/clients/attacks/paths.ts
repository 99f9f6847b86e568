// Paths that look like another plane's, or that leave the part of a vendor's API which is open.
import {
  asClient,
  asOperator,
  type Attack,
  type AttackChapter,
  BAD_REQUEST,
  CHAT,
  DENIED,
  NO_KEY,
  NO_PATH,
  refused,
} from "./attack.ts";
import { ADMIN_PATHS } from "../../support/builders/native-paths.ts";

const ROUNDABOUT: readonly (readonly [string, Attack["refusal"]])[] = [
  ["/%61dmin/tenants", NO_KEY],
  ["/admin%2Ftenants", NO_PATH],
  ["//admin/tenants", NO_PATH],
  ["/ADMIN/tenants", NO_PATH],
  ["/Admin/tenants", NO_PATH],
  ["/;/admin/tenants", NO_PATH],
  ["/admin;/tenants", NO_PATH],
  ["/admin./tenants", NO_PATH],
  ["/v1/../admin/tenants", NO_PATH],
  ["/v1/..;/admin/tenants", NO_PATH],
  ["/v1/%2e%2e/admin/tenants", NO_PATH],
  ["/v1/models/..%2f..%2fadmin%2ftenants", refused(404, "model_not_found")],
  ["/proxy/../admin/tenants", refused(404, "model_not_found")],
  ["/admin/../admin/tenants", NO_KEY],
  ["/admin\\tenants", NO_PATH],
  ["/\\admin/tenants", NO_PATH],
  ["/v1/admin/tenants", NO_PATH],
  ["/admin/tenants%00", NO_KEY],
  ["/admin/tenants/", NO_KEY],
  ["/jaeger/../admin/tenants", NO_KEY],
];

export const roundabout: AttackChapter = {
  file: "paths.ts",
  title: "The admin plane by another spelling, with a gateway key",
  attacks: [
    ...ROUNDABOUT.map(([path, refusal]): Attack => ({
      attack: `\`${path}\``,
      path,
      headers: asClient,
      refusal,
    })),
    {
      attack: "`x-http-method-override: DELETE` on a read",
      method: "POST",
      path: "/v1/models",
      headers: { ...asClient, "x-http-method-override": "DELETE" },
      refusal: refused(405, "method_not_allowed"),
    },
    {
      attack: "`x-original-url: /admin/tenants`",
      path: "/nothing",
      headers: { ...asClient, "x-original-url": "/admin/tenants" },
      refusal: NO_PATH,
    },
    {
      attack: "TRACE of a path",
      method: "TRACE",
      path: "/v1/models",
      headers: asClient,
      refusal: refused(405, "method_not_allowed"),
    },
    {
      attack: "a Host header with a path in it",
      path: "/nothing",
      headers: { ...asClient, host: "localhost/admin/tenants?x=" },
      refusal: NO_KEY,
    },
  ],
};

const NO_PROVIDER = refused(404, "model_not_found");
/** Where the platform resolves the dots itself, another provider is named, or none. */
const CLIMBING: readonly (readonly [string, Attack["refusal"]])[] = [
  ["../admin", NO_PROVIDER],
  ["v1/../../admin", NO_PROVIDER],
  ["%2e%2e/admin", NO_PROVIDER],
  ["v1/%2E%2E/%2e%2e/admin", NO_PROVIDER],
  [".%2e/admin", NO_PROVIDER],
  ["..%2fadmin", BAD_REQUEST],
  ["v1/..%5cadmin", BAD_REQUEST],
  ["v1/..\\admin", DENIED],
  ["%252e%252e/admin", BAD_REQUEST],
  ["v1/..;/admin", BAD_REQUEST],
  ["v1/..;x=1/admin", BAD_REQUEST],
  ["v1/..%20/admin", BAD_REQUEST],
  ["v1/..%3f/admin", BAD_REQUEST],
  ["./admin", DENIED],
  ["v1/%zz", BAD_REQUEST],
  ["v1/%ff%fe", BAD_REQUEST],
  ["v1/a%00b", BAD_REQUEST],
  ["v1/a%0d%0ax-injected:1", NO_PATH],
  ["v1/%e2%80%ae", BAD_REQUEST],
];
const PROVIDERS: readonly (readonly [string, Attack["refusal"]])[] = [
  ["constructor", NO_PROVIDER],
  ["__proto__", NO_PROVIDER],
  ["UP", NO_PROVIDER],
  ["up%00", NO_PROVIDER],
  ["%zz", BAD_REQUEST],
  ["@evil.example", NO_PROVIDER],
  ["%2f%2fevil.example", NO_PROVIDER],
];
const native = (attack: string, path: string, refusal: Attack["refusal"]): Attack => ({
  attack,
  method: "POST",
  path,
  headers: asClient,
  body: {},
  refusal,
});

export const climbing: AttackChapter = {
  file: "paths.ts",
  title: "Out of a vendor's base path (`/proxy/up/…`)",
  attacks: [
    ...CLIMBING.map(([path, refusal]) => native(`\`${path}\``, `/proxy/up/${path}`, refusal)),
    ...PROVIDERS.map(([name, refusal]) =>
      native(`a provider named \`${name}\``, `/proxy/${name}/v1/files`, refusal),
    ),
    ...["@evil.example/v1/x", "//evil.example/v1/x", "http://evil.example/v1/x", "https:evil.example"].map(
      (path) => native(`\`${path}\``, `/proxy/up/${path}`, { kind: "sent to the account" }),
    ),
  ],
};

const CLOSED: readonly (readonly [string, string])[] = [
  ["POST", "v1/files"],
  ["GET", "v1/files"],
  ["DELETE", "v1/files/file-abc"],
  ["POST", "v1/batches"],
  ["POST", "v1/fine_tuning/jobs"],
  ["GET", "v1/responses/resp_123"],
  ["POST", "v1/videos"],
  ["POST", "v1/images/generations"],
  ["PUT", "v1/models"],
  ["GET", "v1/models/../files"],
];

export const closedCalls: AttackChapter = {
  file: "paths.ts",
  title: "A vendor's own API beyond what its record opens",
  attacks: [
    ...CLOSED.map(([method, path]): Attack => ({
      attack: `${method} \`${path}\` where only \`GET v1/models\` is open`,
      method,
      path: `/proxy/narrow/${path}`,
      headers: asClient,
      ...(method !== "GET" && { body: {} }),
      refusal: DENIED,
    })),
    ...ADMIN_PATHS.map((path): Attack => ({
      attack: `POST \`${path}\` where all is open`,
      method: "POST",
      path: `/proxy/up/${path}`,
      headers: asClient,
      body: {},
      refusal: DENIED,
    })),
    {
      attack: "a vendor's own API with a key for few models",
      method: "POST",
      path: "/proxy/up/chat/completions",
      headers: { authorization: "Bearer {limited}" },
      body: CHAT,
      refusal: DENIED,
    },
    {
      attack: "a vendor's own API with a key whose endpoints lack `native`",
      method: "POST",
      path: "/proxy/up/chat/completions",
      headers: { authorization: "Bearer {chatOnly}" },
      body: CHAT,
      refusal: DENIED,
    },
    {
      attack: "embeddings with a key for `chat` alone",
      method: "POST",
      path: "/v1/embeddings",
      headers: { authorization: "Bearer {chatOnly}" },
      body: { model: "up/small", input: "hi" },
      refusal: DENIED,
    },
    {
      attack: "Realtime with a key for `chat` alone",
      path: "/v1/realtime?model=up/small",
      headers: {
        authorization: "Bearer {chatOnly}",
        upgrade: "websocket",
        connection: "upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      },
      refusal: DENIED,
    },
    {
      attack: "a purge of the tenant's cache by its own key",
      method: "POST",
      path: "/admin/tenants/{tenant}/cache/purge",
      headers: asClient,
      body: {},
      refusal: NO_KEY,
    },
    {
      attack: "an admin path that does not exist, with the token",
      path: "/admin/nothing",
      headers: asOperator,
      refusal: NO_PATH,
    },
  ],
};
