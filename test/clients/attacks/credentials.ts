// Requests without a credential that is good for what they ask.
import { type Attack, type AttackChapter, CHAT, DENIED, NO_KEY, NO_PATH, refused } from "./attack.ts";

type Sent = Readonly<Record<string, string>>;

/** What a stranger may send instead of a key. */
const FORMS: readonly (readonly [string, Sent])[] = [
  ["no credential", {}],
  ["an empty authorization header", { authorization: "" }],
  ["`Bearer` alone", { authorization: "Bearer" }],
  ["`Bearer undefined`", { authorization: "Bearer undefined" }],
  ["a word as key", { authorization: "Bearer secret" }],
  ["a key of the right length with a wrong checksum", { authorization: `Bearer hg_${"a".repeat(38)}` }],
  ["a well-formed key that nothing has issued", { authorization: "Bearer {unknown}" }],
  ["a key without its last character", { authorization: "Bearer {keyCut}" }],
  ["a key with a character more", { authorization: "Bearer {key}x" }],
  ["a key in other letters", { authorization: "Bearer {keyUpper}" }],
  ["a key and a word behind it", { authorization: "Bearer {key} x" }],
  ["a key twice", { authorization: "Bearer {key}, Bearer {key}" }],
  ["a key without its scheme", { authorization: "{key}" }],
  ["a key under another scheme", { authorization: "Token {key}" }],
  ["a key as the password of Basic", { authorization: "Basic {keyBasic}" }],
  ["a wrong bearer beside a right `x-api-key`", { authorization: "Bearer wrong", "x-api-key": "{key}" }],
  ["a wrong `x-api-key`", { "x-api-key": "wrong" }],
  ["a wrong `x-goog-api-key`", { "x-goog-api-key": "wrong" }],
  ["SQL in the key", { authorization: "Bearer hg_'or'1'='1" }],
  ["a key in a cookie", { cookie: "authorization=Bearer {key}; key={key}" }],
  ["a key in a header of its own naming", { "x-gateway-key": "{key}" }],
  [
    "a WebSocket's subprotocol without an upgrade",
    { "sec-websocket-protocol": "realtime, openai-insecure-api-key.{unknown}" },
  ],
];

const PLACES = [
  ["chat", "/v1/chat/completions", CHAT],
  ["Gemini's path", "/v1beta/models/up/small:generateContent", { contents: [{ parts: [{ text: "hi" }] }] }],
  ["a vendor's own API", "/proxy/up/chat/completions", CHAT],
] as const;

const forms: readonly Attack[] = PLACES.flatMap(([place, path, body]) =>
  FORMS.map(([what, headers]) => ({
    attack: `${place} with ${what}`,
    method: "POST",
    path,
    headers,
    body,
    refusal: NO_KEY,
  })),
);

const others: readonly Attack[] = [
  {
    attack: "a key in the query of a path that is not Google's",
    path: "/v1/models?key={key}",
    refusal: NO_KEY,
  },
  { attack: "a key in the query under another name", path: "/v1beta/models?api_key={key}", refusal: NO_KEY },
  {
    attack: "an unknown key in the path",
    path: "/k/{unknown}/v1/models",
    refusal: NO_KEY,
  },
  {
    attack: "a wrong key in the path beside a right header",
    path: "/k/hg_wrong/v1/models",
    headers: { authorization: "Bearer {key}", "x-headgate-key": "{key}" },
    refusal: NO_KEY,
  },
  {
    attack: "the admin plane behind a key in the path",
    path: "/k/{key}/admin/tenants",
    headers: { authorization: "Bearer {admin}" },
    refusal: NO_PATH,
  },
  {
    attack: "a key in the path in another spelling",
    path: "/%6b/{key}/v1/models",
    refusal: NO_PATH,
  },
  {
    attack: "a key in the path alone",
    path: "/k/{key}",
    refusal: NO_PATH,
  },
  {
    attack: "the operator's token as a key",
    path: "/v1/models",
    headers: { authorization: "Bearer {admin}" },
    refusal: NO_KEY,
  },
  { attack: "HEAD without a key", method: "HEAD", path: "/v1/models", refusal: NO_KEY },
  {
    attack: "a preflight from an origin that is not listed",
    method: "OPTIONS",
    path: "/v1/chat/completions",
    headers: { origin: "https://evil.example", "access-control-request-method": "POST" },
    refusal: { kind: "not sent back", header: "access-control-allow-origin" },
  },
  {
    attack: "a revoked key",
    path: "/v1/models",
    headers: { authorization: "Bearer {revoked}" },
    refusal: NO_KEY,
  },
  {
    attack: "an expired key",
    path: "/v1/models",
    headers: { authorization: "Bearer {expired}" },
    refusal: NO_KEY,
  },
  {
    attack: "a key that was rotated out",
    path: "/v1/models",
    headers: { authorization: "Bearer {rotated}" },
    refusal: NO_KEY,
  },
  {
    attack: "a paused key",
    path: "/v1/models",
    headers: { authorization: "Bearer {paused}" },
    refusal: DENIED,
  },
  {
    attack: "a key of a suspended tenant",
    path: "/v1/models",
    headers: { authorization: "Bearer {suspended}" },
    refusal: refused(403, "tenant_suspended"),
  },
];

