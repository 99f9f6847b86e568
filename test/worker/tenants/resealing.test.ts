/** A change of MASTER_KEY in the directory's tables: bounded steps, the real SQLite, every record under the new key at the end. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { REGISTERED_KINDS } from "../../../src/providers/registry.ts";
import { createDirectoryStore, type DirectoryStore } from "../../../src/tenants/directory/directory-store.ts";
import { createResealing } from "../../../src/tenants/directory/resealing.ts";
import { audienceOfProvider } from "../../../src/tenants/records/audience.ts";
import { parseProvider, parseTenant } from "../../../src/tenants/records/parse-record.ts";
import {
  keepProviderSecrets,
  keepTenantSecrets,
  sealProvider,
  sealTenant,
  webhookPlace,
} from "../../../src/tenants/records/seal-records.ts";
import { sealedInTenant } from "../../../src/tenants/records/reseal-records.ts";
import { masterKeyId, masterKeyIdOf, openSecret } from "../../../src/tenants/records/sealing.ts";

const [OLD, NEW, LOST] = ["old", "new", "lost"].map((name) => btoa(name.padEnd(32, "-"))) as [
  string,
  string,
  string,
];
const RULES = {
  allowPrivateUpstreams: false,
  providerKinds: REGISTERED_KINDS,
  defaultBaseUrl: () => "https://api.example.com/v1",
};
const TENANT = {
  alerts: { webhook: { url: "https://hooks.example.com/x", secret: `whsec_${btoa("w".repeat(32))}` } },
  tracing: {
    destinations: [
      {
        name: "otlp",
        endpoint: "https://otlp.example.com",
        headers: { authorization: "Bearer 0123456789abcdef" },
      },
    ],
  },
};

/** The tables of a directory object of its own. */
function inTables(work: (store: DirectoryStore, sql: SqlStorage) => Promise<void>): Promise<void> {
  const object = env.DIRECTORY.getByName(`resealing-${crypto.randomUUID()}`);
  return runInDurableObject(object, (_, { storage }) => work(createDirectoryStore(storage.sql), storage.sql));
}

function secretOf(tenantId: string, name: string): string {
  return `sk-${tenantId}-${name}-0123456789`;
}

async function writeProvider(store: DirectoryStore, tenantId: string, name: string, masterKey: string) {
  const body = {
    kind: "openai",
    apiKey: secretOf(tenantId, name),
    headers: { "x-org": "org-0123456789abcdef" },
  };
  const sealed = await sealProvider(tenantId, name, parseProvider(body, name, RULES), [masterKey]);
  store.writeRecord(
    tenantId,
    "provider",
    name,
    store.nextVersion(tenantId),
    keepProviderSecrets(sealed, undefined),
  );
}

async function writeTenant(store: DirectoryStore, tenantId: string, masterKey: string) {
  const sealed = await sealTenant(tenantId, parseTenant(TENANT, tenantId, RULES), [masterKey]);
  store.writeTenant(tenantId, store.nextVersion(tenantId), keepTenantSecrets(sealed, undefined));
}

function resealingOf(store: DirectoryStore, masterKeys: readonly string[], done: string[] = []) {
  return createResealing({
    store,
    masterKeys,
    change: async (_, work) => {
      work();
      return true;
    },
    onDone: (keyId) => void done.push(keyId),
  });
}

