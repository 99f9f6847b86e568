// Stored responses by id, through the official OpenAI SDK: two tenants on one account of a vendor, who can reach their own alone.
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { makeKey, makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { type ScriptedObjects, startScriptedObjects } from "../../support/servers/scripted-objects.ts";

let stack: GatewayStack;
let vendor: ScriptedObjects;
let acme: TestTenant;
let rival: TestTenant;
beforeAll(async () => {
  [stack, vendor] = await Promise.all([startGatewayStack(), startScriptedObjects()]);
  acme = await makeTenant(stack.gateway, { upstreamUrl: vendor.url });
  rival = await makeTenant(stack.gateway, { upstreamUrl: vendor.url });
});
afterAll(() => Promise.all([stack.close(), vendor.close()]));

const clientOf = (key: string): OpenAI =>
  new OpenAI({ apiKey: key, baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 });
const ask = { model: "up/gpt-5-mini", input: "Hi" } as const;
const missing = (param: string) => ({ status: 404, code: "not_found", param });

describe("stored responses", () => {
  test("are read, cancelled and deleted by their id, with the account's credential", async () => {
    const client = clientOf(acme.key);
    const made = await client.responses.create(ask);
    const read = await client.responses.retrieve(made.id, { include: ["reasoning.encrypted_content"] });
    expect(read.output_text).toBe(made.output_text);
    expect(decodeURIComponent(vendor.calls.at(-1) ?? "")).toBe(
      `GET /v1/responses/${made.id}?include[]=reasoning.encrypted_content`,
    );
    expect(vendor.credentials.at(-1)).toBe(`Bearer ${acme.credential}`);
    expect((await client.responses.inputItems.list(made.id)).data).toEqual([]);
    expect((await client.responses.cancel(made.id)).status).toBe("cancelled");
    await client.responses.delete(made.id);
    await expect(client.responses.retrieve(made.id)).rejects.toMatchObject(missing("id"));
  });

  test("of a stream are known before its first event reaches the client", async () => {
    const model = "up/streamed";
    const event = (type: string, response: object) =>
      `event: ${type}\ndata: ${JSON.stringify({ type, response })}\n\n`;
    const about = { id: "resp_streamed", object: "response", model: "streamed", output: [] };
    const upstream = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
    stack.upstream.script("streamed", ({ method }) =>
      method === "POST"
        ? {
            kind: "pieces",
            pieces: [
              event("response.created", about),
              event("response.completed", { ...about, status: "completed" }),
            ],
            paceMs: 200,
          }
        : { kind: "raw", body: JSON.stringify(about) },
    );
    const client = clientOf(upstream.key);
    for await (const { type } of await client.responses.create({ model, input: "Hi", stream: true })) {
      if (type !== "response.created") continue;
      stack.upstream.script("", { kind: "raw", body: JSON.stringify(about) });
      expect((await client.responses.retrieve("resp_streamed")).id).toBe("resp_streamed");
    }
  });

  test("of another tenant are reached neither by their id nor as what a conversation goes on from", async () => {
    const [own, other] = [clientOf(acme.key), clientOf(rival.key)];
    const { id } = await own.responses.create(ask);
    const before = vendor.calls.length;
    await expect(other.responses.retrieve(id)).rejects.toMatchObject(missing("id"));
    await expect(other.responses.cancel(id)).rejects.toMatchObject(missing("id"));
    await expect(other.responses.delete(id)).rejects.toMatchObject(missing("id"));
    await expect(other.responses.inputItems.list(id)).rejects.toMatchObject(missing("id"));
    const next = { ...ask, previous_response_id: id };
    await expect(other.responses.create(next)).rejects.toMatchObject(missing("previous_response_id"));
    expect(vendor.calls.length).toBe(before);
    expect(await own.responses.create(next)).toMatchObject({ previous_response_id: id });
    // Another key of the tenant is the tenant.
    const colleague = clientOf((await makeKey(stack.gateway, acme.id)).key);
    expect((await colleague.responses.retrieve(id)).id).toBe(id);
  });

  test("go on at the account that holds them, whichever target's turn it is", async () => {
    const second = await startScriptedObjects();
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: vendor.url });
    const root = `/admin/tenants/${tenant.id}`;
    await stack.gateway.admin("PUT", `${root}/providers/second`, {
      kind: "openai",
      baseUrl: `${second.url}/v1`,
      apiKey: "sk-second",
    });
    const targets = [
      { provider: "up", model: "m" },
      { provider: "second", model: "m" },
    ];
    await stack.gateway.admin("PUT", `${root}/routes/both`, { strategy: "weighted", targets });
    await stack.gateway.admin("PUT", `${root}/routes/other`, { strategy: "fallback", targets: [targets[1]] });
    const client = clientOf(tenant.key);
    const { id } = await client.responses.create({ ...ask, model: "up/m" });
    for (let turn = 0; turn < 4; turn++)
      await client.responses.create({ model: "both", input: "Hi", previous_response_id: id });
    expect(second.calls).toEqual([]);
    await expect(
      client.responses.create({ model: "other", input: "Hi", previous_response_id: id }),
    ).rejects.toMatchObject({
      status: 400,
      param: "previous_response_id",
      message: expect.stringContaining("is at the provider 'up'"),
    });
    await stack.gateway.admin("DELETE", `${root}/routes/both`);
    await stack.gateway.admin("DELETE", `${root}/providers/up`);
    // A copy of the records may serve the next request still.
    await vi.waitFor(
      () =>
        expect(client.responses.retrieve(id)).rejects.toMatchObject({
          ...missing("provider"),
          message: expect.stringContaining("The provider 'up', which holds the stored response"),
        }),
      { timeout: 5000, interval: 50 },
    );
    await second.close();
  });

  test("that the client doesn't have stored are not known", async () => {
    const client = clientOf(acme.key);
    const { id } = await client.responses.create({ ...ask, store: false });
    await expect(client.responses.retrieve(id)).rejects.toMatchObject(missing("id"));
    await expect(client.responses.retrieve("resp_x/../../models")).rejects.toMatchObject({ status: 404 });
  });

  test("are a responses endpoint for keys", async () => {
    const client = clientOf((await makeKey(stack.gateway, acme.id, { endpoints: ["chat"] })).key);
    await expect(client.responses.retrieve("resp_1")).rejects.toMatchObject({ status: 403 });
    await expect(client.files.list()).rejects.toMatchObject({ status: 403 });
    await expect(client.batches.list()).rejects.toMatchObject({ status: 403 });
  });
});
