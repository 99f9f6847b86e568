/**
 * Several texts in one embeddings request, taken apart and put together again: what a cache of single vectors needs to
 * know of a wire. Pure. The codecs name their own batch.
 */

import type { ChatRequest } from "../schema/chat.ts";
import { isRecord, listOf, type JsonRecord } from "../json/fields.ts";

export interface EmbeddingBatch {
  /** A request for each text; fewer than two where there is nothing to take apart. */
  split(chat: ChatRequest): readonly ChatRequest[];
  /** The request for some of the texts only. */
  pick(chat: ChatRequest, at: readonly number[]): ChatRequest;
  /** An answer for each text out of one for several; `shares` says how much of its usage is each one's. */
  items(bodyText: string, shares: readonly number[]): readonly string[];
  /** One answer out of several, in their order; its usage is their sum. */
  join(bodies: readonly string[]): string;
}

interface BatchFields {
  /** Where the texts are in a request, and the vectors in an answer. */
  readonly inputs: string;
  readonly vectors: string;
  readonly usage: string;
  /** A request's list of one, as such a request is usually sent. */
  readonly single: (input: unknown) => unknown;
  /** A vector at its place in the list. */
  readonly place: (vector: unknown, at: number) => unknown;
}

function createBatch({ inputs, vectors, usage, single, place }: BatchFields): EmbeddingBatch {
  const withInputs = (chat: ChatRequest, value: unknown): ChatRequest => {
    const body = { ...chat.body, [inputs]: value };
    return { ...chat, body, bodyText: JSON.stringify(body) };
  };
  const listed = ({ body }: ChatRequest): readonly unknown[] => {
    const list = listOf(body[inputs]);
    // A list of numbers is one text, cut into tokens by the client.
    return list.some((entry) => typeof entry === "number") ? [] : list;
  };
  return {
    split: (chat) => listed(chat).map((input) => withInputs(chat, single(input))),
    pick(chat, at) {
      const all = listed(chat);
      return withInputs(
        chat,
        at.map((index) => all[index]),
      );
    },
    items(bodyText, shares) {
      const body = read(bodyText);
      return listOf(body[vectors]).map((vector, at) => {
        const own = isRecord(body[usage]) ? { [usage]: scale(body[usage], shares[at] ?? 0) } : {};
        return JSON.stringify({ ...body, [vectors]: [place(vector, 0)], ...own });
      });
    },
    join(bodies) {
      const parts = bodies.map(read);
      const all = parts.flatMap((part) => listOf(part[vectors]));
      const used = parts.map((part) => part[usage]).filter(isRecord);
      const sum = used.length === 0 ? {} : { [usage]: used.reduce(add) };
      return JSON.stringify({ ...parts[0], [vectors]: all.map(place), ...sum });
    },
  };
}

export const openAiEmbeddingBatch = createBatch({
  inputs: "input",
  vectors: "data",
  usage: "usage",
  single: (input) => (typeof input === "string" ? input : [input]),
  place: (vector, index) => (isRecord(vector) ? { ...vector, index } : vector),
});

export const geminiEmbeddingBatch = createBatch({
  inputs: "requests",
  vectors: "embeddings",
  usage: "usageMetadata",
  single: (request) => [request],
  place: (vector) => vector,
});

function read(bodyText: string): JsonRecord {
  const body: unknown = JSON.parse(bodyText);
  return isRecord(body) ? body : {};
}

function scale(usage: JsonRecord, share: number): JsonRecord {
  return mapCounts(usage, (count) => Math.round(count * share));
}

function add(one: JsonRecord, other: JsonRecord): JsonRecord {
  return Object.fromEntries(
    Object.entries({ ...other, ...one }).map(([name, value]) => {
      const more = other[name];
      return [
        name,
        typeof value === "number" && typeof more === "number" && name in one ? value + more : value,
      ];
    }),
  );
}

function mapCounts(usage: JsonRecord, change: (count: number) => number): JsonRecord {
  return Object.fromEntries(
    Object.entries(usage).map(([name, value]) => [name, typeof value === "number" ? change(value) : value]),
  );
}