describe("after a change of MASTER_KEY", () => {
  it("a step seals a few records, and another life of the object goes on where it stopped", () =>
    inTables(async (store) => {
      const tenants = Array.from({ length: 9 }, (_, at) => `t-${at}`);
      for (const id of tenants) {
        await writeTenant(store, id, OLD);
        for (const name of ["a", "b", "c", "d"]) await writeProvider(store, id, name, OLD);
      }
      // Every sealed text is counted, in whichever field it is.
      const [tenant, provider] = [store.getTenant("t-3"), store.find("t-3", "provider", "b")];
      const sealedTexts = JSON.stringify([tenant, provider]).split('"sealed":').length - 1;
      expect(sealedTexts).toBe(2 + 2);
      const SECRETS = 9 * 2 + 36 * 2;
      const before = store.find("t-3", "provider", "b");
      const version = store.version("t-3");
      const done: string[] = [];
      const [oldId, newId] = [await masterKeyId(OLD), await masterKeyId(NEW)];
      expect(await resealingOf(store, [OLD]).view()).toMatchObject({ status: "done", remaining: 0 });
      const first = resealingOf(store, [NEW, OLD], done);
      expect(await first.view()).toEqual({
        status: "running",
        keys: [
          { id: newId, use: "seals", secrets: 0 },
          { id: oldId, use: "opens", secrets: SECRETS },
        ],
        remaining: SECRETS,
        unreadable: [],
      });
      await first.runStep();
      const half = await first.view();
      expect(half.status).toBe("running");
      expect(half.remaining).toBeGreaterThan(30);
      expect(half.remaining).toBeLessThan(SECRETS);
      expect(done).toEqual([]);
      const second = resealingOf(store, [NEW, OLD], done);
      await second.runStep();
      await second.runStep();
      expect(await second.view()).toMatchObject({ status: "done", remaining: 0 });
      expect(done).toEqual([newId]);
      await second.runStep();
      expect(done).toHaveLength(1);

      for (const tenantId of tenants) {
        for (const name of ["a", "b", "c", "d"]) {
          const { value } = store.requireRecord(tenantId, "provider", name);
          const place = {
            tenantId,
            kind: "provider.apiKey",
            name,
            audience: audienceOfProvider(value),
          } as const;
          expect(await openSecret(value.apiKey?.sealed ?? "", place, [NEW])).toBe(secretOf(tenantId, name));
        }
      }
      const { value } = store.requireTenant("t-3");
      const keyIds = new Set(sealedInTenant(value).map(masterKeyIdOf));
      expect(keyIds).toEqual(new Set([newId]));
      const { webhook } = value.alerts ?? {};
      const opened = await openSecret(webhook?.secret.sealed ?? "", webhookPlace("t-3", webhook?.url ?? ""), [
        NEW,
      ]);
      expect(opened).toBe(TENANT.alerts.webhook.secret);
      const after = store.find("t-3", "provider", "b");
      expect(after?.revision).toBe(before?.revision);
      expect(after?.value.apiKey?.masked).toBe(before?.value.apiKey?.masked);
      expect(after?.value.apiKey?.sealed).not.toBe(before?.value.apiKey?.sealed);
      expect(store.version("t-3")).toBeGreaterThan(version);
    }));

  it("what no key opens is named and passed over, until it is sent again", () =>
    inTables(async (store) => {
      await writeTenant(store, "acme", OLD);
      await writeProvider(store, "acme", "gone", LOST);
      await writeProvider(store, "acme", "kept", OLD);
      const done: string[] = [];
      const resealing = resealingOf(store, [NEW, OLD], done);
      await resealing.runStep();
      const lostId = await masterKeyId(LOST);
      expect(await resealing.isDue()).toBe(false);
      const view = await resealing.view();
      expect(view).toMatchObject({
        status: "blocked",
        remaining: 2,
        unreadable: [{ tenant: "acme", kind: "provider", name: "gone" }],
      });
      expect(view.keys.find(({ use }) => use === "unknown")).toEqual({
        id: lostId,
        use: "unknown",
        secrets: 2,
      });
      expect(done).toEqual([]);
      await writeProvider(store, "acme", "gone", NEW);
      expect(await resealing.view()).toMatchObject({ status: "done", unreadable: [] });
    }));

  it("a record that is written meanwhile keeps what was written", () =>
    inTables(async (store) => {
      await writeTenant(store, "acme", NEW);
      await writeProvider(store, "acme", "openai", OLD);
      const resealing = createResealing({
        store,
        masterKeys: [NEW, OLD],
        // Another writer is quicker.
        async change(tenantId, work) {
          const body = { kind: "openai", apiKey: "sk-written-meanwhile-0123456789" };
          const sealed = await sealProvider(tenantId, "openai", parseProvider(body, "openai", RULES), [OLD]);
          const version = store.nextVersion(tenantId);
          store.writeRecord(tenantId, "provider", "openai", version, keepProviderSecrets(sealed, undefined));
          work();
          return true;
        },
        onDone: () => {},
      });
      await resealing.runStep();
      const { value } = store.requireRecord("acme", "provider", "openai");
      const place = {
        tenantId: "acme",
        kind: "provider.apiKey",
        name: "openai",
        audience: audienceOfProvider(value),
      } as const;
      expect(await openSecret(value.apiKey?.sealed ?? "", place, [OLD])).toBe(
        "sk-written-meanwhile-0123456789",
      );
      expect(await resealing.isDue()).toBe(true);
    }));

  it("records of a version before the index are found", () =>
    inTables(async (store, sql) => {
      await writeTenant(store, "acme", OLD);
      await writeProvider(store, "acme", "openai", OLD);
      sql.exec("DROP TABLE seals");
      const again = createDirectoryStore(sql);
      expect(await resealingOf(again, [NEW, OLD]).view()).toMatchObject({ status: "running", remaining: 4 });
    }));

  it("a deleted provider or tenant leaves nothing to do", () =>
    inTables(async (store) => {
      await writeTenant(store, "acme", OLD);
      await writeProvider(store, "acme", "openai", OLD);
      store.eraseRecord("acme", "provider", "openai");
      expect(await resealingOf(store, [NEW, OLD]).view()).toMatchObject({ remaining: 2 });
      store.eraseTenant("acme");
      expect(await resealingOf(store, [NEW, OLD]).view()).toMatchObject({ status: "done", remaining: 0 });
    }));
});
