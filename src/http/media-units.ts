/** Reads what a request for images or sound asks for, from the fields of its body or its form. Pure. */

import type { Operation } from "../schema/chat.ts";
import type { MediaUnits } from "../schema/media-units.ts";

export interface MediaFields {
  /** A member of the body, or a text field of the form. */
  get(name: string): unknown;
  /** The file of a form. */
  readonly file?: { readonly bytes: number; readonly head: Uint8Array };
}

/** Of OpenAI's image API: more are refused upstream. */
const MAX_IMAGES = 10;

/** Undefined for what is not billed by the piece. */
export function readMediaUnits(operation: Operation, fields: MediaFields): MediaUnits | undefined {
  switch (operation) {
    case "image_generation": {
      const [count, size, quality] = [
        Number(fields.get("n") ?? 1),
        fields.get("size"),
        fields.get("quality"),
      ];
      return {
        kind: "images",
        count: Number.isFinite(count) ? Math.min(MAX_IMAGES, Math.max(1, Math.ceil(count))) : 1,
        ...(isChosen(size) && { size }),
        ...(isChosen(quality) && { quality }),
      };
    }
    case "speech": {
      const input = fields.get("input");
      return { kind: "speech", characters: typeof input === "string" ? input.length : 0 };
    }
    case "transcription":
      return { kind: "sound", seconds: fields.file === undefined ? 0 : secondsOf(fields.file) };
    case "chat":
    case "text_completion":
    case "embeddings":
    case "moderation":
    case "rerank":
    case "realtime":
    case "proxy":
      return undefined;
  }
}

function isChosen(value: unknown): value is string {
  return typeof value === "string" && value !== "auto";
}

/** 64 kbit/s, as recorded speech has; WAV files say their own rate. */
const BYTES_PER_S = 8000;
const MIN_BYTES_PER_S = 1000;
/** Where a WAV file names its bytes a second. */
const RATE_OFFSET = 28;
const RIFF = [0x52, 0x49, 0x46, 0x46];

function secondsOf({ bytes, head }: NonNullable<MediaFields["file"]>): number {
  const isWav = head.length >= RATE_OFFSET + 4 && RIFF.every((byte, at) => head[at] === byte);
  const rate = isWav ? new DataView(head.buffer, head.byteOffset).getUint32(RATE_OFFSET, true) : BYTES_PER_S;
  return Math.ceil(bytes / (rate >= MIN_BYTES_PER_S ? rate : BYTES_PER_S));
}

/** As much of a sound file as says its rate. */
const HEAD_BYTES = 64;

/** Those of a form with a file. */
export async function formFields(form: FormData): Promise<MediaFields> {
  const file = form.get("file");
  const get = (name: string): unknown => form.get(name);
  if (!(file instanceof Blob)) return { get };
  const head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  return { get, file: { bytes: file.size, head } };
}
