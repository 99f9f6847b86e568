/** The environment's settings: defaults, forms, and faults that name the variable and never its value. */
import { describe, expect, it } from "vitest";
import { readSettings } from "../../src/config.ts";
import { GatewayError } from "../../src/errors.ts";

const MASTER_KEY = btoa("k".repeat(32));

function faultOf(env: object): GatewayError {
  try {
    readSettings(env);
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}

describe("settings", () => {
  it("have defaults that open nothing", () => {
    expect(readSettings({})).toEqual({
      adminToken: undefined,
      masterKeys: [],
      otlpEndpoint: undefined,
      otlpHeaders: {},
      serviceName: "headgate",
      corsOrigins: [],
      allowPrivateUpstreams: false,
      isContentAllowed: true,
      defaultLimits: "",
      maxLimits: "",
      bodyMemoryBytes: 24 * 1024 * 1024,
      isLocal: false,
    });
  });

  it("have MASTER_KEY first and the next and previous ones behind it, each once", () => {
    const [next, previous] = [btoa("n".repeat(32)), btoa("p".repeat(32))];
    const { masterKeys } = readSettings({ MASTER_KEY, MASTER_KEY_NEXT: next, MASTER_KEY_PREVIOUS: previous });
    expect(masterKeys).toEqual([MASTER_KEY, next, previous]);
    expect(readSettings({ MASTER_KEY, MASTER_KEY_NEXT: MASTER_KEY }).masterKeys).toEqual([MASTER_KEY]);
    expect(faultOf({ MASTER_KEY_PREVIOUS: previous }).message).toContain("MASTER_KEY: must be set");
  });

  it("take an empty variable for an absent one", () => {
    expect(readSettings({ ADMIN_TOKEN: "", MASTER_KEY: "", DEV_TENANT: "" })).toEqual(readSettings({}));
  });

  it("pass over what else is in the environment", () => {
    expect(readSettings({ TENANTS: {}, PATH: "/bin" })).toEqual(readSettings({}));
  });

  it("are read from their variables", () => {
    expect(
      readSettings({
        ADMIN_TOKEN: "a-secret-of-24-characters",
        MASTER_KEY,
        OTLP_ENDPOINT: "https://otlp.example.com/v1",
        OTLP_HEADERS: "Authorization=Basic%20abc=, x-scope = 1",
        SERVICE_NAME: "gate",
        CORS_ORIGINS: "https://a.example, https://b.example",
        UPSTREAM_ALLOW_PRIVATE: "true",
        DEV_TENANT: "false",
        CONTENT_CAPTURE: "false",
        DEFAULT_LIMITS: '{"concurrency":4}',
        BODY_MEMORY_MB: "2",
      }),
    ).toEqual({
      adminToken: "a-secret-of-24-characters",
      masterKeys: [MASTER_KEY],
      otlpEndpoint: "https://otlp.example.com/v1",
      otlpHeaders: { authorization: "Basic abc=", "x-scope": "1" },
      serviceName: "gate",
      corsOrigins: ["https://a.example", "https://b.example"],
      allowPrivateUpstreams: true,
      isContentAllowed: false,
      defaultLimits: '{"concurrency":4}',
      maxLimits: "",
      bodyMemoryBytes: 2 * 1024 * 1024,
      isLocal: false,
    });
  });

  it("take a short admin token in a local run only", () => {
    expect(readSettings({ ADMIN_TOKEN: "a", DEV_TENANT: "true" }).adminToken).toBe("a");
    expect(() => readSettings({ ADMIN_TOKEN: "a", DEV_TENANT: "false" })).toThrow(/ADMIN_TOKEN/);
  });

  it("take a private trace destination only where private addresses are allowed", () => {
    const OTLP_ENDPOINT = "http://collector:4318";
    const { otlpEndpoint } = readSettings({ OTLP_ENDPOINT, UPSTREAM_ALLOW_PRIVATE: "true" });
    expect(otlpEndpoint).toBe(OTLP_ENDPOINT);
    expect(faultOf({ OTLP_ENDPOINT }).message).toContain("OTLP_ENDPOINT: must be https");
  });

  it("keep a header's value that only looks percent-encoded", () => {
    expect(readSettings({ OTLP_HEADERS: "k=100%" }).otlpHeaders).toEqual({ k: "100%" });
  });
});

describe("a wrong setting", () => {
  it.each([
    ["ADMIN_TOKEN", "canary-of-23-characters"],
    ["ADMIN_TOKEN", "dev"],
    ["MASTER_KEY", "canary-not-base64!"],
    ["MASTER_KEY", btoa("canary too short")],
    ["OTLP_ENDPOINT", "canary"],
    ["OTLP_ENDPOINT", "ftp://canary.example"],
    ["OTLP_ENDPOINT", "http://canary.example"],
    ["OTLP_ENDPOINT", "https://10.1.2.3:4318/canary"],
    ["OTLP_ENDPOINT", "https://[::ffff:10.1.2.3]:4318/canary"],
    ["OTLP_ENDPOINT", "https://canary.svc.cluster.local:4318"],
    ["OTLP_ENDPOINT", "https://user:canary@example.com"],
    ["OTLP_HEADERS", "canary"],
    ["OTLP_HEADERS", "=canary"],
    ["OTLP_HEADERS", "bad name=canary"],
    ["UPSTREAM_ALLOW_PRIVATE", "canary"],
    ["DEV_TENANT", "1"],
  ])("is named, without its value: %s=%s", (name, value) => {
    const fault = faultOf({ [name]: value });
    expect(fault).toMatchObject({ code: "unavailable", details: { param: name } });
    expect(fault.message).toContain(name);
    expect(fault.message).not.toContain("canary");
  });

  it("is named beside the others", () => {
    const fault = faultOf({ MASTER_KEY: "x", DEV_TENANT: "yes" });
    expect(fault.message).toMatch(/MASTER_KEY.*DEV_TENANT/);
  });
});
