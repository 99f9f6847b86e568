/**
 * The directory: the one Durable Object that owns all records. Every admin read and write goes here, so that a reader sees
 * its own write; KV and the queue objects are updated after each change. The data plane reads it only where KV has no
 * answer or an old one. Secrets arrive sealed; only a change of MASTER_KEY opens them here, to seal them again.
 */

import { DurableObject } from "cloudflare:workers";
import { masterKeysOf } from "../../config.ts";
import { createAuditLog } from "./audit-log.ts";
import { createBackgroundWork } from "./background-work.ts";
import type {
  DirectoryRpc,
  Named,
  Page,
  PageAsk,
  StoredKind,
  StoredRecords,
  Versioned,
  WriteAsk,
  Written,
} from "./directory-api.ts";
import { createDirectoryStore } from "./directory-store.ts";
import { createErasures, type ErasureView } from "./erasures.ts";
import { checkIfMatch } from "./etag.ts";
import { eraseTenant } from "./erase-tenant.ts";
import { createKeyChanges } from "./key-changes.ts";
import { createKeyPointers } from "./key-pointers.ts";
import { createPublishOutbox, type PublishOutbox } from "./publish-outbox.ts";
import { toResult, type RpcResult } from "./rpc-result.ts";
import { createResealing } from "./resealing.ts";
import { createPublisher } from "./publisher.ts";
import { createTokenTable } from "./token-table.ts";
import type { TokenRecord } from "../admin/token-record.ts";
import type {
  IncomingSecret,
  KeyInput,
  KeyRecord,
  ProviderWith,
  StoredTenant,
  TenantWith,
} from "../records/records.ts";
import type { RouteRecord } from "../records/route-record.ts";
import { limitRulesOf } from "../records/limit-rules.ts";
import { keepProviderSecrets, keepTenantSecrets } from "../records/seal-records.ts";
import { queueMark, tenantEntry } from "../storage-keys.ts";

const clock = Date.now;

