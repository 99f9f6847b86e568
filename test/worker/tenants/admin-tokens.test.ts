/** Admin tokens in the real directory: how many there may be, and when one has ended. */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it } from "vitest";
import { directoryClient, directoryStub } from "./directory-access.ts";

const { tokens } = directoryClient();
const MAX_TOKENS = 1000;

function clear(): Promise<void> {
  return runInDurableObject(directoryStub(), (_, { storage }) => {
    storage.sql.exec("DELETE FROM admin_tokens");
  });
}
afterEach(clear);

/** As many as there may be, without a thousand calls. */
function fill(records: readonly object[]): Promise<void> {
  return runInDurableObject(directoryStub(), (_, { storage }) => {
    for (const [at, record] of records.entries())
      storage.sql.exec(
        "INSERT INTO admin_tokens (id, hash, tenant, record) VALUES (?, ?, '', ?)",
        `tok_${at}`,
        `hash-${at}`,
        JSON.stringify({ id: `tok_${at}`, name: "filler", role: "viewer", ...record }),
      );
  });
}

const make = () => tokens.create({ name: "one more", role: "operator" });

it("refuses the token behind the last one, and says what to do", async () => {
  await fill(Array.from({ length: MAX_TOKENS - 1 }, () => ({})));
  const last = await make();
  await expect(make()).rejects.toMatchObject({
    code: "conflict",
    message: "A deployment can have at most 1000 admin tokens. Delete one first.",
  });
  await tokens.delete(last.id);
  await expect(make()).resolves.toMatchObject({ role: "operator" });
});

it("lets expired tokens give way, and only them", async () => {
  const [past, future] = ["2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"];
  await fill(Array.from({ length: MAX_TOKENS }, (_, at) => ({ expiresAt: at % 2 === 0 ? past : future })));
  await make();
  const { items } = await tokens.list({ limit: MAX_TOKENS });
  expect(items).toHaveLength(MAX_TOKENS / 2 + 1);
  expect(items.filter(({ expiresAt }) => expiresAt === past)).toEqual([]);
});

it("knows by its id whether a token is valid", async () => {
  await fill([{ expiresAt: "2026-01-01T00:00:00Z" }, {}]);
  const states = ["tok_0", "tok_1", "tok_2", "admin"].map((id) => directoryStub().isTokenValid(id));
  expect(await Promise.all(states)).toEqual([false, true, false, false]);
});
