// Usage as an operator reads it: equal to the vendor's bill and the ledger, by each group, for one tenant and over tenants, as JSON,
// CSV and lines. Everything through HTTP, with prices of the tenant's own.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { chat, type Answer } from "../../support/clients/chat-client.ts";
import { makeKey, makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

interface Usage {
  readonly items: readonly ({ readonly start: string; readonly group: object } & Record<string, unknown>)[];
  readonly total: Readonly<Record<string, number>>;
}

const MODEL = uniqueModel();
const BROKEN = uniqueModel();
const UNUSED = uniqueModel();
/** 12 cents: 20,000 tokens at two dollars, 10,000 at eight. */
const USAGE = { inputTokens: 20_000, outputTokens: 10_000 };
const PRICE = { input: 2, output: 8 };

let stack: GatewayStack;
let tenant: TestTenant;
let answers: readonly Answer[] = [];
let other: { readonly id: string; readonly key: string };

beforeAll(async () => {
  stack = await startGatewayStack();
  stack.upstream.script(MODEL, { kind: "answer", text: "a b c", usage: USAGE });
  stack.upstream.script(BROKEN, { kind: "error", status: 500 });
  tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    record: { prices: { [`up/${MODEL}`]: PRICE } },
    routes: {
      both: {
        strategy: "fallback",
        targets: [
          { provider: "up", model: BROKEN },
          { provider: "up", model: MODEL },
        ],
        retries: { maxAttempts: 1 },
      },
    },
  });
  other = await makeKey(stack.gateway, tenant.id, { metadata: { team: "search" } });
  const direct = { model: `up/${MODEL}` };
  const words = { body: { user: "ada@example.com" }, headers: { "x-headgate-session": "s-1" } };
  const cached = { prompt: "Once?", headers: { "x-headgate-cache": "on" } };
  answers = [
    await chat(stack, tenant.key, { ...direct, ...words }),
    await chat(stack, tenant.key, { ...direct, ...words, stream: true }),
    await chat(stack, other.key, { model: "both" }),
    await chat(stack, other.key, { ...direct, ...cached }),
    await chat(stack, other.key, { ...direct, ...cached }),
    await chat(stack, other.key, { model: `up/${BROKEN}` }),
    await chat(stack, other.key, { ...direct, body: { messages: "none" } }),
  ];
});
afterAll(() => stack.close());

// Answers of the admin plane have this form (src/docs/admin-api.md).
const usage = async (query = "", path = `/admin/tenants/${tenant.id}/usage`): Promise<Usage> =>
  (await adminJson(stack.gateway, "GET", `${path}?interval=total&${query}`)) as unknown as Usage;

const byGroup = async (group: string, sum: string): Promise<Record<string, unknown>> => {
  const { items } = await usage(`group_by=${group}`);
  return Object.fromEntries(items.map((item) => [Object.values(item.group).join(), item[sum]]));
};

const asText = async (accept: string, query: string): Promise<{ type: string | null; text: string }> => {
  const { token } = await adminJson(stack.gateway, "POST", "/admin/tokens", {
    name: "reader",
    role: "tenant-viewer",
    tenant: tenant.id,
  });
  const response = await fetch(`${stack.gateway.url}/admin/tenants/${tenant.id}/usage?${query}`, {
    headers: { authorization: `Bearer ${String(token)}`, accept },
  });
  return { type: response.headers.get("content-type"), text: await response.text() };
};

describe("the usage of a tenant", () => {
  test("is its ledger and the scripted bill", async () => {
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 502, 400]);
    const { total } = await usage();
    expect(total).toEqual({
      requests: 7,
      errors: 1,
      refused: 1,
      cacheHits: 1,
      inputTokens: 80_000,
      outputTokens: 40_000,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
      costUsd: 0.48,
      savedUsd: 0.12,
      failedUsd: 0,
      merged: 0,
    });
    const { spentUsd } = await adminJson(stack.gateway, "GET", `/admin/tenants/${tenant.id}/queue`);
    expect(spentUsd).toMatchObject({ day: 0.48 });
  });

  test("can be had by key, model, route, end user, session and metadata", async () => {
    expect(await byGroup("key", "costUsd")).toEqual({ [tenant.keyId]: 0.24, [other.id]: 0.24 });
    expect(await byGroup("key", "requests")).toEqual({ [tenant.keyId]: 2, [other.id]: 5 });
    const byModel = await byGroup("model", "requests");
    expect(byModel).toMatchObject({ [MODEL]: 5, [BROKEN]: 1 });
    expect((await byGroup("route", "costUsd"))["both"]).toBe(0.12);
    expect(await byGroup("session", "requests")).toEqual({ "s-1": 2 });
    expect(await byGroup("metadata.team", "costUsd")).toEqual({ search: 0.24 });
    const users = await byGroup("endUser", "costUsd");
    expect(Object.values(users)).toEqual([0.24]);
    expect(Object.keys(users)[0]).toMatch(/^[0-9a-f]{16}$/);
    expect(await byGroup("key,model", "costUsd")).toMatchObject({ [`${other.id},${MODEL}`]: 0.24 });
    const { total } = await usage(`group_by=model&key=${other.id}`);
    expect(total).toMatchObject({ requests: 5, costUsd: 0.24 });
  });

  test("comes as CSV and as lines, to a token of its tenant", async () => {
    const query = "interval=hour&from=1h&group_by=session";
    const csv = await asText("text/csv", query);
    expect(csv.type).toBe("text/csv; charset=utf-8");
    const [header = "", ...lines] = csv.text.trimEnd().split("\r\n");
    expect(header.split(",").slice(0, 4)).toEqual(["start", "session", "requests", "errors"]);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines[0]).toContain(",s-1,");
    const ndjson = await asText("application/x-ndjson", query);
    expect(ndjson.type).toBe("application/x-ndjson");
    const items = ndjson.text
      .trimEnd()
      .split("\n")
      .map((line): unknown => JSON.parse(line));
    expect(items).toHaveLength(lines.length);
    expect(items[0]).toMatchObject({ group: { session: "s-1" } });
  });

  test("is empty where nothing was called, and a wrong parameter is named", async () => {
    expect(await usage(`model=${UNUSED}`)).toMatchObject({ items: [], total: { requests: 0, costUsd: 0 } });
    const refused = await stack.gateway.admin("GET", `/admin/tenants/${tenant.id}/usage?group_by=customer`);
    expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining("'group_by'")]);
  });
});

test("the usage over tenants is that of each", async () => {
  const { items } = await usage("group_by=tenant", "/admin/usage");
  const own = items.find(({ group }) => Object.values(group)[0] === tenant.id);
  expect(own).toMatchObject({ requests: 7, costUsd: 0.48 });
});
