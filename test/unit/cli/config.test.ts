// Configuration files: what is read, what would change at a gateway, and what export writes. No gateway runs here.
import { parse } from "yaml";
import { describe, expect, it } from "vitest";
import { planChanges } from "../../../src/cli/config/changes.ts";
import { configJsonSchema } from "../../../src/cli/config/config-schema.ts";
import type { CurrentTenant } from "../../../src/cli/config/current-config.ts";
import { readConfig } from "../../../src/cli/config/read-config.ts";
import { writeConfig } from "../../../src/cli/config/write-config.ts";
import { providerSchema, tenantSchema } from "../../../src/tenants/records/records.ts";
import { routeSchema } from "../../../src/tenants/records/route-record.ts";
import { maskSecret } from "../../../src/tenants/records/sealing.ts";

const SECRET = "sk-0123456789abcdef";
const FILE = `
tenants:
  acme:
    limits: { concurrency: 4 }
    providers:
      openai: { kind: openai, apiKey: "\${OPENAI_API_KEY}", headers: { X-Team: "\${TEAM}" } }
    routes:
      chat: { targets: [{ provider: openai, model: gpt-4o-mini }] }
    keys:
      web app: { allowedModels: [chat] }
`;
const ENV = { OPENAI_API_KEY: SECRET, TEAM: "search-team-of-acme" };

const acme = (text = FILE, env: Readonly<Record<string, string>> = ENV) => {
  const tenant = readConfig(text, "headgate.yaml", env).config.tenants["acme"];
  if (tenant === undefined) throw new Error("The file has no tenant acme.");
  return tenant;
};

/** What the gateway shows after the file was applied. */
function applied(): CurrentTenant {
  const { providers: _, routes, keys, ...record } = acme();
  const openai = providerSchema.parse({
    kind: "openai",
    apiKey: maskSecret(SECRET),
    headers: { "x-team": maskSecret(ENV.TEAM) },
  });
  return {
    record,
    providers: new Map([["openai", { ...openai }]]),
    routes: new Map(Object.entries(routes ?? {})),
    keys: [{ id: "key_1", name: "web app", record: { ...keys?.["web app"], status: "active" } }],
  };
}

const NOTHING: CurrentTenant = { record: undefined, providers: new Map(), routes: new Map(), keys: [] };

describe("a configuration file", () => {
  it("has its variables filled in, and names those that the environment lacks", () => {
    expect(acme().providers?.["openai"]?.apiKey).toBe(SECRET);
    const { config, missing } = readConfig(FILE, "f", {});
    expect(missing).toEqual(["OPENAI_API_KEY", "TEAM"]);
    expect(config.tenants["acme"]?.providers?.["openai"]?.apiKey).toBe("${OPENAI_API_KEY}");
  });

  it("keeps a literal ${ that is written as $${", () => {
    expect(acme("tenants: { acme: { name: 'costs $${USD}' } }").name).toBe("costs ${USD}");
  });

  it("is refused with the path of each field at fault", () => {
    const text = FILE.replace("concurrency", "concurency").replace("model: gpt-4o-mini", "modell: x");
    expect(() => acme(text)).toThrow(
      /f?headgate\.yaml is not a valid configuration:\n {2}tenants\.acme\.limits: has fields that are not known: concurency\n {2}tenants\.acme\.routes\.chat\.targets\[0\]\.model: is required/,
    );
    expect(() => acme("tenants: [")).toThrow(/^headgate\.yaml: /);
  });

  it("has a JSON Schema that knows its fields", () => {
    expect(JSON.stringify(configJsonSchema())).toContain('"requestsPerMinute"');
  });
});

