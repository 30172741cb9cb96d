// Fails when anything in dist/ names a foreign host, so that the page can never load a thing from outside.
import { readFile, readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
/** Names of XML namespaces look like addresses and are never fetched. */
const ALLOWED_HOSTS = new Set(["www.w3.org"]);
const ADDRESS = /(?:https?|wss?):\\?\/\\?\/([a-z0-9.-]+\.[a-z]{2,}|\d{1,3}(?:\.\d{1,3}){3})/gi;
const SCHEMELESS = /(?:src|href)\s*=\s*["']\/\/([a-z0-9.-]+)/gi;

const files = (await readdir(DIST, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
if (files.length === 0) throw new Error(`nothing is built in ${DIST}; run "npm run build" first`);

const found = [];
for (const file of files) {
  const text = await readFile(file, "latin1");
  for (const pattern of [ADDRESS, SCHEMELESS]) {
    for (const match of text.matchAll(pattern)) {
      const host = match[1].toLowerCase();
      if (ALLOWED_HOSTS.has(host)) continue;
      const start = Math.max(0, match.index - 60);
      found.push(`${relative(DIST, file)}: ${host}\n    …${text.slice(start, match.index + 80).replace(/\s+/g, " ")}…`);
    }
  }
}
if (found.length > 0) {
  console.error(`The page names ${found.length} foreign address(es); it must load nothing from outside:\n${found.join("\n")}`);
  process.exit(1);
}
console.log(`offline check: ${files.length} files in dist/, no foreign host`);
