/** What unknown keys can make an isolate look up: bounded by network and in total, and no matter for keys that are known. */
import { beforeEach, describe, expect, it } from "vitest";
import { clientNetwork } from "../../../src/runtime/client-network.ts";
import { createLookupBudget, type PlatformLimiter } from "../../../src/tenants/lookup-budget.ts";
import { createTenantSource, type TenantSource } from "../../../src/tenants/source.ts";

const POINTER = JSON.stringify({ tenantId: "acme", keyId: "key_1" });

let now: number;
let calls: { kv: number; directory: number };
let kv: Map<string, string>;
beforeEach(() => {
  now = 1_000_000;
  calls = { kv: 0, directory: 0 };
  kv = new Map();
});

function createSource(platform?: PlatformLimiter): TenantSource {
  return createTenantSource({
    clock: () => now,
    lookups: createLookupBudget(() => now, platform),
    kv: {
      async get(key) {
        calls.kv += 1;
        return kv.get(key) ?? null;
      },
    },
    directory: () => ({
      async findKey() {
        calls.directory += 1;
        return undefined;
      },
      readBundle: async () => undefined,
    }),
    queueVersion: async () => 1,
  });
}

/** What came of each look-up, counted. */
async function flood(
  source: TenantSource,
  count: number,
  addressOf: (index: number) => string | undefined,
): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {};
  for (let index = 0; index < count; index += 1) {
    const outcome = await source.findKey(`${now}-${index}`, addressOf(index)).then(
      (found) => (found ? "found" : "unknown"),
      (thrown: { readonly code: string }) => thrown.code,
    );
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  return outcomes;
}

describe("a flood of unknown keys", () => {
  it.each([
    ["one address", () => "203.0.113.7"],
    ["one network of IPv6 addresses", (index: number) => `2001:db8:1:2::${index.toString(16)}`],
  ])("from %s is refused after 30, and looked up once a second from then on", async (_, addressOf) => {
    const source = createSource();
    expect(await flood(source, 500, addressOf)).toEqual({ unknown: 30, rate_limited: 470 });
    expect(calls).toEqual({ kv: 30, directory: 30 });
    now += 5000;
    expect(await flood(source, 500, addressOf)).toEqual({ unknown: 5, rate_limited: 495 });
    expect(await flood(source, 1, () => "198.51.100.1")).toEqual({ unknown: 1 });
  });

  it.each([
    ["many addresses", (index: number) => `203.0.${index >> 8}.${index & 255}`],
    ["no known address", () => undefined],
  ])("from %s is bounded in total, most of all at the directory", async (_, addressOf) => {
    const source = createSource();
    expect(await flood(source, 3000, addressOf)).toEqual({ unknown: 50, overloaded: 2950 });
    expect(calls).toEqual({ kv: 1000, directory: 50 });
    now += 1000;
    await flood(source, 3000, addressOf);
    expect(calls).toEqual({ kv: 1100, directory: 60 });
  });

  it("says when to retry", async () => {
    const source = createSource();
    await flood(source, 30, () => "203.0.113.7");
    await expect(source.findKey("more", "203.0.113.7")).rejects.toMatchObject({
      status: 429,
      details: { retryAfterMs: 1000 },
    });
  });

  it("refuses no key that the isolate knows, and none that KV has while the directory is closed", async () => {
    const source = createSource();
    kv.set("key/known", POINTER).set("key/other", POINTER);
    await source.findKey("known", "203.0.113.7");
    await flood(source, 400, (index) => `198.51.${index >> 8}.${index & 255}`);
    await flood(source, 100, () => "203.0.113.7");
    const before = { ...calls };
    expect(await source.findKey("known", "203.0.113.7")).toMatchObject({ source: "memory" });
    expect(calls).toEqual(before);
    expect(await source.findKey("other", "192.0.2.1")).toMatchObject({ source: "kv" });
  });
});

describe("valid keys", () => {
  it("of many clients behind one address are all looked up, at once too", async () => {
    const source = createSource();
    for (let index = 0; index < 500; index += 1) kv.set(`key/k${index}`, POINTER);
    const found = await Promise.all(
      Array.from({ length: 500 }, (_, index) => source.findKey(`k${index}`, "203.0.113.7")),
    );
    expect(found.filter((key) => key?.source === "kv")).toHaveLength(500);
    expect(await flood(source, 31, () => "203.0.113.7")).toEqual({ unknown: 30, rate_limited: 1 });
  });

  it("that have ended are unknown for three seconds, and count like unknown ones", async () => {
    const source = createSource();
    kv.set("key/ended", POINTER);
    for (let round = 0; round < 40; round += 1) {
      const found = await source.findKey("ended", "203.0.113.7").catch(() => "refused");
      if (found === "refused") break;
      source.noteInvalidKey("ended", "203.0.113.7");
      for (let again = 0; again < 5; again += 1)
        expect(await source.findKey("ended", "203.0.113.7")).toBeUndefined();
    }
    expect(calls).toEqual({ kv: 1, directory: 0 });
    now += 3000;
    expect(await source.findKey("ended", "203.0.113.8")).toMatchObject({ source: "kv" });
  });
});

describe("the platform's limiter", () => {
  const limiterOf = (limit: PlatformLimiter["limit"]): PlatformLimiter => ({ limit });

  it("is asked by network, before KV, and what it refuses is not looked up", async () => {
    const asked: string[] = [];
    const source = createSource(
      limiterOf(async ({ key }) => {
        asked.push(key);
        return { success: false };
      }),
    );
    expect(await flood(source, 3, () => "2001:db8:1:2:3:4:5:6")).toEqual({ rate_limited: 3 });
    expect(asked).toEqual(Array.from({ length: 3 }, () => "2001:db8:1:2::/64"));
    expect(calls).toEqual({ kv: 0, directory: 0 });
  });

  it("that fails or hangs refuses nothing", async () => {
    const failing = createSource(limiterOf(() => Promise.reject(new Error("down"))));
    expect(await flood(failing, 2, () => "203.0.113.7")).toEqual({ unknown: 2 });
    const hanging = createSource(limiterOf(() => new Promise(() => {})));
    expect(await flood(hanging, 1, () => "203.0.113.7")).toEqual({ unknown: 1 });
  });

  it("is not asked for keys that the isolate knows", async () => {
    let asked = 0;
    const source = createSource(
      limiterOf(async () => {
        asked += 1;
        return { success: true };
      }),
    );
    kv.set("key/known", POINTER);
    for (let round = 0; round < 5; round += 1) await source.findKey("known", "203.0.113.7");
    expect(asked).toBe(1);
  });
});

it.each([
  ["203.0.113.7", "203.0.113.7"],
  ["2001:DB8::1", "2001:db8:0:0::/64"],
  ["2001:db8:0:0:ffff::2", "2001:db8:0:0::/64"],
  ["2001:0db8:0001:0002:3:4:5:6", "2001:db8:1:2::/64"],
  ["::1", "0:0:0:0::/64"],
  ["fe80::", "fe80:0:0:0::/64"],
  ["::ffff:203.0.113.7", "::ffff:203.0.113.7"],
  ["x".repeat(500), "x".repeat(64)],
])("%s counts as %s", (address, network) => {
  expect(clientNetwork(address)).toBe(network);
});
