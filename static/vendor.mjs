// Copies the files that the server serves from node_modules/ to vendor/, so that no bundler and no import map is needed.
//
// Bare imports ("preact") become relative ones, source-map comments are removed (the maps are not served), and each
// library's licence is copied. A bare import without an entry below is an error: the browser could not resolve it.

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const SOURCE = join(HERE, "node_modules");
const TARGET = join(HERE, "vendor");

// Imported name → its source in node_modules/ and its file in vendor/.
const MODULES = {
  preact: { from: "preact/dist/preact.module.js", to: "preact.js" },
  "preact/hooks": { from: "preact/hooks/dist/hooks.module.js", to: "preact-hooks.js" },
  htm: { from: "htm/dist/htm.module.js", to: "htm.js" },
};

const FILES = {
  "swagger-ui-dist/swagger-ui-bundle.js": "swagger-ui/swagger-ui-bundle.js",
  "swagger-ui-dist/swagger-ui.css": "swagger-ui/swagger-ui.css",
  "preact/LICENSE": "licenses/preact.txt",
  "htm/LICENSE": "licenses/htm.txt",
  "swagger-ui-dist/LICENSE": "licenses/swagger-ui.txt",
  "swagger-ui-dist/NOTICE": "licenses/swagger-ui-notice.txt",
  "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt": "licenses/swagger-ui-bundled.txt",
};

const IMPORT = /\b(from|import)\s*(["'])([^."'/][^"']*)\2/g;
const SOURCE_MAP = /^\s*(\/\/[#@] sourceMappingURL=.*|\/\*[#@] sourceMappingURL=.*\*\/)\s*$/gm;

function withRelativeImports(text, name) {
  return text.replace(IMPORT, (_, keyword, quote, imported) => {
    const target = MODULES[imported];
    if (!target) throw new Error(`${name} imports "${imported}", which vendor.mjs does not know`);
    return `${keyword}${quote}./${target.to}${quote}`;
  });
}

async function put(from, to, change = (text) => text) {
  const text = await readFile(join(SOURCE, from), "utf8").catch((error) => {
    throw new Error(`${from} is not installed; run "npm ci --prefix static" first`, { cause: error });
  });
  const path = join(TARGET, to);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, change(text).replace(SOURCE_MAP, ""));
}

await rm(TARGET, { recursive: true, force: true });
for (const [name, { from, to }] of Object.entries(MODULES)) {
  await put(from, to, (text) => withRelativeImports(text, name));
}
for (const [from, to] of Object.entries(FILES)) await put(from, to);
