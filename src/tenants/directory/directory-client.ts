/**
 * The admin plane's service: checks bodies, seals secrets, makes keys, and calls the directory object, whose refusals
 * become GatewayErrors and whose records become views. The routes know only its interface.
 */

import { GatewayError } from "../../errors.ts";
import { withDeadline } from "../../runtime/waits.ts";
import { tenantNotFound } from "../bundle.ts";
import { createTokenClient } from "./token-client.ts";
import type {
  DirectoryApi,
  DirectoryRpc,
  Named,
  Page,
  Versioned,
  WriteAsk,
  Writer,
} from "./directory-api.ts";
import { createDirectoryCalls } from "./directory-calls.ts";
import { checkIfMatch, toEtag } from "./etag.ts";
import { generateKey, generateId, hashKey, type RandomBytes } from "../key-format.ts";
import { mergePatch } from "../../json/merge-patch.ts";
import { unwrap } from "./rpc-result.ts";
import {
  parseKey,
  parseKeyPatch,
  parseName,
  parseProvider,
  parseRotation,
  parseRoute,
  parseTenant,
  type RecordRules,
} from "../records/parse-record.ts";
import { type TenantView, viewKey, viewProvider, viewRoute, viewTenant } from "../records/record-views.ts";
import type { KeyRecord, StoredTenant } from "../records/records.ts";
import { sealProvider, sealTenant } from "../records/seal-records.ts";
import type { MasterKeys } from "../records/sealing.ts";

export interface DirectoryClientDeps {
  /** A new stub for each call: one whose object was reset fails from then on. */
  readonly directory: () => DirectoryRpc;
  readonly masterKeys: MasterKeys;
  readonly rules: RecordRules;
  readonly randomBytes: RandomBytes;
  readonly now: () => number;
  /** When each key was last used, in ms since the epoch, by key id: from the queue object. Keys show null without. */
  readonly lastUsed?: (tenantId: string) => Promise<Readonly<Record<string, number>>>;
  /** Whether providers of a kind have embeddings; not checked where absent. */
  readonly hasEmbeddings?: (kind: string) => boolean;
}

const LAST_USED_TIMEOUT_MS = 1000;
/** A PATCH without `if-match` that meets another writer starts again at most this often. */
const MAX_PATCH_TRIES = 5;

