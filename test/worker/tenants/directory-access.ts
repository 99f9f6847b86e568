// What the tests of tenants and of the admin plane share: the directory's client over the real object, and a look into KV and
// SQLite as an intruder would have it.
import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { REGISTERED_KINDS } from "../../../src/providers/registry.ts";
import type { QueueRpc } from "../../../src/limits/protocol.ts";
import type { DirectoryApi, DirectoryRpc } from "../../../src/tenants/directory/directory-api.ts";
import { createDirectoryClient } from "../../../src/tenants/directory/directory-client.ts";

const MASTER_KEY = btoa("tenant-tests-master-key-32-bytes");

export function directoryStub() {
  return env.DIRECTORY.getByName("directory");
}

export function directoryRpc(): DirectoryRpc {
  return directoryStub();
}

export function queueRpc(tenantId: string): Pick<QueueRpc, "configVersion"> {
  return env.TENANT_QUEUE.getByName(tenantId);
}

export function directoryClient(allowPrivateUpstreams = false): DirectoryApi {
  return createDirectoryClient(
    {
      directory: directoryRpc,
      masterKeys: [MASTER_KEY],
      rules: {
        allowPrivateUpstreams,
        providerKinds: REGISTERED_KINDS,
        defaultBaseUrl: (kind) => (kind === "openai" ? "https://api.openai.com/v1" : undefined),
      },
      randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
      now: Date.now,
    },
    { actor: "admin" },
  );
}

/** A tenant name of the test's own. */
export function newTenantId(): string {
  return `t-${crypto.randomUUID().slice(0, 13)}`;
}

/** As if a minute had passed since each deletion. */
export async function finishErasures(): Promise<void> {
  await runInDurableObject(directoryStub(), (_, { storage }) => {
    storage.sql.exec("UPDATE outbox SET due_at = 0");
    storage.sql.exec("UPDATE erasures SET due_at = 0 WHERE done_at IS NULL");
  });
  await runDurableObjectAlarm(directoryStub());
}

/** Everything in the KV namespace, as text. */
export async function dumpKv(): Promise<ReadonlyMap<string, string>> {
  const entries = new Map<string, string>();
  const { keys } = await env.TENANTS.list();
  for (const { name } of keys) entries.set(name, (await env.TENANTS.get(name)) ?? "");
  return entries;
}

/** Every row of every table of the directory, as text. */
export async function dumpDirectory(): Promise<string> {
  return runInDurableObject(directoryStub(), (_, state) => {
    const tables = ["tenants", "records", "pointers", "audit", "outbox", "erasures", "admin_tokens"];
    return JSON.stringify(tables.map((table) => state.storage.sql.exec(`SELECT * FROM ${table}`).toArray()));
  });
}
