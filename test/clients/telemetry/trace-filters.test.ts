// The trace list as an operator asks it: by session, end user, label and kind; as text; and conversations added up.
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { chat } from "../../support/clients/chat-client.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

const MODEL = uniqueModel();
const USAGE = { inputTokens: 10_000, outputTokens: 10_000 };

let stack: GatewayStack;
let tenant: TestTenant;
let requestIds: readonly string[] = [];

beforeAll(async () => {
  stack = await startGatewayStack();
  stack.upstream.script(MODEL, { kind: "answer", text: "a b c", usage: USAGE });
  const record = { prices: { [`up/${MODEL}`]: { input: 1, output: 2 } } };
  tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, record });
  const model = `up/${MODEL}`;
  const answers = [
    await chat(stack, tenant.key, { model, headers: { "x-headgate-session": "a/b" }, body: { user: "ada" } }),
    await chat(stack, tenant.key, {
      model,
      headers: { "x-headgate-session": "a/b", "x-headgate-end-user": "bob" },
      body: { user: "ada" },
    }),
    await chat(stack, tenant.key, { model, headers: { "x-headgate-metadata": '{"team":"blue \\"sky\\""}' } }),
    await chat(stack, tenant.key, { model: "up/unpriced", headers: { "x-headgate-session": "none/found" } }),
  ];
  requestIds = answers.map(({ headers }) => headers.get("x-request-id") ?? "");
});
afterAll(() => stack.close());

interface Item {
  readonly requestId: string;
  readonly [field: string]: unknown;
}

// Lists of the admin plane have this form (src/docs/admin-api.md).
const list = async (path: string): Promise<readonly Item[]> =>
  ((await adminJson(stack.gateway, "GET", path)) as { readonly items: readonly Item[] }).items;

/** The places of the found requests, in the order in which they were made. */
const find = async (query: Readonly<Record<string, string>>): Promise<readonly number[]> => {
  const found = await list(
    `/admin/traces?${new URLSearchParams({ tenant: tenant.id, ...query }).toString()}`,
  );
  return found.map(({ requestId }) => requestIds.indexOf(requestId)).toSorted((a, b) => a - b);
};

const hashOf = (name: string): string =>
  createHash("sha256").update(`${tenant.id}\n${name}`).digest("hex").slice(0, 16);

test("traces are found by session, end user and label", async () => {
  expect(await find({})).toEqual([0, 1, 2, 3]);
  expect(await find({ session: "a/b" })).toEqual([0, 1]);
  expect(await find({ endUser: hashOf("ada") })).toEqual([0]);
  expect(await find({ endUser: hashOf("bob"), session: "a/b" })).toEqual([1]);
  expect(await find({ endUser: "ada" })).toEqual([]);
  expect(await find({ "metadata.team": 'blue "sky"' })).toEqual([2]);
  expect(await find({ "metadata.team": "blue" })).toEqual([]);
});

test("an operator's own calls and a stranger's wrong paths are shown only to who asks for all", async () => {
  const wrong = await fetch(`${stack.gateway.url}/wp-login.php`);
  const written = await stack.gateway.admin("PATCH", `/admin/tenants/${tenant.id}`, { name: "Renamed" });
  expect([wrong.status, written.status]).toEqual([404, 200]);
  const hidden = [wrong, written].map(({ headers }) => headers.get("x-request-id"));
  const idsOf = async (query: string): Promise<readonly string[]> =>
    (await list(`/admin/traces?tenant=-&${query}`)).map(({ requestId }) => requestId);
  expect(await idsOf("kind=all")).toEqual(expect.arrayContaining(hidden));
  const shown = await idsOf("since=1h");
  expect(hidden.filter((id) => shown.includes(id ?? ""))).toEqual([]);
});

test("the list is a table for a terminal", async () => {
  const { token } = await adminJson(stack.gateway, "POST", "/admin/tokens", {
    name: "reader",
    role: "viewer",
  });
  const response = await fetch(`${stack.gateway.url}/admin/traces?tenant=${tenant.id}&session=a/b`, {
    headers: { authorization: `Bearer ${String(token)}`, accept: "text/plain" },
  });
  const lines = (await response.text()).trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[1]).toMatch(/ 200 .* 10000 → 10000 +\$0\.03 /);
});

test("conversations are added up, and one is shown with its requests", async () => {
  const root = `/admin/tenants/${tenant.id}/sessions`;
  const [newest, first, ...others] = await list(root);
  expect(others).toEqual([]);
  expect(newest).toMatchObject({ session: "none/found", requests: 1 });
  const sums = {
    session: "a/b",
    requests: 2,
    errors: 0,
    models: [MODEL],
    inputTokens: 20_000,
    costUsd: 0.06,
  };
  expect(first).toMatchObject(sums);
  const one = await adminJson(stack.gateway, "GET", `${root}/${encodeURIComponent("a/b")}`);
  expect(one).toMatchObject({ ...sums, items: [{ requestId: requestIds[1] }, { requestId: requestIds[0] }] });
  const missing = await stack.gateway.admin("GET", `${root}/of-no-request`);
  expect([missing.status, await missing.text()]).toEqual([
    404,
    expect.stringContaining("x-headgate-session"),
  ]);
});
