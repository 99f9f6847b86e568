// Addresses in records, by an operator who may write records but must not reach into the network the gateway runs in, nor carry off a
// stored credential.
import { asOperator, type Attack, type AttackChapter, BAD_REQUEST } from "./attack.ts";

const URLS: readonly string[] = [
  "http://api.openai.com/v1",
  "https://localhost",
  "https://LOCALHOST:8443",
  "https://localhost.",
  "https://a.localhost",
  "https://router.lan",
  "https://printer.local",
  "https://db.internal",
  "https://metadata.google.internal/computeMetadata/v1",
  "https://kubernetes.default.svc.cluster.local",
  "https://api.default.svc",
  "https://ldap.corp",
  "https://nas.home",
  "https://wiki.intra",
  "https://vault.private",
  "https://box.tail1234.ts.net",
  "https://10.0.0.1.nip.io",
  "https://a.localtest.me",
  "https://vault.service.consul",
  "https://api.docker",
  "https://kubernetes.default",
  "https://node.mesh",
  "https://a.1u.ms",
  "https://intranet",
  "https://127.0.0.1",
  "https://127.1",
  "https://2130706433",
  "https://0x7f.0.0.1",
  "https://0177.0.0.1",
  "https://0",
  "https://10.1.2.3",
  "https://192.168.0.1",
  "https://172.16.0.1",
  "https://169.254.169.254/latest/meta-data",
  "https://[::1]",
  "https://[::ffff:10.0.0.1]",
  "https://[fd00::1]",
  "https://[fe80::1]",
  "https://１２７.0.0.1",
  "https://①②⑦.0.0.1",
  "https://user@example.com",
  "https://example.com/#x",
  "https://example.com:22",
  "https://example.com:25/v1",
  "https://example.com/v1/../admin",
  "https://example.com/v1/%2E%2e/admin",
  "ftp://example.com",
  "file:///etc/passwd",
  "javascript:alert(1)",
  "data:text/plain,x",
];

const put = (
  attack: string,
  path: string,
  body: object,
  setting: "deployed" | "open" = "deployed",
): Attack => ({
  attack,
  setting,
  method: "PUT",
  path,
  headers: asOperator,
  body,
  refusal: BAD_REQUEST,
});
const provider = (attack: string, body: object, setting?: "open"): Attack =>
  put(attack, "/admin/tenants/{tenant}/providers/p", body, setting);
const destination = (attack: string, endpoint: string): Attack =>
  put(attack, "/admin/tenants/{tenant}", { tracing: { destinations: [{ name: "d", endpoint }] } });

export const privateAddresses: AttackChapter = {
  file: "addresses.ts",
  title: "Into the operator's network, by addresses in records",
  attacks: [
    ...URLS.map((baseUrl) =>
      provider(`a provider at \`${baseUrl}\``, { kind: "openai-compatible", baseUrl }),
    ),
    ...[
      "http://collector.example.com",
      "https://127.0.0.1:4318",
      "https://otel.internal",
      "https://[::1]:4318",
      "https://2130706433",
      "https://169.254.169.254",
    ].map((endpoint) => destination(`a trace destination at \`${endpoint}\``, endpoint)),
    ...["ollama", "vllm", "llama-cpp", "lm-studio"].map((kind) =>
      provider(`a provider of the kind \`${kind}\`, whose default address is this machine`, { kind }),
    ),
    ...["x@127.0.0.1:25320/", "us-east-1.evil.example/", "us-east-1#", "..", "us east"].map((region) =>
      provider(`a Bedrock region \`${region}\``, { kind: "bedrock", apiKey: "a", options: { region } }),
    ),
    ...["evil.example/", "x@127.0.0.1"].map((location) =>
      provider(`a Vertex location \`${location}\``, {
        kind: "vertex",
        apiKey: "{}",
        options: { project: "p", location },
      }),
    ),
    provider("an address with a query", { kind: "openai-compatible", baseUrl: "https://example.com/v1?x=1" }),
    provider("a header with a line break", { kind: "sim", headers: { "x-a": "b\r\nx-injected: 1" } }),
    provider("a kind that does not exist", { kind: "constructor" }),
  ],
};

const MASK = "{mask}";
const at = (attack: string, body: object): Attack =>
  put(attack, "/admin/tenants/{tenant}/providers/up", body, "open");

export const maskedSecrets: AttackChapter = {
  file: "addresses.ts",
  title: "A stored credential to another address, by its mask",
  attacks: [
    at("the mask with another host", { kind: "openai", baseUrl: "https://evil.example/v1", apiKey: MASK }),
    at("the mask with another port", { kind: "openai", baseUrl: "http://127.0.0.1:1/v1", apiKey: MASK }),
    at("the mask with another scheme", { kind: "openai", baseUrl: "{upstreamTls}/v1", apiKey: MASK }),
    at("the mask with another kind", { kind: "anthropic", baseUrl: "{upstream}", apiKey: MASK }),
    at("the mask without an address", { kind: "openai", apiKey: MASK }),
    put(
      "the mask under another provider's name",
      "/admin/tenants/{tenant}/providers/copy",
      { kind: "openai", baseUrl: "{upstream}/v1", apiKey: MASK },
      "open",
    ),
    put(
      "the mask in another tenant",
      "/admin/tenants/{victim}/providers/copy",
      { kind: "openai", baseUrl: "{upstream}/v1", apiKey: MASK },
      "open",
    ),
    {
      attack: "reading the credential back",
      path: "/admin/tenants/{tenant}/providers/up",
      headers: asOperator,
      refusal: { kind: "not shown", text: "{credential}" },
    },
    {
      attack: "reading it in the list of providers",
      path: "/admin/tenants/{tenant}/providers",
      headers: asOperator,
      refusal: { kind: "not shown", text: "{credential}" },
    },
    {
      attack: "reading a gateway key back",
      path: "/admin/tenants/{tenant}/keys",
      headers: asOperator,
      refusal: { kind: "not shown", text: "{key}" },
    },
  ],
};
