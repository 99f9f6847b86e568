// What belongs to a gateway key within its tenant: idempotency keys, unless the tenant shares them.
import { expect, test } from "vitest";
import { createFakeGateway } from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { completion } from "../../support/fakes/fake-upstream.ts";

/** Under what name a request with that key joins the tenant's flights. */
async function joinedAs(keyId: string, record: object = {}, name = "job-1"): Promise<string> {
  const joined: string[] = [];
  const gateway = createFakeGateway({
    bundle: fakeBundle({ key: { id: keyId }, record: { ...record } }),
    headers: { "idempotency-key": name },
    replies: [completion()],
    deps: {
      flights: {
        join: async ({ key }) => {
          joined.push(key);
          return { kind: "alone", reason: "too_late" };
        },
        lead: async () => null,
        leave: async () => false,
        hasFailed: async () => false,
      },
    },
  });
  await gateway.refusal();
  return joined.join();
}

test("two gateway keys don't share an idempotency key", async () => {
  const one = await joinedAs("key-1");
  expect(one).not.toBe("");
  expect(await joinedAs("key-1")).toBe(one);
  expect(await joinedAs("key-2")).not.toBe(one);
  expect(await joinedAs("key-1", {}, "job-2")).not.toBe(one);
});

test("they do where the tenant says so", async () => {
  const shared = { cache: { share: "tenant" } };
  const one = await joinedAs("key-1", shared);
  expect(one).not.toBe("");
  expect(await joinedAs("key-2", shared)).toBe(one);
  expect(await joinedAs("key-1")).not.toBe(one);
});
