/**
 * `POST /v1/images/…`, `/v1/audio/…`, `/v1/moderations`, `/v1/rerank`: passed on to an OpenAI-compatible target with its
 * model's name put in, as JSON or as a form with files.
 */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import type { Operation } from "../src/schema/chat.ts";
import { parseObject, refuse } from "../src/wires/checked-body.ts";
import { editTopLevel } from "../src/json/edit.ts";
import { forward, type Forwarding } from "../src/pipeline/operations/forward.ts";
import { readRequestOptions } from "../src/pipeline/request-options.ts";
import { checkFormBounds } from "../src/http/form-bounds.ts";
import { holdFor, openCall, unreadRequest } from "../src/http/open-call.ts";
import { formFields, type MediaFields, readMediaUnits } from "../src/http/media-units.ts";
import { DEFAULT_MAX_BODY_BYTES, readBodyBytes } from "../src/http/read-body.ts";

/** A handler for one of OpenAI's paths, named without its `/v1`. */
export function forwarded(path: string, operation: Operation): (c: Context<AppEnv>) => Promise<Response> {
  return async (c) => {
    const { tenant } = c.var.caller.bundle;
    const options = readRequestOptions(c.req.raw.headers);
    const bytes = await readBodyBytes(
      c.req.raw,
      tenant.limits.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
      holdFor(c),
    );
    const contentType = c.req.header("content-type") ?? "";
    const read = contentType.toLowerCase().startsWith("multipart/form-data") ? readForm : readJson;
    const asked = await read(bytes, contentType, tenant.defaultRoute);
    const media = readMediaUnits(operation, asked.fields);
    const unread = unreadRequest(operation, asked.model, asked.text, asked.isStream);
    const chat = media === undefined ? unread : { ...unread, media };
    const { call, deps, hold } = openCall(c, chat, options);
    const answer = await forward(call, { path, ...asked.forwarding }, deps);
    if (typeof answer.body !== "string") hold();
    return new Response(answer.body, {
      headers: { "content-type": answer.contentType, "cache-control": "no-store" },
    });
  };
}

interface Asked {
  readonly model: string;
  readonly isStream: boolean;
  /** The text that its tokens are estimated from; files count nothing. */
  readonly text: string;
  readonly fields: MediaFields;
  readonly forwarding: Omit<Forwarding, "path">;
}

type Read = (bytes: Uint8Array, contentType: string, defaultModel: string | undefined) => Promise<Asked>;

const readJson: Read = async (bytes, _, defaultModel) => {
  const text = new TextDecoder().decode(bytes);
  const wire = parseObject(text);
  return {
    model: checkModel(wire["model"], defaultModel),
    isStream: wire["stream"] === true,
    text,
    fields: { get: (name) => wire[name] },
    forwarding: {
      contentType: "application/json",
      payloadFor: (model) => editTopLevel(text, { set: { model: JSON.stringify(model) } }),
    },
  };
};

const readForm: Read = async (bytes, contentType, defaultModel) => {
  checkFormBounds(bytes, contentType);
  const form = await new Response(bytes, { headers: { "content-type": contentType } })
    .formData()
    .catch(() => refuse("body", "expected multipart/form-data with a boundary"));
  return {
    model: checkModel(form.get("model"), defaultModel),
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

function checkModel(model: unknown, defaultModel: string | undefined): string {
  const named = model ?? defaultModel;
  if (typeof named !== "string" || named === "") refuse("model", "it is required");
  return named;
}
