/**
 * The RPC between the pipeline and a tenant's register of what vendors keep for it: plain data. Each call is idempotent. The
 * object is vendor-objects.ts.
 */

import type { SpanContextRef } from "../telemetry/trace/trace.ts";

/** By their path below `/v1`. */
export type Collection = "responses" | "files" | "batches" | "messages/batches";

/** An object at a vendor, and the account that holds it. */
export interface VendorObject {
  readonly collection: Collection;
  /** The vendor's. */
  readonly id: string;
  /** The name of the provider record. */
  readonly accountName: string;
  /** `addressOf` the record when the object was made. */
  readonly address: string;
  /** The request that made it. */
  readonly trace: SpanContextRef;
  /** Of a file of requests: the models that they name. Absent where they are not known. */
  readonly models?: readonly string[];
  /** Of a file of results: the batch that it belongs to. */
  readonly batchId?: string;
  /** As the vendor described it last, JSON; absent where that is not kept. */
  readonly body?: string;
}

export interface ObjectPage {
  /** Newest first, unless it was asked for otherwise. */
  readonly items: readonly VendorObject[];
  readonly hasMore: boolean;
}

export interface ObjectPageAsk {
  readonly collection: Collection;
  /** At least 1. */
  readonly limit: number;
  /** The id of the object before the page's first, or behind its last. */
  readonly after?: string;
  readonly before?: string;
  readonly isOldestFirst?: boolean;
  /** Of files: a `purpose`. */
  readonly purpose?: string;
}

/** The methods of a tenant's register. */
export interface VendorObjectsRpc {
  /** A known object gets the new description, never another account. */
  keep(objects: readonly VendorObject[]): Promise<void>;
  /** Whether a further file or batch may be made. */
  hasRoom(): Promise<boolean>;
  find(collection: Collection, id: string): Promise<VendorObject | undefined>;
  page(ask: ObjectPageAsk): Promise<ObjectPage>;
  forget(collection: Collection, id: string): Promise<void>;
  /**
   * Takes the first `count` results of that object as billed. Gives how many of them were billed before, so that each
   * is billed once, however often and by however many clients the results are fetched.
   */
  claim(collection: Collection, id: string, count: number): Promise<number>;
}

/** Where a record's calls go: another address is another vendor, which has none of the objects. */
export function addressOf({
  kind,
  baseUrl = "",
}: {
  readonly kind: string;
  readonly baseUrl?: string | undefined;
}): string {
  return `${kind} ${baseUrl}`;
}
