import { describe, expect, test } from "vitest";
import { createEpochCheck } from "../../../src/cache/epoch.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";

function check(versionOf: () => Promise<number>) {
  let now = 1_000_000;
  let asked = 0;
  const confirm = createEpochCheck({
    versionOf() {
      asked += 1;
      return versionOf();
    },
    reload: async (_, version) => ({ ...fakeBundle({ version }), cacheEpoch: 9 }),
    now: () => now,
  });
  return {
    confirm,
    pass: (ms: number) => void (now += ms),
    get asked() {
      return asked;
    },
  };
}

describe("the epoch in force", () => {
  test("is the records' own while nothing has changed, and is asked for once a second", async () => {
    const epoch = check(async () => 7);
    for (const wait of [0, 500, 499]) {
      epoch.pass(wait);
      expect(await epoch.confirm(fakeBundle({ version: 7 }))).toBe(1);
    }
    expect(epoch.asked).toBe(1);
    epoch.pass(1);
    await epoch.confirm(fakeBundle({ version: 7 }));
    expect(epoch.asked).toBe(2);
  });

  test("is the newest records' where these are newer than what the isolate has", async () => {
    expect(await check(async () => 8).confirm(fakeBundle({ version: 7 }))).toBe(9);
  });

  test("is the known one where the directory can't be reached, and the next request asks again", async () => {
    const epoch = check(() => Promise.reject(new Error("down")));
    expect(await epoch.confirm(fakeBundle())).toBe(1);
    await epoch.confirm(fakeBundle());
    expect(epoch.asked).toBe(2);
  });
});
