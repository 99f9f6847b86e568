/** The tenant's gateway keys, through the admin API. */

import type { KeyView } from "../../tenants/records/record-views.ts";
import { callApi, listAll, sendJson } from "./api.ts";

/** As it is made or rotated: the only time the key itself is sent. */
export interface NewKey extends KeyView {
  readonly key: string;
}

function pathOf(tenant: string, id?: string): string {
  return `/admin/tenants/${encodeURIComponent(tenant)}/keys${id === undefined ? "" : `/${encodeURIComponent(id)}`}`;
}

export function listKeys(tenant: string): Promise<readonly KeyView[]> {
  return listAll<KeyView>(pathOf(tenant));
}

export interface KeyWish {
  readonly name: string;
  readonly allowedModels?: readonly string[];
  readonly expiresAt?: string;
}

export function makeKey(tenant: string, wish: KeyWish): Promise<NewKey> {
  return sendJson<NewKey>("POST", pathOf(tenant), wish);
}

export function changeKey(tenant: string, id: string, patch: object): Promise<KeyView> {
  return sendJson<KeyView>("PATCH", pathOf(tenant, id), patch);
}

export function rotateKey(tenant: string, id: string, overlapSeconds: number): Promise<NewKey> {
  return sendJson<NewKey>("POST", `${pathOf(tenant, id)}/rotate`, { overlapSeconds });
}

export async function revokeKey(tenant: string, id: string): Promise<void> {
  await callApi(pathOf(tenant, id), { method: "DELETE" });
}
