/**
 * Which call a fragment belongs to: vendors number calls, or give only ids, or number all of them 0. Pure but for its memory of
 * one stream.
 */

import { isCount } from "./read-upstream.ts";

export interface CallFragment {
  /** The vendor's number for the call, if it is one. */
  readonly index: unknown;
  readonly id: string | undefined;
  readonly name: string | undefined;
}

/** The place of a fragment's call within its choice; `at` is the fragment's own place within its event. */
export type CallPlacer = (choice: number, fragment: CallFragment, at: number) => number;

interface Calls {
  readonly places: Set<number>;
  readonly byId: Map<string, number>;
  /** The call that fragments of a number were last of. */
  readonly byIndex: Map<number, { readonly place: number; id: string | undefined }>;
  last: number;
}

export function createCallPlacer(): CallPlacer {
  const choices = new Map<number, Calls>();

  function callsOf(choice: number): Calls {
    const known = choices.get(choice);
    if (known !== undefined) return known;
    const fresh: Calls = { places: new Set(), byId: new Map(), byIndex: new Map(), last: -1 };
    choices.set(choice, fresh);
    return fresh;
  }

  return (choice, { index, id, name }, at) => {
    const calls = callsOf(choice);
    calls.last = isCount(index) ? placeByIndex(calls, index, id, name) : placeById(calls, id, at);
    return calls.last;
  };
}

/** A number with another id and a name begins another call: some vendors number each 0. */
function placeByIndex(calls: Calls, index: number, id: string | undefined, name: string | undefined): number {
  const current = calls.byIndex.get(index);
  const seen = id === undefined ? undefined : calls.byId.get(id);
  const isOther = current?.id !== undefined && id !== undefined && id !== current.id;
  if (current !== undefined && !(isOther && (name !== undefined || seen !== undefined))) {
    if (id !== undefined && current.id === undefined) {
      current.id = id;
      calls.byId.set(id, current.place);
    }
    return current.place;
  }
  const place = isOther && seen !== undefined ? seen : take(calls, index);
  calls.byIndex.set(index, { place, id });
  if (id !== undefined) calls.byId.set(id, place);
  return place;
}

/** Without a number the id tells calls apart, and a fragment without an id goes on with the last one. */
function placeById(calls: Calls, id: string | undefined, at: number): number {
  if (id === undefined) return calls.last < 0 ? take(calls, at) : Math.max(at, calls.last);
  const known = calls.byId.get(id);
  if (known !== undefined) return known;
  const place = take(calls, calls.places.size);
  calls.byId.set(id, place);
  return place;
}

/** The wanted place, or the next behind all where it is taken. */
function take({ places }: Calls, wanted: number): number {
  const place = places.has(wanted) ? Math.max(...places) + 1 : wanted;
  places.add(place);
  return place;
}
