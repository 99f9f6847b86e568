/** One call of a vendor's API of objects, as it is sent to the account that holds them. */

import { createResultReader } from "../answers/batch-results.ts";
import type { OpenExchange } from "../attempts/attempt-context.ts";
import type { NativeExchange } from "../attempts/exchange.ts";
import { GatewayError } from "../../errors.ts";
import type { BareCall, Deps } from "../ports.ts";
import { baseUrlFor } from "../../providers/provider.ts";
import { headersToVendor } from "../../upstream/native-headers.ts";
import { nativeUrl } from "../../upstream/native-url.ts";
import type { Payload } from "../../upstream/send.ts";
import type { Collection, VendorObject } from "../../vendor-objects/protocol.ts";
import { canHold } from "./object-holder.ts";
import { isWithheld } from "./proxy.ts";

export interface ObjectAsk {
  readonly collection: Collection;
  readonly method: "GET" | "POST" | "DELETE";
  /** The vendor's; absent for the collection itself. */
  readonly id?: string;
  /** What of the object: `content`, `cancel`. */
  readonly part?: string | undefined;
  readonly search: string;
  /** As it came, with the client's `content-type`. */
  readonly payload?: Payload;
  /** Where the client called the gateway. */
  readonly origin: string;
  /** Of a body that holds requests: the models that they name. Absent where they are not known. */
  readonly models?: readonly string[] | undefined;
  /** The object, where it exists. */
  readonly known?: VendorObject;
}

export function openObject({ headers }: BareCall, ask: ObjectAsk, deps: Deps): OpenExchange {
  return (provider, { account }): NativeExchange => {
    const { collection, id, part, method, payload } = ask;
    const baseUrl = provider.objectBaseUrlOf?.(account) ?? baseUrlFor(provider, account);
    if (!canHold(collection, provider) || baseUrl === undefined) {
      throw new GatewayError("invalid_request", `'${account.name}' has no /v1/${collection}.`, {
        param: "provider",
      });
    }
    // OpenAI's base URLs name the version.
    const version = collection === "messages/batches" ? "v1" : undefined;
    const path = [version, collection, id, part].filter((step) => step !== undefined).join("/");
    const passed = headersToVendor(headers, account.kind);
    const results = resultsIn(ask);
    // A part of the results would be billed as a part.
    if (results) delete passed["range"];
    const reader = results && createResultReader(provider.wires);
    return {
      kind: "native",
      request: {
        method,
        url: nativeUrl(baseUrl, path, ask.search),
        headers: { ...passed, ...provider.nativeHeaders?.(account) },
      },
      ...(payload !== undefined && { payload }),
      upstreamWireName: undefined,
      isSameWire: false,
      dropped: [],
      inspect: () => reader,
      isHeld: part === undefined || part === "cancel",
      isWithheld,
      ...(results &&
        reader && {
          async takeResults() {
            const lines = reader.results();
            const before = await claim(results, lines.length, deps);
            return lines.slice(before);
          },
        }),
    };
  };
}

/** Whose results an answer holds. */
function resultsIn({ known, part }: ObjectAsk): VendorObject | undefined {
  const isResults = part === "results" || (part === "content" && known?.batchId !== undefined);
  return isResults ? known : undefined;
}

/** How many of the results were billed before. All of them where that can't be known: the next fetch bills them. */
async function claim({ collection, id }: VendorObject, count: number, deps: Deps): Promise<number> {
  const claiming = (): Promise<number> =>
    deps.vendorObjects((register) => register.claim(collection, id, count));
  return claiming()
    .catch(claiming)
    .catch(() => count);
}
