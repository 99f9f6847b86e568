/** Leaves events out of a stream of server-sent events; all other bytes stay as they are. Nothing of their meaning is known here. */

/** The end of an event. */
const BLANK_LINE = /\r\n\r\n|\n\n|\r\r/;

/** `isUnwanted` is given each event's text, its blank line included. */
export function createEventFilter(
  isUnwanted: (event: string) => boolean,
): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let waiting = "";
  return new TransformStream({
    transform(bytes, controller) {
      waiting += decoder.decode(bytes, { stream: true });
      let out = "";
      for (let end = BLANK_LINE.exec(waiting); end !== null; end = BLANK_LINE.exec(waiting)) {
        const at = end.index + end[0].length;
        const event = waiting.slice(0, at);
        waiting = waiting.slice(at);
        if (!isUnwanted(event)) out += event;
      }
      if (out !== "") controller.enqueue(encoder.encode(out));
    },
    flush(controller) {
      const last = waiting + decoder.decode();
      if (last !== "" && !isUnwanted(last)) controller.enqueue(encoder.encode(last));
    },
  });
}