export const withoutAKey: AttackChapter = {
  file: "credentials.ts",
  title: "Without a valid key",
  attacks: [...forms, ...others],
};

const ADMIN_FORMS: readonly (readonly [string, Sent])[] = [
  ["no credential", {}],
  ["`Bearer` alone", { authorization: "Bearer" }],
  ["the token of the examples", { authorization: "Bearer dev" }],
  ["a wrong token", { authorization: "Bearer wrong-wrong-wrong-wrong-wrong" }],
  ["the token without its last character", { authorization: "Bearer {adminCut}" }],
  ["the token and a word behind it", { authorization: "Bearer {admin} x" }],
  ["the token without its scheme", { authorization: "{admin}" }],
  ["the token as user name of Basic", { authorization: "Basic {adminAsUser}" }],
  ["a gateway key", { authorization: "Bearer {key}" }],
  ["another tenant's gateway key", { authorization: "Bearer {victimKey}" }],
  ["the token in `x-api-key`", { "x-api-key": "{admin}" }],
  ["the token in a cookie", { cookie: "token={admin}; authorization=Bearer {admin}" }],
  [
    "the bare token as the console's session",
    { cookie: "headgate-session={admin}; __Host-headgate-session={admin}" },
  ],
  [
    "a console's session that was sealed elsewhere",
    { cookie: `__Host-headgate-session=v3.00000000.${"A".repeat(96)}` },
  ],
];
const ADMIN_PLACES = [
  ["a list of tenants", "GET", "/admin/tenants"],
  ["a tenant's record", "PUT", "/admin/tenants/{tenant}"],
  ["stored traces", "GET", "/admin/traces"],
  ["metrics", "GET", "/metrics"],
  ["Jaeger's API", "GET", "/jaeger/api/services"],
] as const;

const adminForms: readonly Attack[] = ADMIN_PLACES.flatMap(([place, method, path]) =>
  ADMIN_FORMS.map(([what, headers]) => ({
    attack: `${place} with ${what}`,
    method,
    path,
    headers,
    ...(method === "PUT" && { body: {} }),
    refusal: NO_KEY,
  })),
);

const adminOthers: readonly Attack[] = [
  {
    attack: "the token in the query",
    path: "/admin/tenants?token={admin}&access_token={admin}",
    refusal: NO_KEY,
  },
  {
    attack: "Basic with the token, for a write",
    method: "PUT",
    path: "/admin/tenants/x",
    headers: { authorization: "Basic {adminBasic}" },
    body: {},
    refusal: NO_KEY,
  },
  {
    attack: "Basic with the token, for a read of records",
    path: "/admin/tenants",
    headers: { authorization: "Basic {adminBasic}" },
    refusal: NO_KEY,
  },
  { attack: "HEAD without the token", method: "HEAD", path: "/admin/tenants", refusal: NO_KEY },
  { attack: "OPTIONS without the token", method: "OPTIONS", path: "/admin/tenants", refusal: NO_KEY },
  {
    attack: "the live view of a queue without the token",
    path: "/admin/tenants/{tenant}/queue/live",
    headers: { upgrade: "websocket", connection: "upgrade" },
    refusal: NO_KEY,
  },
  {
    attack: "the live view of a queue with a gateway key",
    path: "/admin/tenants/{tenant}/queue/live",
    headers: { authorization: "Bearer {key}", upgrade: "websocket", connection: "upgrade" },
    refusal: NO_KEY,
  },
];

export const withoutTheToken: AttackChapter = {
  file: "credentials.ts",
  title: "The admin plane without the operator's token",
  attacks: [...adminForms, ...adminOthers],
};