export class Directory extends DurableObject<Env> implements DirectoryRpc {
  readonly #store = createDirectoryStore(this.ctx.storage.sql);
  readonly #pointers = createKeyPointers(this.ctx.storage.sql, clock);
  readonly #audit = createAuditLog(this.ctx.storage.sql, clock);
  readonly #tokens = createTokenTable(this.ctx.storage.sql, clock);
  readonly #outbox: PublishOutbox = createPublishOutbox({
    sql: this.ctx.storage.sql,
    now: clock,
    send: createPublisher({
      records: this.#store,
      pointers: this.#pointers,
      kv: this.env.TENANTS,
      queue: (tenantId) => this.env.TENANT_QUEUE.getByName(tenantId),
      limitRules: limitRulesOf(this.env),
      now: clock,
    }),
  });
  readonly #keys = createKeyChanges(this.#store, this.#pointers, this.#outbox, clock);
  readonly #resealing = createResealing({
    store: this.#store,
    masterKeys: masterKeysOf(this.env),
    change: async (tenantId, work) => (await this.#change(tenantId, work)).ok,
    onDone: (keyId) =>
      this.#audit.append({ actor: "gateway", action: "master-key.done", tenant: "", subject: keyId }),
  });
  readonly #erasures = createErasures({
    sql: this.ctx.storage.sql,
    now: clock,
    // The name is held: its last generation is the deleted one.
    erase: (id) => eraseTenant(this.env, id, this.#store.generation(id) - 1),
    outbox: this.#outbox,
  });
  readonly #background = createBackgroundWork({
    storage: this.ctx.storage,
    outbox: this.#outbox,
    erasures: this.#erasures,
    resealing: this.#resealing,
    now: clock,
  });

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // A change of MASTER_KEY restarts the object.
    this.#store.seals.forgetUnreadable();
    void ctx.blockConcurrencyWhile(() => this.#background.resume());
  }

  async listTenants(page: PageAsk): Promise<Page<Named<StoredTenant>>> {
    return this.#store.listTenants(page);
  }

  async getTenant(tenantId: string): Promise<Versioned<StoredTenant> | undefined> {
    return this.#store.getTenant(tenantId);
  }

  async putTenant(tenantId: string, incoming: TenantWith<IncomingSecret>, ask: WriteAsk) {
    return this.#change(tenantId, () => {
      const before = this.#store.getTenant(tenantId);
      checkIfMatch(ask.ifMatch, before?.revision);
      if (before === undefined) this.#erasures.checkName(tenantId);
      const value = keepTenantSecrets(incoming, before?.value);
      const revision = this.#store.nextVersion(tenantId);
      this.#store.writeTenant(tenantId, revision, value);
      this.#note(ask, "tenant.put", tenantId, "");
      return { value, revision, created: before === undefined };
    });
  }

  async deleteTenant(tenantId: string, ask: WriteAsk): Promise<RpcResult<string>> {
    return this.#change(tenantId, () => {
      checkIfMatch(ask.ifMatch, this.#store.requireTenant(tenantId).revision);
      this.#store.nextVersion(tenantId);
      this.#store.eraseTenant(tenantId);
      this.#keys.erasePointers(tenantId);
      this.#tokens.eraseTenant(tenantId);
      this.#note(ask, "tenant.delete", tenantId, "");
      return this.#erasures.begin(tenantId);
    });
  }

  async getErasure(id: string): Promise<ErasureView | undefined> {
    return this.#erasures.get(id);
  }

  async listRecords<Kind extends StoredKind>(tenantId: string, kind: Kind, page: PageAsk) {
    return toResult(() => {
      this.#store.requireTenant(tenantId);
      return this.#store.listRecords(tenantId, kind, page);
    });
  }

  async getRecord<Kind extends StoredKind>(tenantId: string, kind: Kind, name: string) {
    return toResult(() => this.#store.requireRecord(tenantId, kind, name));
  }

  async putProvider(tenantId: string, name: string, incoming: ProviderWith<IncomingSecret>, ask: WriteAsk) {
    return this.#put(tenantId, "provider", name, ask, (stored) => keepProviderSecrets(incoming, stored));
  }

  async putRoute(tenantId: string, name: string, record: RouteRecord, ask: WriteAsk) {
    return this.#put(tenantId, "route", name, ask, () => record);
  }

  async addKey(tenantId: string, record: KeyRecord, ask: WriteAsk): Promise<RpcResult<KeyRecord>> {
    return this.#change(tenantId, () => {
      this.#store.requireTenant(tenantId);
      this.#note(ask, "key.create", tenantId, record.id);
      return this.#keys.add(tenantId, record);
    });
  }

  async rotateKey(tenantId: string, keyId: string, hash: string, overlapMs: number, ask: WriteAsk) {
    return this.#change(tenantId, () => {
      const before = this.#store.requireRecord(tenantId, "key", keyId).value;
      // The runtime may repeat a call; the second one changes nothing.
      if (before.hash === hash) return before;
      this.#note(ask, "key.rotate", tenantId, keyId);
      return this.#keys.rotate(tenantId, before, hash, overlapMs);
    });
  }

  async putKey(tenantId: string, keyId: string, input: KeyInput, ask: WriteAsk) {
    return this.#change(tenantId, () => {
      const before = this.#store.requireRecord(tenantId, "key", keyId);
      checkIfMatch(ask.ifMatch, before.revision);
      this.#note(ask, "key.patch", tenantId, keyId);
      return this.#keys.replace(tenantId, before.value, input);
    });
  }

  async deleteRecord(tenantId: string, kind: StoredKind, name: string, ask: WriteAsk) {
    return this.#change(tenantId, () => {
      checkIfMatch(ask.ifMatch, this.#store.requireRecord(tenantId, kind, name).revision);
      this.#store.nextVersion(tenantId);
      this.#store.eraseRecord(tenantId, kind, name);
      if (kind === "key") this.#keys.erasePointers(tenantId, name);
      this.#note(ask, `${kind}.delete`, tenantId, name);
      return null;
    });
  }

  async purgeCache(tenantId: string, ask: WriteAsk): Promise<RpcResult<number>> {
    return this.#change(tenantId, () => {
      this.#store.requireTenant(tenantId);
      this.#store.nextVersion(tenantId);
      this.#note(ask, "cache.purge", tenantId, "");
      return this.#store.bumpCacheEpoch(tenantId);
    });
  }

  async noteOrder(tenantId: string, action: string, subject: string, ask: WriteAsk) {
    this.#note(ask, action, tenantId, subject);
  }

  async listAudit(page: PageAsk) {
    return this.#audit.list(page);
  }

  async getMasterKeys() {
    return this.#resealing.view();
  }

  async addToken(record: TokenRecord, hash: string, ask: WriteAsk) {
    return this.#changeTokens(() => {
      if (record.tenant !== undefined) this.#store.requireTenant(record.tenant);
      this.#tokens.add(record, hash);
      this.#note(ask, "token.create", record.tenant ?? "", record.id);
    });
  }

  async listTokens(page: PageAsk) {
    return this.#tokens.list(page);
  }

  async deleteToken(id: string, ask: WriteAsk) {
    return this.#changeTokens(() => {
      this.#note(ask, "token.delete", this.#tokens.remove(id).tenant ?? "", id);
    });
  }

  async useToken(hash: string) {
    return this.#tokens.use(hash);
  }

  async isTokenValid(id: string) {
    return this.#tokens.isValid(id);
  }

  async findKey(hash: string) {
    const place = this.#pointers.find(hash);
    return place && { tenantId: place.tenantId, keyId: place.keyId };
  }

  async readBundle(tenantId: string): Promise<string | undefined> {
    return this.#store.readBundle(tenantId);
  }

  override async alarm(): Promise<void> {
    await this.#background.runAlarm();
  }

  #put<Kind extends "provider" | "route">(
    tenantId: string,
    kind: Kind,
    name: string,
    ask: WriteAsk,
    toStored: (before: StoredRecords[Kind] | undefined) => StoredRecords[Kind],
  ): Promise<RpcResult<Written<StoredRecords[Kind]>>> {
    return this.#change(tenantId, () => {
      this.#store.requireTenant(tenantId);
      const before = this.#store.find(tenantId, kind, name);
      checkIfMatch(ask.ifMatch, before?.revision);
      const value = toStored(before?.value);
      const revision = this.#store.nextVersion(tenantId);
      this.#store.writeRecord(tenantId, kind, name, revision, value);
      this.#note(ask, `${kind}.put`, tenantId, name);
      return { value, revision, created: before === undefined };
    });
  }

  #note(ask: WriteAsk, action: string, tenant: string, subject: string): void {
    this.#audit.append({ actor: ask.actor, action, tenant, subject }, ask.isOnce);
  }

  #changeTokens(work: () => void): RpcResult<null> {
    return toResult(() => {
      this.ctx.storage.transactionSync(work);
      return null;
    });
  }

  /** One change of a tenant's records: all or nothing, then it is published. */
  async #change<Value>(tenantId: string, work: () => Value): Promise<RpcResult<Value>> {
    const queue = queueMark(tenantId);
    const result = toResult(() =>
      this.ctx.storage.transactionSync(() => {
        const value = work();
        this.#store.checkSize(tenantId);
        this.#outbox.mark(queue);
        this.#outbox.mark(tenantEntry(tenantId));
        return value;
      }),
    );
    if (!result.ok) return result;
    await this.#background.arm();
    // A revoked key stops at once because the queue object knows the new version, so the answer waits for that.
    const pushed = this.#outbox.deliver(queue);
    this.ctx.waitUntil(this.#background.publish());
    await pushed;
    return result;
  }
}
