// Rules for the dashboard's files as a whole.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const STATIC = fileURLToPath(new URL("../../static/", import.meta.url));
const read = (path) => readFileSync(join(STATIC, path), "utf8");
const modulesUnder = (folder) =>
  readdirSync(join(STATIC, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? modulesUnder(path) : path.endsWith(".js") ? [path] : [];
  });

const MODULES = modulesUnder("js");
const EAGER = /^(?:import|export)\b[^;]*?from "([^"]+)";/gm;
const LAZY = /=> import\("([^"]+)"\)/gm;
const importsOf = (path, ...kinds) =>
  kinds
    .flatMap((kind) => [...read(path).matchAll(kind)])
    .map(([, name]) => (name.startsWith(".") ? relative(STATIC, resolve(STATIC, dirname(path), name)) : name));

// A module may import from its own layer and from the layers below.
const LAYERS = [
  /^js\/(main|join)\.js$/,
  /^js\/components\//,
  /^js\/(state\/|ui\.js|prefetch\.js)/,
  /^js\/(live\/|browser\/|api\.js|route\.js)/,
  /^js\/format\//,
  /^js\/(search\/|observable\.js)/,
  /^vendor\//,
];
const layerOf = (path) => {
  const layer = LAYERS.findIndex((pattern) => pattern.test(path));
  assert.notEqual(layer, -1, `${path} has no layer`);
  return layer;
};

test("every import is one of our files, or one that vendor.mjs writes", () => {
  const vendored = [...read("vendor.mjs").matchAll(/to: "([\w-]+\.js)"/g)].map(([, name]) => `vendor/${name}`);
  for (const path of MODULES) {
    for (const imported of importsOf(path, EAGER, LAZY)) {
      assert.ok(vendored.includes(imported) || existsSync(join(STATIC, imported)), `${path} imports ${imported}`);
    }
  }
});

test("imports run one way, and only ui.js imports the view library", () => {
  for (const path of MODULES) {
    for (const imported of importsOf(path, EAGER, LAZY)) {
      assert.ok(layerOf(path) <= layerOf(imported), `${path} imports ${imported}`);
      if (imported.startsWith("vendor/")) assert.equal(path, "js/ui.js");
    }
  }
});

test("no module imports itself, directly or through others", () => {
  const done = new Set();
  const visit = (path, above) => {
    assert.ok(!above.includes(path), `an import ring: ${[...above.slice(above.indexOf(path)), path].join(" → ")}`);
    if (done.has(path) || !path.startsWith("js/")) return;
    for (const imported of importsOf(path, EAGER, LAZY)) visit(imported, [...above, path]);
    done.add(path);
  };
  for (const path of MODULES) visit(path, []);
});

function neededBy(...paths) {
  const needed = new Set();
  const walk = (path) => {
    if (needed.has(path)) return;
    needed.add(path);
    if (path.startsWith("js/")) importsOf(path, EAGER).forEach(walk);
  };
  paths.forEach(walk);
  return [...needed].sort();
}

test("the page preloads the modules of the first view, and no others", () => {
  const preloaded = [...read("index.html").matchAll(/rel="modulepreload" href="static\/([^"]+)"/g)].map(([, path]) => path);
  assert.deepEqual([...preloaded].sort(), neededBy(...importsOf("js/main.js", EAGER)));
  const early = neededBy("js/prefetch.js");
  assert.deepEqual(preloaded.slice(0, early.length), early, "the modules that request the calls come first");
});

test("no module turns text into markup or code", () => {
  const forbidden = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|javascript:/;
  for (const path of MODULES) assert.doesNotMatch(read(path), forbidden, path);
});

test("the page has no inline script or style, and the files that it names exist", () => {
  const page = read("index.html");
  assert.doesNotMatch(page, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/);
  for (const [, path] of page.matchAll(/(?:href|src)="static\/([^"]+)"/g)) assert.ok(existsSync(join(STATIC, path)), path);
});

test("the lock file pins what is installed and names no registry", () => {
  const { packages } = JSON.parse(read("package-lock.json"));
  for (const [name, entry] of Object.entries(packages).filter(([path]) => path !== "")) {
    assert.match(entry.version, /^\d+\.\d+\.\d+$/, name);
    assert.match(entry.integrity, /^sha512-/, name);
    assert.equal(entry.resolved, undefined, name);
  }
});
