// A tenant's register of what vendors keep for it, in a real SQLite Durable Object: what it finds, lists and forgets, and that each result is billed once.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import type { ObjectPageAsk, VendorObject, VendorObjectsRpc } from "../../src/vendor-objects/protocol.ts";

const TRACE = { traceId: "a".repeat(32), spanId: "b".repeat(16) };

let registers = 0;

function openRegister() {
  const stub = env.VENDOR_OBJECTS.getByName(`objects-test-${++registers}`);
  const port: VendorObjectsRpc = stub;
  const object = (id: string, about: Partial<VendorObject> = {}): VendorObject => ({
    collection: "files",
    id,
    accountName: "up",
    address: "openai ",
    trace: TRACE,
    body: JSON.stringify({ id, purpose: "batch" }),
    ...about,
  });
  const keep = (id: string, about?: Partial<VendorObject>) => port.keep([object(id, about)]);
  const idsOf = async (ask: Partial<ObjectPageAsk> = {}): Promise<readonly string[]> =>
    (await port.page({ collection: "files", limit: 10, ...ask })).items.map(({ id }) => id);
  return { stub, port, object, keep, idsOf };
}

describe("the register of a tenant's objects at vendors", () => {
  test("gives back what was kept, by collection and id, also after a restart", async () => {
    const { stub, port, object, keep } = openRegister();
    await keep("file-1", { models: ["a", "b"], batchId: "batch_1" });
    await evictDurableObject(stub);
    expect(await port.find("files", "file-1")).toEqual(
      object("file-1", { models: ["a", "b"], batchId: "batch_1" }),
    );
    expect(await port.find("batches", "file-1")).toBeUndefined();
    expect(await port.find("files", "file-2")).toBeUndefined();
  });

  test("keeps an object at its account, whichever one names it later; its description is the newest, or is not kept", async () => {
    const { port, keep } = openRegister();
    await keep("file-1");
    await keep("file-1", { accountName: "other", body: "{}" });
    await keep("file-1", { address: "anthropic ", body: "{}" });
    expect(await port.find("files", "file-1")).toMatchObject({
      accountName: "up",
      body: expect.stringContaining("purpose"),
    });
    await keep("file-1", { body: '{"new":1}' });
    expect((await port.find("files", "file-1"))?.body).toBe('{"new":1}');
    await keep("file-2", { body: "x".repeat(20_000) });
    expect((await port.find("files", "file-2"))?.body).toBeUndefined();
  });

  test("pages in both directions and both orders", async () => {
    const { port, keep, idsOf } = openRegister();
    for (const id of ["1", "2", "3", "4", "5"]) await keep(id);
    await keep("other", { collection: "batches" });
    expect(await port.page({ collection: "files", limit: 2 })).toMatchObject({
      items: [{ id: "5" }, { id: "4" }],
      hasMore: true,
    });
    expect(await idsOf({ after: "4", limit: 2 })).toEqual(["3", "2"]);
    expect(await idsOf({ before: "2", limit: 2 })).toEqual(["4", "3"]);
    expect(await idsOf({ isOldestFirst: true, after: "4" })).toEqual(["5"]);
    expect(await idsOf({ isOldestFirst: true, before: "3" })).toEqual(["1", "2"]);
    expect(await idsOf({ after: "unknown" })).toEqual([]);
    expect(await idsOf({ purpose: "vision" })).toEqual([]);
    expect(await idsOf({ purpose: "batch", limit: 1 })).toEqual(["5"]);
    expect((await port.page({ collection: "files", limit: 5 })).hasMore).toBe(false);
  });

  test("gives each result to one claim, also when the object is forgotten and named again", async () => {
    const { port, keep, idsOf } = openRegister();
    await keep("file-1", { batchId: "batch_1" });
    expect(await port.claim("files", "file-1", 3)).toBe(0);
    expect(await port.claim("files", "file-1", 2)).toBe(2);
    expect(await port.claim("files", "file-1", 10)).toBe(3);
    await port.forget("files", "file-1");
    expect(await port.find("files", "file-1")).toBeUndefined();
    expect(await idsOf()).toEqual([]);
    await keep("file-1", { batchId: "batch_1" });
    expect(await port.claim("files", "file-1", 10)).toBe(10);
    expect(await port.claim("files", "never-kept", 5)).toBe(5);
  });

  test("has room until it is full, and again when one is deleted", async () => {
    const { stub, port, keep } = openRegister();
    await runInDurableObject(stub, async (_, { storage }) => {
      storage.sql.exec(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 19999) " +
          "INSERT INTO objects (collection, id, account, address, trace_id, span_id, kept_at) SELECT 'files', 'f' || i, 'up', '', '', '', 0 FROM n",
      );
    });
    await evictDurableObject(stub);
    expect(await port.hasRoom()).toBe(true);
    await keep("last");
    expect(await port.hasRoom()).toBe(false);
    await keep("resp_1", { collection: "responses" });
    await port.forget("files", "f1");
    expect(await port.hasRoom()).toBe(true);
  });

  test("forgets responses that are too old, or too many", async () => {
    const { stub, port, keep } = openRegister();
    await keep("old", { collection: "responses" });
    await runInDurableObject(stub, async (_, { storage }) => {
      storage.sql.exec("UPDATE objects SET kept_at = ?", Date.now() - 32 * 86_400_000);
    });
    await evictDurableObject(stub);
    await keep("new", { collection: "responses" });
    expect(await port.find("responses", "old")).toBeUndefined();
    expect((await port.find("responses", "new"))?.id).toBe("new");
  });
});
