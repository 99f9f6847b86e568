/** A body that is passed on with another model's name in it, as JSON or as a form with files, and what is read of it before. */

import type { ChatRequest, Operation } from "../schema/chat.ts";
import { editTopLevel } from "../json/edit.ts";
import { parseObject, refuse } from "../wires/checked-body.ts";
import type { Forwarding } from "../pipeline/operations/forward.ts";
import { checkFormBounds } from "./form-bounds.ts";
import { formFields, type MediaFields } from "./media-units.ts";
import { readTextCompletion } from "./text-completion.ts";

interface ForwardedBody {
  /** As it came; not checked yet. */
  readonly model: unknown;
  readonly isStream: boolean;
  /** The text that its tokens are estimated from; files count nothing. */
  readonly text: string;
  readonly fields: MediaFields;
  /** Of a body that is understood well enough to count an answer without usage. */
  readonly content?: Pick<ChatRequest, "body" | "params">;
  readonly forwarding: Omit<Forwarding, "path">;
}

type Read = (bytes: Uint8Array, contentType: string, operation: Operation) => Promise<ForwardedBody>;

const readJson: Read = async (bytes, _, operation) => {
  const text = new TextDecoder().decode(bytes);
  const wire = parseObject(text);
  const { content, set } = readTextCompletion(operation, wire);
  return {
    model: wire["model"],
    isStream: wire["stream"] === true,
    text,
    fields: { get: (name) => wire[name] },
    ...(content && { content }),
    forwarding: {
      contentType: "application/json",
      payloadFor: (model) => editTopLevel(text, { set: { ...set, model: JSON.stringify(model) } }),
    },
  };
};

const readForm: Read = async (bytes, contentType) => {
  checkFormBounds(bytes, contentType);
  const form = await new Response(bytes, { headers: { "content-type": contentType } })
    .formData()
    .catch(() => refuse("body", "expected multipart/form-data with a boundary"));
  return {
    model: form.get("model"),
    isStream: form.get("stream") === "true",
    text: "",
    fields: await formFields(form),
    forwarding: {
      payloadFor(model) {
        const sent = new FormData();
        for (const [name, value] of form) if (name !== "model") sent.append(name, value);
        sent.set("model", model);
        return sent;
      },
    },
  };
};

/** Throws `invalid_request` for a body that is neither. */
export const readForwardedBody: Read = (bytes, contentType, operation) => {
  const read = contentType.toLowerCase().startsWith("multipart/form-data") ? readForm : readJson;
  return read(bytes, contentType, operation);
};
