/**
 * `npm run sbom`: the run-time dependencies with all that they pull in, as CycloneDX 1.5 on standard output. Read from
 * package-lock.json: `npm sbom` leaves out packages that a development tool needs too. A script, not part of the Worker.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}
type Locked = Readonly<Record<string, LockedPackage>>;

/** The package that Node finds from the one at `from`, and its place: in its own folder, or in one around it. */
function find(packages: Locked, from: string, name: string): readonly [string, LockedPackage] {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    const place = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
    const found = packages[place];
    if (found !== undefined) return [place, found];
    if (folder === "") throw new Error(`package-lock.json has no ${name}, which ${from} needs`);
  }
}

/** Package URL: https://github.com/package-url/purl-spec (seen 2026-11). */
const urlOf = (name: string, version: string): string => `pkg:npm/${name.replace("@", "%40")}@${version}`;

// Written by npm in this form ("lockfileVersion": 3, held by a test).
const { packages, version } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../package-lock.json"), "utf8"),
) as { readonly packages: Locked; readonly version: string };

const ROOT = urlOf("headgate", version);
const components = new Map<string, object>();
const needs = new Map<string, readonly string[]>();

function add(place: string, reference: string): void {
  const needed = Object.keys(packages[place]?.dependencies ?? {}).map((name) => {
    const [found, { version: locked, integrity = "", license }] = find(packages, place, name);
    const url = urlOf(name, locked);
    if (!components.has(url)) {
      const content = Buffer.from(integrity.replace("sha512-", ""), "base64").toString("hex");
      components.set(url, {
        type: "library",
        "bom-ref": url,
        name,
        version: locked,
        purl: url,
        hashes: [{ alg: "SHA-512", content }],
        ...(license !== undefined && { licenses: [{ license: { id: license } }] }),
      });
      add(found, url);
    }
    return url;
  });
  needs.set(reference, [...new Set(needed)].toSorted());
}

add("", ROOT);
const document = {
  bomFormat: "CycloneDX",
  specVersion: "1.5",
  version: 1,
  metadata: { component: { type: "application", "bom-ref": ROOT, name: "headgate", version, purl: ROOT } },
  components: [...components].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, component]) => component),
  dependencies: [...needs].map(([ref, dependsOn]) => ({ ref, dependsOn })),
};
console.log(JSON.stringify(document, null, 2));
