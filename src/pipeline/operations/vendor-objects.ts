/**
 * Files, batches and stored responses at a vendor: passed on to the account that holds them, for the tenant that made them. Whose an object is comes
 * from the tenant's own register, since an account may be shared; a new object is in it before the client has its id.
 */

import { callTargets, openAttempts } from "../attempts/attempts.ts";
import type { Answered } from "../ended.ts";
import { GatewayError, toGatewayError } from "../../errors.ts";
import { isRecord, type JsonRecord, textOf } from "../../json/fields.ts";
import { editTopLevel } from "../../json/edit.ts";
import { withLease } from "../lease.ts";
import type { BareCall, Deps } from "../ports.ts";
import { askRegister } from "../previous-response.ts";
import { singleTargetPlan } from "../../routing/plan.ts";
import { DEFAULT_TIMEOUTS } from "../../tenants/records/route-record.ts";
import { mapInParallel } from "../../runtime/parallel.ts";
import {
  addressOf,
  type ObjectPage,
  type ObjectPageAsk,
  type VendorObject,
} from "../../vendor-objects/protocol.ts";
import type { NativeAnswer } from "./proxy.ts";
import { checkModels, chooseHolder, findOwn, holderOf, withHolder } from "./object-holder.ts";
import { type ObjectAsk, openObject } from "./object-exchange.ts";

/** A new object. `named`: the provider that the client named; `input`: the file of the tenant that it is made from. */
export async function createObject(
  asked: BareCall,
  ask: ObjectAsk,
  { named, inputId }: { readonly named?: string | undefined; readonly inputId?: string | undefined },
  deps: Deps,
): Promise<NativeAnswer> {
  const input = inputId === undefined ? undefined : await findOwn("files", inputId, deps, "input_file_id");
  const { bundle, holder } = await withHolder(asked.bundle, deps, (current) =>
    input === undefined ? chooseHolder(current, ask.collection, named, deps) : holderOf(current, input),
  );
  const call = { ...asked, bundle };
  if (ask.collection !== "files")
    checkModels(call, holder, input === undefined ? ask.models : input.models, deps);
  // Before the vendor makes what could not be found again.
  if (!(await askRegister(deps, (objects) => objects.hasRoom()))) {
    const message = "This tenant has too many files and batches. Delete some.";
    throw new GatewayError("conflict", message);
  }
  if (input !== undefined) call.trace.root.link(input.trace, "created_by");
  return answerAt(call, holder, ask, deps, (text, body) =>
    keep(call, ask, holder, text, body, undefined, deps),
  );
}

/** One object of the tenant's. Throws `not_found` for any other. */
export async function useObject(
  asked: BareCall,
  ask: ObjectAsk & { readonly id: string },
  deps: Deps,
): Promise<NativeAnswer> {
  const { collection, id, method, part } = ask;
  const known = await findOwn(collection, id, deps, "id");
  const { bundle, holder } = await withHolder(asked.bundle, deps, (current) => holderOf(current, known));
  const call = { ...asked, bundle };
  return answerAt(call, holder, { ...ask, known }, deps, async (text, body) => {
    if (method === "DELETE") await askRegister(deps, (objects) => objects.forget(collection, id));
    else if (part === undefined || part === "cancel") await keep(call, ask, holder, text, body, known, deps);
  });
}

/** The tenant's own, by the register: what the vendor lists may be another tenant's. */
export async function listObjects(
  call: BareCall,
  ask: ObjectAsk,
  page: ObjectPageAsk,
  deps: Deps,
): Promise<NativeAnswer> {
  const { body } = await withLease(call, undefined, deps, async (admitted) => {
    const found = await askRegister(deps, (objects) => objects.page(page));
    const bodies = await mapInParallel(found.items, (item) => describe(admitted, ask, item, deps));
    return {
      generation: { contentType: "application/json", body: listOf(found, ask, bodies) },
      ended: { kind: "relay" },
    };
  });
  return { status: 200, headers: { "content-type": "application/json", "cache-control": "no-store" }, body };
}

function listOf(
  { items, hasMore }: ObjectPage,
  { collection, origin }: ObjectAsk,
  bodies: readonly (string | undefined)[],
): string {
  const ids = items.flatMap(({ id }, at) => (bodies[at] === undefined ? [] : [id]));
  const data = bodies.flatMap((body) => (body === undefined ? [] : [atGateway(body, collection, origin)]));
  const edges = `"first_id":${JSON.stringify(ids[0] ?? null)},"last_id":${JSON.stringify(ids.at(-1) ?? null)}`;
  return `{"object":"list","data":[${data.join(",")}],${edges},"has_more":${hasMore}}`;
}

