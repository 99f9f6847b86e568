// Headers that must not get through, web pages of other sites, and names that a local run does not answer to.
import { asClient, asOperator, type Attack, type AttackChapter, CHAT, DENIED } from "./attack.ts";

const TO_VENDOR: readonly string[] = [
  "cookie",
  "x-http-method-override",
  "x-original-url",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-real-ip",
  "x-client-ip",
  "cf-connecting-ip",
  "x-amz-security-token",
  "ocp-apim-subscription-key",
  "x-portkey-custom-host",
  "x-api-key",
  "x-goog-api-key",
  "api-key",
  "openai-organization",
  "openai-project",
  "traceparent",
  "tracestate",
  "baggage",
  "x-headgate-metadata",
  "x-headgate-session",
  "x-headgate-end-user",
  "proxy-authorization",
  "origin",
  "referer",
];

/** As a value of each that the gateway itself takes. */
const valueOf = (header: string): string =>
  header === "x-headgate-metadata"
    ? '{"team":"x"}'
    : header === "traceparent"
      ? `00-${"a".repeat(32)}-${"b".repeat(16)}-01`
      : "10.0.0.1";

/** What the vendor of the tests answers with, to be kept from clients. */
export const FROM_VENDOR: Readonly<Record<string, string>> = {
  "set-cookie": "session=vendor",
  location: "https://evil.example/",
  refresh: "0;url=https://evil.example/",
  "www-authenticate": 'Basic realm="vendor"',
  "clear-site-data": '"*"',
  "service-worker-allowed": "/",
  link: "<https://evil.example/>; rel=preload",
  "openai-organization": "org-of-the-operator",
  "openai-project": "project-of-the-operator",
  "x-ratelimit-limit-project": "1000",
  "access-control-allow-origin": "*",
  server: "vendor/1.0",
  via: "1.1 vendor",
  "cf-ray": "vendor-ray",
  "x-amzn-requestid": "vendor-request",
  "strict-transport-security": "max-age=1",
};

export const headersOnTheWay: AttackChapter = {
  file: "headers.ts",
  title: "Headers on the way to a vendor and back",
  attacks: [
    ...TO_VENDOR.map((header): Attack => ({
      attack: `\`${header}\` to a vendor's own API`,
      method: "POST",
      path: "/proxy/up/chat/completions",
      headers: { ...asClient, [header]: valueOf(header) },
      body: { ...CHAT, model: "plain" },
      refusal: { kind: "not sent on", header },
    })),
    ...Object.keys(FROM_VENDOR).map((header): Attack => ({
      attack: `\`${header}\` from a vendor's own API`,
      method: "POST",
      path: "/proxy/up/chat/completions",
      headers: asClient,
      body: { ...CHAT, model: "chatty" },
      refusal: { kind: "not sent back", header },
    })),
    {
      attack: "the vendor's credential, in a refusal that quotes it",
      method: "POST",
      path: "/v1/chat/completions",
      headers: asClient,
      body: { ...CHAT, model: "up/quoting" },
      refusal: { kind: "not shown", text: "{credential}" },
    },
    {
      attack: "the same from a vendor's own API",
      method: "POST",
      path: "/proxy/up/chat/completions",
      headers: asClient,
      body: { ...CHAT, model: "quoting" },
      refusal: { kind: "not shown", text: "{credential}" },
    },
    {
      attack: "the gateway key, in a refusal of a vendor that quotes the request",
      method: "POST",
      path: "/v1/chat/completions",
      headers: asClient,
      body: { ...CHAT, model: "up/quoting" },
      refusal: { kind: "not shown", text: "{key}" },
    },
  ],
};

const PAGES: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["a page of another site", { origin: "https://evil.example" }],
  ["a page without an origin", { origin: "null" }],
  ["a page at another port", { origin: "http://localhost:3000" }],
  ["a fetch across sites", { "sec-fetch-site": "cross-site" }],
  ["a sister domain", { "sec-fetch-site": "same-site" }],
];
const PLANES: readonly (readonly [string, string])[] = [
  ["GET", "/admin/tenants"],
  ["PUT", "/admin/tenants/x"],
  ["GET", "/metrics"],
  ["GET", "/jaeger/api/services"],
];
const FORM_TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"];
const notAllowed = { kind: "not sent back", header: "access-control-allow-origin" } as const;
const preflight = {
  "access-control-request-method": "POST",
  "access-control-request-headers": "authorization",
};

export const webPages: AttackChapter = {
  file: "headers.ts",
  title: "Web pages of other sites",
  attacks: [
    ...PAGES.flatMap(([who, headers]) =>
      PLANES.map(([method, path]): Attack => ({
        attack: `${who} with the operator's token, ${method} \`${path}\``,
        method,
        path,
        headers: { ...asOperator, ...headers },
        ...(method === "PUT" && { body: {} }),
        refusal: DENIED,
      })),
    ),
    ...FORM_TYPES.map((type): Attack => ({
      attack: `a form's body (\`${type}\`) with the operator's token`,
      method: "PUT",
      path: "/admin/tenants/x",
      headers: { ...asOperator, "content-type": type },
      body: "{}",
      refusal: { kind: "refused", status: 400, code: "invalid_request" },
    })),
    {
      attack: "the answer of a chat, by a page that is not listed",
      method: "POST",
      path: "/v1/chat/completions",
      headers: { ...asClient, origin: "https://evil.example" },
      body: CHAT,
      refusal: notAllowed,
    },
    {
      attack: "the answer of a chat, by a page at a listed name's end",
      method: "POST",
      path: "/v1/chat/completions",
      headers: { ...asClient, origin: "https://app.example.evil.example" },
      body: CHAT,
      refusal: notAllowed,
    },
    {
      attack: "the answer of a chat, by a listed page over http",
      method: "POST",
      path: "/v1/chat/completions",
      headers: { ...asClient, origin: "http://app.example" },
      body: CHAT,
      refusal: notAllowed,
    },
    ...["/admin/tenants", "/metrics", "/jaeger/api/services", "/healthz"].map((path): Attack => ({
      attack: `a preflight of \`${path}\` by a page that is listed for the data plane`,
      method: "OPTIONS",
      path,
      headers: { origin: "https://app.example", ...preflight },
      refusal: notAllowed,
    })),
  ],
};

const HOSTS = ["evil.example", "localhost.evil.example", "192.168.0.7", "127.0.0.2", "localhost.", "0.0.0.0"];
export const localHosts: AttackChapter = {
  file: "headers.ts",
  title: "A name that leads to a local run (DNS rebinding)",
  attacks: HOSTS.flatMap((host) =>
    ["/healthz", "/v1/models", "/admin/tenants"].map((path): Attack => ({
      attack: `\`${host}\` for \`${path}\``,
      setting: "local",
      path,
      headers: { ...(path === "/v1/models" ? asClient : asOperator), host },
      refusal: DENIED,
    })),
  ),
};
