// Alerts of a budget as an operator and a client meet them: header, event, metric, audit, and a webhook that is signed and
// repeated until it is taken. Everything through HTTP, with prices of the tenant's own.
import { createHmac } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { chat, type Answer } from "../../support/clients/chat-client.ts";
import { makeKey, makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

interface Received {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

const KEY = Buffer.alloc(32, "the webhook's key");
const SECRET = `whsec_${KEY.toString("base64")}`;
/** What one request costs: 10,000 tokens at a dollar a million. */
const USAGE = { inputTokens: 10, outputTokens: 9990 };
const PRICE = { input: 1, output: 1 };

let stack: GatewayStack;
let server: Server;
const received: Received[] = [];
let hookUrl = "";

beforeAll(async () => {
  stack = await startGatewayStack();
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      const isFirst = !received.some((one) => one.body === body);
      received.push({ headers: request.headers, body });
      response.writeHead(isFirst ? 500 : 204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A TCP server that listens has an AddressInfo (Node's types allow a pipe name or null as well).
  hookUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`;
});
afterAll(async () => {
  server.close();
  await stack.close();
});

interface Priced {
  readonly tenant: TestTenant;
  readonly model: string;
}

async function priced(record: object): Promise<Priced> {
  const model = uniqueModel();
  stack.upstream.script(model, { kind: "answer", text: "a b c", usage: USAGE });
  const prices = { [`up/${model}`]: PRICE };
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    record: { prices, ...record },
  });
  return { tenant, model };
}

const ask = ({ tenant, model }: Priced, key = tenant.key, stream = false): Promise<Answer> =>
  chat(stack, key, { model: `up/${model}`, stream, body: { max_tokens: 9990 } });

async function alertEvents(traceId: string) {
  const spans = await stack.otlp.waitForTrace(traceId);
  return spans.flatMap(({ name, events }) =>
    events.filter((event) => event.name === "gateway.budget.alert").map((event) => ({ on: name, ...event })),
  );
}

async function auditOf(tenant: TestTenant): Promise<readonly string[]> {
  const { items } = (await adminJson(stack.gateway, "GET", "/admin/audit?limit=1000")) as {
    readonly items: readonly { readonly tenant: string; readonly action: string; readonly subject: string }[];
  };
  const own = items.filter(({ tenant: of, action }) => of === tenant.id && action === "budget.alert");
  return own.map(({ subject }) => subject.replace(/ for the .*/, "")).toReversed();
}

test("`alert` lets all pass, and tells of 50, 80 and 100 % by header, event, metric, audit and webhook", async () => {
  const webhook = { url: hookUrl, secret: SECRET };
  const budgeted = await priced({
    budget: { usd: 0.1, period: "month", onExceeded: "alert" },
    alerts: { webhook },
  });
  const { tenant } = budgeted;
  const answers: Answer[] = [];
  for (let n = 0; n < 11; n += 1) answers.push(await ask(budgeted, tenant.key, n === 7));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  const used = answers.map(({ headers }) => headers.get("x-headgate-budget-used"));
  // The stream's cost is not known when its head leaves.
  expect(used).toEqual([null, null, null, null, "0.5", "0.6", "0.7", "0.7", "0.9", "1", "1.1"]);

  const events = await Promise.all([4, 7, 9].map((n) => alertEvents(answers[n]?.traceId ?? "")));
  expect(
    events.map((found) => found.map(({ attributes }) => attributes["gateway.budget.threshold"])),
  ).toEqual([[0.5], [0.8], [1]]);
  expect(events.flat().map(({ on }) => on)).toEqual(
    Array.from({ length: 3 }, () => "POST /v1/chat/completions"),
  );
  expect(await alertEvents(answers[5]?.traceId ?? "")).toEqual([]);

  const hooks = (): readonly Received[] => received.filter(({ body }) => body.includes(tenant.id));
  await vi.waitFor(() => expect(hooks()).toHaveLength(6), { timeout: 20_000, interval: 50 });
  const data = hooks().map(({ body }) => JSON.parse(body) as { readonly id: string; readonly data: object });
  expect(new Set(data.map(({ id }) => id)).size).toBe(3);
  expect(data.at(-1)?.data).toMatchObject({
    tenant: tenant.id,
    keyId: null,
    threshold: 1,
    spentUsd: 0.1,
    budgetUsd: 0.1,
    period: "month",
    onExceeded: "alert",
    requestId: answers[9]?.headers.get("x-request-id"),
  });
  for (const { headers, body } of hooks()) {
    const [id, at] = [String(headers["webhook-id"]), Number(headers["webhook-timestamp"])];
    expect(Math.abs(Date.now() / 1000 - at)).toBeLessThan(60);
    const signed = createHmac("sha256", KEY).update(`${id}.${at}.${body}`).digest("base64");
    expect(headers["webhook-signature"]).toBe(`v1,${signed}`);
  }
  expect(await auditOf(tenant)).toEqual(["tenant 50% of $0.1", "tenant 80% of $0.1", "tenant 100% of $0.1"]);

  const metrics = await (await stack.gateway.admin("GET", `/metrics`)).text();
  const own = metrics
    .split("\n")
    .filter((line) => line.includes(tenant.id) && line.includes("budget_alerts"));
  expect(own.map((line) => line.split(" ").at(-1))).toEqual(["1", "1", "1"]);
  const record = await (await stack.gateway.admin("GET", `/admin/tenants/${tenant.id}`)).text();
  for (const text of [record, stack.otlp.allText(), stack.gateway.logs()])
    expect(text).not.toContain(SECRET.slice(6, 30));
});

test("`reject` alerts alike, and a key's budget tells of the key", async () => {
  const budgeted = await priced({});
  const { tenant } = budgeted;
  const budget = { usd: 0.02, period: "day", onExceeded: "reject" };
  const { id, key } = await makeKey(stack.gateway, tenant.id, { budget });
  const answers = [await ask(budgeted, key), await ask(budgeted, key), await ask(budgeted, key)];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
  expect(answers.map(({ headers }) => headers.get("x-headgate-budget-used"))).toEqual(["0.5", "1", "1"]);
  await vi.waitFor(async () =>
    expect(await auditOf(tenant)).toEqual([
      `${id} 50% of $0.02`,
      `${id} 80% of $0.02`,
      `${id} 100% of $0.02`,
    ]),
  );
  expect((await ask(budgeted)).headers.get("x-headgate-budget-used")).toBeNull();
});

test("a webhook needs a secret that can sign, and its mask keeps the stored one for its own address only", async () => {
  const { tenant } = await priced({});
  const path = `/admin/tenants/${tenant.id}`;
  const patch = async (alerts: object): Promise<readonly [number, string]> => {
    const answer = await stack.gateway.admin("PATCH", path, { alerts });
    return [answer.status, await answer.text()];
  };
  const [status, text] = await patch({ webhook: { url: hookUrl, secret: "short" } });
  expect([status, text]).toEqual([400, expect.stringContaining("alerts.webhook.secret")]);
  expect((await patch({ webhook: { url: hookUrl, secret: SECRET } }))[0]).toBe(200);
  const shown = await adminJson(stack.gateway, "GET", path);
  expect(JSON.stringify(shown["alerts"])).toContain("whs…");
  expect((await patch(shown["alerts"] as object))[0]).toBe(200);
  const moved = { webhook: { url: "http://127.0.0.2:9/other" } };
  expect(await patch(moved)).toEqual([400, expect.stringContaining("Send the secret again")]);
});
