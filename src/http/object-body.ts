/** The bodies that make files and batches: passed on as they came, and read for what they name: models, and the file of a batch. */

import { editTopLevel } from "../json/edit.ts";
import { isRecord, listOf, recordOf, textOf } from "../json/fields.ts";
import type { Payload } from "../upstream/send.ts";
import type { Collection } from "../vendor-objects/protocol.ts";
import { parseObject, refuse } from "../wires/checked-body.ts";
import { checkFormBounds } from "./form-bounds.ts";

interface ObjectBody {
  readonly payload: Payload;
  /** Of a batch at OpenAI. */
  readonly inputId?: string;
  /** Of all requests in it; absent where one of them could not be read, or there are none. */
  readonly models?: readonly string[] | undefined;
}

/** Throws `invalid_request`. */
export async function readObjectBody(
  collection: Collection,
  bytes: Uint8Array,
  contentType: string,
): Promise<ObjectBody> {
  if (collection === "files") return { payload: bytes, models: await readFile(bytes, contentType) };
  const text = new TextDecoder().decode(bytes);
  const body = parseObject(text);
  if (collection === "messages/batches") {
    const requests = listOf(body["requests"]).map(recordOf);
    return { payload: text, models: namesOf(requests.map(({ params }) => recordOf(params)["model"])) };
  }
  const inputId = textOf(body["input_file_id"]);
  if (inputId === undefined) refuse("input_file_id", "it is required");
  // So that no reader of the body finds another file in it.
  return { payload: editTopLevel(text, { set: { input_file_id: JSON.stringify(inputId) } }), inputId };
}

async function readFile(bytes: Uint8Array, contentType: string): Promise<readonly string[] | undefined> {
  const noForm = (): never => refuse("body", "expected multipart/form-data with a boundary");
  if (!contentType.toLowerCase().startsWith("multipart/form-data")) noForm();
  checkFormBounds(bytes, contentType);
  const form = await new Response(bytes, { headers: { "content-type": contentType } })
    .formData()
    .catch(noForm);
  const file = form.get("file");
  if (form.get("purpose") !== "batch" || file === null) return undefined;
  const lines = (typeof file === "string" ? file : await file.text()).split("\n");
  return namesOf(lines.filter((line) => line.trim() !== "").map(modelIn));
}

function modelIn(line: string): unknown {
  try {
    const request: unknown = JSON.parse(line);
    return isRecord(request) ? recordOf(request["body"])["model"] : undefined;
  } catch {
    return undefined;
  }
}

/** A batch is of one model, or of a few. */
const MAX_MODELS = 100;
const MAX_MODEL_CHARS = 256;

function namesOf(models: readonly unknown[]): readonly string[] | undefined {
  const names = [...new Set(models)];
  const isName = (name: unknown): name is string =>
    typeof name === "string" && name !== "" && name.length <= MAX_MODEL_CHARS;
  return names.length > 0 && names.length <= MAX_MODELS && names.every(isName) ? names : undefined;
}