describe("the changes", () => {
  it("create everything at an empty gateway: tenant, provider, route, key", () => {
    const changes = planChanges("acme", acme(), NOTHING, false);
    expect(changes.map(({ action, sort, call }) => `${action} ${sort}: ${call.method} ${call.path}`)).toEqual(
      [
        "create tenant: PUT /admin/tenants/acme",
        "create provider: PUT /admin/tenants/acme/providers/openai",
        "create route: PUT /admin/tenants/acme/routes/chat",
        "create key: POST /admin/tenants/acme/keys",
      ],
    );
    expect(changes[1]?.call.body).toMatchObject({ apiKey: SECRET });
  });

  it("are none where the gateway is as the file says, also without the credentials", () => {
    expect(planChanges("acme", acme(), applied(), true)).toEqual([]);
    expect(planChanges("acme", acme(FILE, {}), applied(), true)).toEqual([]);
  });

  it("take a parameter of a route for what it is, whatever its name", () => {
    const text = FILE.replace(
      "model: gpt-4o-mini",
      'model: m, params: { secret: "not-a-credential-at-all", headers: { A: b } }',
    );
    const { routes } = acme(text);
    const current = { ...applied(), routes: new Map(Object.entries(routes ?? {})) };
    expect(planChanges("acme", acme(text), current, true)).toEqual([]);
  });

  it("name the fields that differ, credentials as masks", () => {
    const text = FILE.replace("gpt-4o-mini", "gpt-5").replace("concurrency: 4", "requestsPerMinute: 60");
    const changes = planChanges(
      "acme",
      acme(text, { ...ENV, OPENAI_API_KEY: "sk-another-0123456789" }),
      applied(),
      false,
    );
    expect(changes.map(({ fields, name }) => [name, ...fields])).toEqual([
      [
        "acme",
        { path: "limits.concurrency", from: "4", to: undefined },
        { path: "limits.requestsPerMinute", from: undefined, to: "60" },
      ],
      ["openai", { path: "apiKey", from: '"sk-…cdef"', to: '"sk-…6789"' }],
      ["chat", { path: "targets[0].model", from: '"gpt-4o-mini"', to: '"gpt-5"' }],
    ]);
    expect(JSON.stringify(changes.map(({ fields }) => fields))).not.toContain("another");
  });

  it("clear a key's field that the file no longer has", () => {
    const [change] = planChanges(
      "acme",
      acme(FILE.replace("{ allowedModels: [chat] }", "{}")),
      applied(),
      false,
    );
    expect(change?.call).toEqual({
      method: "PATCH",
      path: "/admin/tenants/acme/keys/key_1",
      body: { allowedModels: null, status: null },
    });
  });

  it("delete what the file does not name only with prune, and only in the parts that it has", () => {
    const text = "tenants: { acme: { limits: { concurrency: 4 }, routes: {}, keys: {} } }";
    expect(planChanges("acme", acme(text), applied(), false)).toEqual([]);
    const changes = planChanges("acme", acme(text), applied(), true);
    expect(changes.map(({ call }) => `${call.method} ${call.path}`)).toEqual([
      "DELETE /admin/tenants/acme/routes/chat",
      "DELETE /admin/tenants/acme/keys/key_1",
    ]);
  });
});

describe("an export", () => {
  it("is the file without defaults, with a variable for each credential, and applies without a change", () => {
    const { text, variables } = writeConfig(new Map([["acme", applied()]]));
    expect(variables).toEqual(["ACME_OPENAI_API_KEY", "ACME_OPENAI_X_TEAM"]);
    expect(parse(text)).toEqual({
      tenants: {
        acme: {
          limits: { concurrency: 4 },
          providers: {
            openai: {
              kind: "openai",
              apiKey: "${ACME_OPENAI_API_KEY}",
              headers: { "x-team": "${ACME_OPENAI_X_TEAM}" },
            },
          },
          routes: { chat: { targets: [{ provider: "openai", model: "gpt-4o-mini" }] } },
          keys: { "web app": { allowedModels: ["chat"] } },
        },
      },
    });
    const env = { ACME_OPENAI_API_KEY: SECRET, ACME_OPENAI_X_TEAM: ENV.TEAM };
    expect(planChanges("acme", acme(text, env), applied(), true)).toEqual([]);
  });

  it("keeps what only looks like a variable, the credentials of destinations apart, and says where keys share a name", () => {
    const record = tenantSchema.parse({
      name: "${NOT_A_VARIABLE}",
      tracing: {
        destinations: [
          { name: "grafana", endpoint: "https://otlp.example/otlp", headers: { authorization: "…" } },
          { name: "second", endpoint: "https://otlp.example/otlp", headers: { authorization: "…" } },
        ],
      },
    });
    const routes = new Map([
      ["r", routeSchema.parse({ targets: [{ provider: "p", model: "m", params: { stop: "${X}" } }] })],
    ]);
    const keys = ["key_1", "key_2"].map((id) => ({ id, name: "same", record: { status: "active" } }));
    const current: CurrentTenant = { record, providers: new Map(), routes, keys };
    const { text, variables, notes } = writeConfig(new Map([["acme", current]]));
    expect(variables).toEqual([
      "ACME_TRACING_DESTINATIONS_GRAFANA_AUTHORIZATION",
      "ACME_TRACING_DESTINATIONS_SECOND_AUTHORIZATION",
    ]);
    expect(notes).toEqual(['Tenant acme has several keys named "same": only the first is in the file.']);
    const read = readConfig(
      text,
      "f",
      Object.fromEntries(variables.map((name) => [name, "Basic of-this-one"])),
    );
    expect(read.config.tenants["acme"]?.name).toBe("${NOT_A_VARIABLE}");
    expect(read.config.tenants["acme"]?.routes?.["r"]?.targets[0]?.params).toEqual({ stop: "${X}" });
  });
});
