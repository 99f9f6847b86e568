/** What a stream's client is sent, kept for the cache until the stream has ended, or until it is more than an entry holds. */

import { MAX_BODY_CHARS } from "../../cache/store.ts";

export interface KeptText {
  add(text: string): void;
  /** Undefined where it was more than an entry holds. */
  read(): string | undefined;
}

export function createKeptText(maxChars = MAX_BODY_CHARS): KeptText {
  let text: string | undefined = "";
  return {
    add(more) {
      if (text !== undefined) text = text.length + more.length > maxChars ? undefined : text + more;
    },
    read: () => text,
  };
}
