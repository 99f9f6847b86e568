/**
 * A change of MASTER_KEY, carried out: in each step a few records whose secrets another accepted key has sealed are sealed
 * again under the current one, without a change that a reader could see. What is left is in the seal index, so a step that
 * was cut off is repeated and nothing else. The alarm belongs to directory.ts.
 */

import { GatewayError } from "../../errors.ts";
import type { MasterKeysView } from "./directory-api.ts";
import { resealProvider, resealTenant } from "../records/reseal-records.ts";
import { masterKeyId, type MasterKeys, UNNAMED_KEY_ID } from "../records/sealing.ts";
import type { ProviderRecord, StoredTenant } from "../records/records.ts";
import type { DirectoryStore } from "./directory-store.ts";
import type { SealedRecord } from "./seal-index.ts";

/** A step's records are read, sealed and published together: some 100 ms of the object's time. */
const STEP_RECORDS = 20;
const MAX_UNREADABLE_SHOWN = 100;

export interface ResealingDeps {
  readonly store: DirectoryStore;
  readonly masterKeys: MasterKeys;
  /** Runs one change of a tenant's records in a transaction and publishes it; false where it was refused. */
  readonly change: (tenantId: string, work: () => void) => Promise<boolean>;
  /** Everything is under the current key now. */
  readonly onDone: (keyId: string) => void;
}

export type Resealing = ReturnType<typeof createResealing>;

export function createResealing({ store, masterKeys, change, onDone }: ResealingDeps) {
  const { seals } = store;
  const keyIds = Promise.all(masterKeys.map(masterKeyId));

  async function isDue(): Promise<boolean> {
    const [current] = await keyIds;
    return current !== undefined && seals.findOthers(current, 1).length > 0;
  }

  /** Reads, seals, and writes unless the record has been written in between: then its index entry is new, too. */
  async function reseal(place: SealedRecord): Promise<void> {
    const { tenant, kind, name } = place;
    try {
      const write = kind === "tenant" ? await tenantWrite(tenant) : await providerWrite(tenant, name);
      if (!(await change(tenant, write))) seals.markUnreadable(place);
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown;
      seals.markUnreadable(place);
    }
  }

  async function tenantWrite(tenantId: string): Promise<() => void> {
    const before = store.requireTenant(tenantId);
    const value: StoredTenant = await resealTenant(tenantId, before.value, masterKeys);
    return () => {
      if (store.getTenant(tenantId)?.revision !== before.revision) return;
      store.nextVersion(tenantId);
      store.writeTenant(tenantId, before.revision, value);
    };
  }

  async function providerWrite(tenantId: string, name: string): Promise<() => void> {
    const before = store.requireRecord(tenantId, "provider", name);
    const value: ProviderRecord = await resealProvider(tenantId, name, before.value, masterKeys);
    return () => {
      if (store.find(tenantId, "provider", name)?.revision !== before.revision) return;
      store.nextVersion(tenantId);
      store.writeRecord(tenantId, "provider", name, before.revision, value);
    };
  }

  return {
    /** Whether a secret is left that may be sealed again. */
    isDue,

    async runStep(): Promise<void> {
      const [current] = await keyIds;
      const places = current === undefined ? [] : seals.findOthers(current, STEP_RECORDS);
      if (current === undefined || places.length === 0) return;
      await Promise.all(places.map(reseal));
      const isDone = !(await isDue()) && [...seals.countByKey().keys()].every((id) => id === current);
      if (isDone) onDone(current);
    },

    async view(): Promise<MasterKeysView> {
      const ids = await keyIds;
      const counts = seals.countByKey();
      const known = ids.map((id, at) => ({
        id,
        use: at === 0 ? ("seals" as const) : ("opens" as const),
        secrets: counts.get(id) ?? 0,
      }));
      const others = [...counts]
        .filter(([id]) => !ids.includes(id))
        .map(([id, secrets]) => ({
          id: id === UNNAMED_KEY_ID ? null : id,
          use: "unknown" as const,
          secrets,
        }));
      const keys = [...known, ...others];
      const remaining = keys
        .filter(({ use }) => use !== "seals")
        .reduce((sum, each) => sum + each.secrets, 0);
      const isLeft = await isDue();
      return {
        status: remaining === 0 ? "done" : isLeft ? "running" : "blocked",
        keys,
        remaining,
        unreadable: seals.listUnreadable(MAX_UNREADABLE_SHOWN),
      };
    },
  };
}
