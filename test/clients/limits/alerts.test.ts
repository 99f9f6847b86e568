// Alerts that are not a budget's, each provoked by requests and received by a webhook that fails twice first: signed, once, with
// the trace that did it; and as Slack takes them. Everything through HTTP.
import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { chat, type Answer } from "../../support/clients/chat-client.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const KEY = Buffer.alloc(32, "the webhook's key");
const SECRET = `whsec_${KEY.toString("base64")}`;
const FAILURES_FIRST = 2;
const REQUESTS = 24;

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
      const before = received.filter((one) => one.body === body).length;
      received.push({ headers: request.headers, body });
      response.writeHead(before < FAILURES_FIRST ? 503 : 204).end();
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

async function provoke(webhook: object, objectives: readonly object[], reply: "fails" | "answers") {
  const model = uniqueModel();
  stack.upstream.script(
    model,
    reply === "fails"
      ? { kind: "error", status: 500 }
      : { kind: "answer", text: "a b c", firstChunkDelayMs: 5 },
  );
  const routes = { own: { targets: [{ provider: "up", model }], retries: { maxAttempts: 1 } } };
  const record = { alerts: { webhook: { url: hookUrl, secret: SECRET, ...webhook } }, objectives };
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, record, routes });
  const answers: Answer[] = [];
  for (let n = 0; n < REQUESTS; n += 1) answers.push(await chat(stack, tenant.key, { model: "own" }));
  return { tenant, model, answers };
}

const hooksOf = (tenantId: string, count: number): Promise<readonly Received[]> =>
  vi.waitFor(
    () => {
      const own = received.filter(({ body }) => body.includes(tenantId));
      expect(own).toHaveLength(count);
      return own;
    },
    { timeout: 25_000, interval: 50 },
  );

interface Message {
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

function messageOf({ headers, body }: Received): Message {
  const signed = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
  expect(headers["webhook-signature"]).toBe(
    `v1,${createHmac("sha256", KEY).update(signed).digest("base64")}`,
  );
  // What src/docs/limits.md says that it has.
  const message = JSON.parse(body) as Message;
  expect(headers["webhook-id"]).toBe(message.id);
  return message;
}

test("an open circuit and an objective missed by failures reach the webhook once each, whatever it answers at first", async () => {
  const objectives = [
    { route: "own", maxErrorShare: 0.05 },
    { route: "other", maxErrorShare: 0.05 },
  ];
  const { tenant, model, answers } = await provoke({}, objectives, "fails");
  const tries = 1 + FAILURES_FIRST;
  const messages = (await hooksOf(tenant.id, 2 * tries)).map(messageOf);
  expect(new Set(messages.map(({ id }) => id)).size).toBe(2);
  const [circuit] = messages.filter(({ type }) => type === "circuit.opened");
  expect(circuit?.data).toMatchObject({ tenant: tenant.id, target: `up/${model}`, keyId: tenant.keyId });
  const traceIds = answers.map(({ traceId }) => traceId);
  expect(traceIds).toContain(circuit?.data["traceId"]);
  const [missed] = messages.filter(({ type }) => type === "objective.missed");
  expect(missed?.data).toMatchObject({
    objective: "errors",
    route: "own",
    allowedShare: 0.05,
    requests: 20,
    bad: 20,
    traceId: traceIds[19],
  });
  // More failures of the same event tell nothing more.
  await chat(stack, tenant.key, { model: "own" });
  const { items } = (await adminJson(stack.gateway, "GET", "/admin/audit?limit=1000")) as {
    readonly items: readonly { readonly tenant: string; readonly action: string }[];
  };
  const told = items.filter(({ tenant: of, action }) => of === tenant.id && /opened|missed/.test(action));
  expect(told.map(({ action }) => action).toSorted()).toEqual(["circuit.opened", "objective.missed"]);
  await hooksOf(tenant.id, 2 * tries);
});

test("an objective missed by slow answers reaches the webhook, in Slack's form where the webhook has it", async () => {
  const objectives = [{ maxSlowShare: 0.05, slowerThanMs: 1 }];
  const { tenant, answers } = await provoke({ format: "slack" }, objectives, "answers");
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  const hooks = await hooksOf(tenant.id, 1 + FAILURES_FIRST);
  const [{ text = "" } = {}] = hooks.map(({ body }): { text?: string } => JSON.parse(body));
  expect(text).toContain(`tenant ${tenant.id}: objective.missed`);
  expect(text).toMatch(/all routes: 20 of 20 requests took longer than 1 ms; 5% may\nTrace [0-9a-f]{32}$/);
  expect(new Set(hooks.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
});

test("an objective that says two things, or nothing, is refused by name", async () => {
  const { id } = await makeTenant(stack.gateway);
  for (const objective of [
    {},
    { maxErrorShare: 0.01, slowerThanMs: 5 },
    { maxErrorShare: 0.5 },
    { maxSlowShare: 0.01 },
  ]) {
    const response = await stack.gateway.admin("PATCH", `/admin/tenants/${id}`, { objectives: [objective] });
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining("objectives")]);
  }
});