/** `writer` is named in the audit. */
export function createDirectoryClient(deps: DirectoryClientDeps, writer: Writer): DirectoryApi {
  const { masterKeys, rules, randomBytes, now } = deps;
  const calls = createDirectoryCalls(deps.directory);
  const { call, change } = calls;

  const showTenant = (id: string, record: StoredTenant): TenantView =>
    viewTenant(id, record, rules.limitRules);
  const showKey = (record: KeyRecord, usedAtMs?: number) => viewKey(record, rules.limitRules, usedAtMs);

  function asking(ifMatch?: string): WriteAsk {
    return { ...writer, ...(ifMatch !== undefined && { ifMatch }) };
  }

  async function storedTenant(tenantId: string) {
    const stored = await call((directory) => directory.getTenant(tenantId));
    if (stored === undefined) throw tenantNotFound(tenantId);
    return stored;
  }

  async function writeTenant(tenantId: string, body: unknown, ifMatch?: string) {
    const record = await sealTenant(tenantId, parseTenant(body, tenantId, rules), masterKeys);
    const written = await change((directory) => directory.putTenant(tenantId, record, asking(ifMatch)));
    return { ...written, value: showTenant(tenantId, written.value) };
  }

  /** Optional: with an unreachable queue object the list shows null. */
  async function lastUsed(tenantId: string): Promise<ReadonlyMap<string, number>> {
    if (deps.lastUsed === undefined) return new Map();
    try {
      const asked = withDeadline(deps.lastUsed(tenantId), LAST_USED_TIMEOUT_MS, "the queue object");
      return new Map(Object.entries(await asked));
    } catch {
      return new Map();
    }
  }

  /** A wrong target fails requests visibly; a wrong embedding would only be a cache that never hits. */
  async function checkEmbedding(tenantId: string, target: string): Promise<void> {
    const param = "cache.semantic.embedding";
    const refuse = (fault: string): GatewayError =>
      new GatewayError("invalid_request", `${param}: ${fault}.`, { param });
    const name = target.slice(0, target.indexOf("/"));
    const stored = await call((directory) => directory.getRecord(tenantId, "provider", name));
    if (!stored.ok && (await call((directory) => directory.getTenant(tenantId)))) {
      throw refuse(`the tenant has no provider "${name}". Create it first`);
    }
    const { kind } = unwrap(stored).value;
    if (deps.hasEmbeddings?.(kind) === false)
      throw refuse(`providers of the kind ${kind} have no embeddings. Use another provider`);
  }

  async function newKey() {
    const key = generateKey(randomBytes);
    return { key, hash: await hashKey(key) };
  }

  return {
    async listTenants(page) {
      return mapPage(await call((directory) => directory.listTenants(page)), showTenant);
    },
    async getTenant(tenantId) {
      return mapValue(await storedTenant(tenantId), (record) => showTenant(tenantId, record));
    },
    async putTenant(tenantId, body, ifMatch) {
      return writeTenant(parseName("tenant", tenantId), body, ifMatch);
    },
    async patchTenant(tenantId, patch, ifMatch) {
      for (let tries = 1; ; tries += 1) {
        const before = await storedTenant(tenantId);
        checkIfMatch(ifMatch, before.revision);
        const merged = mergePatch(showTenant(tenantId, before.value), patch);
        try {
          return await writeTenant(tenantId, merged, toEtag(before.revision));
        } catch (thrown) {
          if (!isRaced(thrown) || ifMatch !== undefined || tries === MAX_PATCH_TRIES) throw thrown;
        }
      }
    },
    async deleteTenant(tenantId, ifMatch) {
      return change((directory) => directory.deleteTenant(tenantId, asking(ifMatch)));
    },
    async getErasure(id) {
      const erasure = await call((directory) => directory.getErasure(id));
      if (erasure !== undefined) return erasure;
      throw new GatewayError("not_found", `There is no erasure "${id}".`, { param: "id" });
    },

    async listKeys(tenantId, page) {
      const [keys, usedAt] = await Promise.all([
        change((directory) => directory.listRecords(tenantId, "key", page)),
        lastUsed(tenantId),
      ]);
      return mapPage(keys, (id, record) => showKey(record, usedAt.get(id)));
    },
    async createKey(tenantId, body) {
      const input = parseKey(body, now(), rules.limitRules);
      const { key, hash } = await newKey();
      const record: KeyRecord = {
        id: generateId("key_", randomBytes),
        ...input,
        hash,
        createdAt: new Date(now()).toISOString(),
      };
      const stored = await change((directory) => directory.addKey(tenantId, record, asking()));
      return { ...showKey(stored), key };
    },
    async rotateKey(tenantId, keyId, body) {
      const overlapMs = parseRotation(body);
      const { key, hash } = await newKey();
      const stored = await change((directory) =>
        directory.rotateKey(tenantId, keyId, hash, overlapMs, asking()),
      );
      return { ...showKey(stored), key };
    },
    async patchKey(tenantId, keyId, patch, ifMatch) {
      for (let tries = 1; ; tries += 1) {
        const before = await change((directory) => directory.getRecord(tenantId, "key", keyId));
        checkIfMatch(ifMatch, before.revision);
        const input = parseKeyPatch(patch, showKey(before.value), now(), rules.limitRules);
        const ask = asking(toEtag(before.revision));
        try {
          const stored = await change((directory) => directory.putKey(tenantId, keyId, input, ask));
          return mapValue(stored, (record) => showKey(record));
        } catch (thrown) {
          if (!isRaced(thrown) || ifMatch !== undefined || tries === MAX_PATCH_TRIES) throw thrown;
        }
      }
    },
    async deleteKey(tenantId, keyId) {
      await change((directory) => directory.deleteRecord(tenantId, "key", keyId, asking()));
    },

    async listProviders(tenantId, page) {
      const providers = await change((directory) => directory.listRecords(tenantId, "provider", page));
      return mapPage(providers, viewProvider);
    },
    async getProvider(tenantId, name) {
      const stored = await change((directory) => directory.getRecord(tenantId, "provider", name));
      return mapValue(stored, (record) => viewProvider(name, record));
    },
    async putProvider(tenantId, name, body, ifMatch) {
      const input = parseProvider(body, parseName("provider", name), rules);
      const record = await sealProvider(tenantId, name, input, masterKeys);
      const written = await change((directory) =>
        directory.putProvider(tenantId, name, record, asking(ifMatch)),
      );
      return { ...written, value: viewProvider(name, written.value) };
    },
    async deleteProvider(tenantId, name, ifMatch) {
      await change((directory) => directory.deleteRecord(tenantId, "provider", name, asking(ifMatch)));
    },

    async listRoutes(tenantId, page) {
      const routes = await change((directory) => directory.listRecords(tenantId, "route", page));
      return mapPage(routes, viewRoute);
    },
    async getRoute(tenantId, name) {
      const stored = await change((directory) => directory.getRecord(tenantId, "route", name));
      return mapValue(stored, (record) => viewRoute(name, record));
    },
    async putRoute(tenantId, name, body, ifMatch) {
      const record = parseRoute(body, parseName("route", name));
      if (record.cache?.semantic) await checkEmbedding(tenantId, record.cache.semantic.embedding);
      const written = await change((directory) =>
        directory.putRoute(tenantId, name, record, asking(ifMatch)),
      );
      return { ...written, value: viewRoute(name, written.value) };
    },
    async deleteRoute(tenantId, name, ifMatch) {
      await change((directory) => directory.deleteRecord(tenantId, "route", name, asking(ifMatch)));
    },

    async purgeCache(tenantId) {
      return change((directory) => directory.purgeCache(tenantId, asking()));
    },
    async noteOrder(tenantId, action, subject = "") {
      await call((directory) => directory.noteOrder(tenantId, action, subject, asking()));
    },
    async listAudit(page) {
      return call((directory) => directory.listAudit(page));
    },
    async getMasterKeys() {
      return call((directory) => directory.getMasterKeys());
    },
    tokens: createTokenClient(calls, deps, asking),
  };
}

function mapValue<From, To>(stored: Versioned<From>, view: (value: From) => To): Versioned<To> {
  return { value: view(stored.value), revision: stored.revision };
}

function mapPage<From, To>(page: Page<Named<From>>, view: (name: string, value: From) => To): Page<To> {
  return { items: page.items.map(({ name, value }) => view(name, value)), cursor: page.cursor };
}

/** Another writer was faster. */
function isRaced(thrown: unknown): boolean {
  return thrown instanceof GatewayError && thrown.code === "precondition_failed";
}
