// The tables of src/docs/security.md, from the data that the tests run: every attack with its refusal, every route with its roles.
import type { Attack, AttackChapter, Refusal } from "./attack.ts";
import type { Finding } from "./findings.ts";
import { expectedStatus, ROLES, type WalkedRoute } from "./routes.ts";

const FOLDER = "../../test/clients/attacks";
const mark = (name: string): string => `<!-- ${name}: written by npm run security -->`;
const endMark = (name: string): string => `<!-- end of ${name} -->`;

/** The document with these tables in place of those that are there. */
export function withSecurityTables(
  document: string,
  chapters: readonly AttackChapter[],
  routes: readonly WalkedRoute[],
  findings: readonly Finding[],
): string {
  const sections = [
    ["attacks", renderAttacks(chapters)],
    ["roles", renderRoutes(routes)],
    ["findings", renderFindings(findings)],
  ] as const;
  return sections.reduce((text, [name, section]) => withSection(text, name, section), document);
}

function renderFindings(findings: readonly Finding[]): string {
  const rows = findings.map(({ id, fault, now, tests }) => {
    const proofs = tests.map(([file, name]) => {
      const link = `[${file.split("/").at(-1)}](../../test/${file})`;
      return `${link}: ${escape(name)}`;
    });
    return `| ${id} | ${escape(fault)} | ${escape(now)} | ${proofs.join("<br>")} |`;
  });
  return [
    "| id | what could be done | what happens now | tests |",
    "| --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

function withSection(document: string, name: string, text: string): string {
  const [before, rest] = document.split(mark(name));
  const [, after] = rest?.split(endMark(name)) ?? [];
  if (before === undefined || after === undefined) throw new Error(`the document has no '${mark(name)}'`);
  return `${before}${mark(name)}\n\n${text}\n\n${endMark(name)}${after}`;
}

function renderAttacks(chapters: readonly AttackChapter[]): string {
  return chapters.map(renderChapter).join("\n\n");
}

function renderChapter({ title, file, attacks }: AttackChapter): string {
  const link = `[${file}](${FOLDER}/${file})`;
  const rows = attacks.map((attack) => `| ${escape(attack.attack)} | ${describe(attack)} | ${link} |`);
  return [`### ${title}`, "", "| attack | refusal | test |", "| --- | --- | --- |", ...rows].join("\n");
}

function describe({ refusal, setting }: Attack): string {
  const where = setting === "deployed" ? ", deployed" : setting === "local" ? ", local run" : "";
  return `${describeRefusal(refusal)}${where}`;
}

function describeRefusal(refusal: Refusal): string {
  switch (refusal.kind) {
    case "refused":
      return `${refusal.status} \`${refusal.code}\``;
    case "not sent on":
      return "the vendor does not get it";
    case "not sent back":
      return "the client does not get it";
    case "sent to the account":
      return "the account's own address is called";
    case "not shown":
      return "not in the answer";
  }
}

function renderRoutes(routes: readonly WalkedRoute[]): string {
  const rows = routes.map((route) => {
    const statuses = ROLES.map((role) => expectedStatus(route, role));
    return `| \`${route.sent ?? route.method} ${escape(route.path)}\` | ${statuses.join(" | ")} |`;
  });
  return [`| route | ${ROLES.join(" | ")} |`, `| --- |${" --- |".repeat(ROLES.length)}`, ...rows].join("\n");
}

function escape(text: string): string {
  return text.replaceAll("|", "\\|");
}