/** As it was seen last where that can't change; else as the vendor says now. Undefined for what the vendor has no more. */
async function describe(
  call: BareCall,
  ask: ObjectAsk,
  item: VendorObject,
  deps: Deps,
): Promise<string | undefined> {
  if (item.body !== undefined && isFinal(item)) return item.body;
  try {
    const holder = holderOf(call.bundle, item);
    const one = { ...ask, id: item.id, method: "GET", search: "" } as const;
    const { generation, refusal } = await callHolder(call, holder, one, deps);
    if (refusal !== undefined || typeof generation.body !== "string") throw refusal;
    await keep(call, one, holder, generation.body, parse(generation.body), item, deps);
    return generation.body;
  } catch (thrown) {
    const isGone = toGatewayError(thrown).details.upstreamStatus === 404;
    return isGone ? undefined : item.body;
  }
}

/** A file's description doesn't change, a batch's until it has ended. */
const ENDED = /"(?:status|processing_status)"\s*:\s*"(?:completed|failed|expired|cancelled|ended)"/;

function isFinal({ collection, body = "" }: VendorObject): boolean {
  return collection === "files" || ENDED.test(body);
}

async function answerAt(
  call: BareCall,
  holder: string,
  ask: ObjectAsk,
  deps: Deps,
  onAnswer: (text: string, body: JsonRecord) => Promise<void>,
): Promise<NativeAnswer> {
  const { known } = ask;
  if (known !== undefined) call.trace.root.link(known.trace, "created_by");
  const { native, body } = await withLease(call, undefined, deps, async (admitted) => {
    const answered = await callHolder(admitted, holder, ask, deps);
    const { generation, refusal } = answered;
    if (refusal !== undefined || typeof generation.body !== "string") return answered;
    await onAnswer(generation.body, parse(generation.body));
    return {
      ...answered,
      generation: { ...generation, body: atGateway(generation.body, ask.collection, ask.origin) },
    };
  });
  if (native === undefined) throw new GatewayError("internal_error", "The vendor's API gave no response.");
  return { ...native, body: body === "" ? null : body };
}

function callHolder(call: BareCall, accountName: string, ask: ObjectAsk, deps: Deps): Promise<Answered> {
  const target = { accountName, model: "", label: accountName, weight: 1 };
  const plan = singleTargetPlan(target, DEFAULT_TIMEOUTS, "the account that holds the object");
  const options = { open: openObject(call, ask, deps), needsPrice: false, method: ask.method };
  return callTargets(openAttempts(call, plan, options, deps));
}

/** Anthropic's batches name the address of their results, which SDKs call. */
function atGateway(text: string, collection: ObjectAsk["collection"], origin: string): string {
  if (collection !== "messages/batches") return text;
  const { id, results_url: url } = parse(text);
  if (typeof id !== "string" || typeof url !== "string") return text;
  const own = `${origin}/v1/messages/batches/${id}/results`;
  return editTopLevel(text, { set: { results_url: JSON.stringify(own) } });
}

/** An object as it was described, and the files that a batch names. Throws `unavailable`: the client gets no id then. */
async function keep(
  call: BareCall,
  { collection, models }: ObjectAsk,
  accountName: string,
  text: string,
  body: JsonRecord,
  known: VendorObject | undefined,
  deps: Deps,
): Promise<void> {
  const id = textOf(body["id"]);
  const record = call.bundle.providers[accountName];
  if (id === undefined || record === undefined || (known !== undefined && known.id !== id)) return;
  const trace = known?.trace ?? call.trace.root.ref;
  const own = { accountName, address: addressOf(record), trace };
  const isStored = collection !== "responses";
  const kept = { ...own, collection, id, ...(models && { models }), ...(isStored && { body: text }) };
  const results = collection === "batches" ? [body["output_file_id"], body["error_file_id"]] : [];
  const files = results
    .filter((file) => typeof file === "string")
    .map((file) => ({ ...own, collection: "files", id: file, batchId: id }) as const);
  await askRegister(deps, (objects) => objects.keep([kept, ...files]));
}

function parse(text: string): JsonRecord {
  try {
    const body: unknown = JSON.parse(text);
    return isRecord(body) ? body : {};
  } catch {
    return {};
  }
}
