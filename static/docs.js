// The page at /docs. Swagger UI shows openapi.json; the WebSocket, which it does not support, is rendered from asyncapi.json.

import "./guide.js";
import { theme } from "./js/browser/theme.js";

/* global SwaggerUIBundle */

// Swagger UI's own colours follow this class; docs.css has those that we replace.
const applyTheme = () => document.documentElement.classList.toggle("dark-mode", theme.isDark);
theme.subscribe(applyTheme);
applyTheme();

// Modules run after the deferred scripts before them, so the bundle is loaded.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#operations",
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  persistAuthorization: false,
  // Otherwise a page that is not on localhost sends its address to a validator on the internet.
  validatorUrl: null,
});

// Swagger UI leaves lists of choices without a name, and long examples out of the keyboard's reach.
new MutationObserver(() => {
  for (const select of document.querySelectorAll("#operations select:not([aria-label])")) select.setAttribute("aria-label", "Example");
  for (const example of document.querySelectorAll("#operations pre:not([tabindex])")) example.setAttribute("tabindex", "0");
}).observe(document.getElementById("operations"), { childList: true, subtree: true });

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Text with `code` in backticks → nodes.
function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

function paragraphs(text) {
  return text
    .trim()
    .split(/\n\s*\n/)
    .map((paragraph) => element("p", {}, ...prose(paragraph)));
}

function table(captions, rows) {
  const head = element("tr", {}, ...captions.map((caption) => element("th", { scope: "col" }, caption)));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, ...prose(cell)))));
  return element("div", { class: "wide" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

function resolved(spec, node) {
  let found = node;
  while (found.$ref) {
    found = found.$ref
      .slice(2)
      .split("/")
      .reduce((inside, step) => inside[step], spec);
  }
  return found;
}

function kind(schema) {
  if (schema.enum) return schema.enum.join(" or ");
  const type = [schema.type].flat().join(" or ");
  return schema.format ? `${type} (${schema.format})` : type;
}

// All fields of a message as [name, type, description]; the fields of `data` are named by their path.
function fields(spec, schema, prefix = "") {
  return Object.entries(schema.properties).flatMap(([name, property]) => {
    const inner = resolved(spec, property);
    if (inner.properties) return fields(spec, inner, `${prefix}${name}.`);
    return [[`\`${prefix}${name}\``, kind(inner), inner.description ?? ""]];
  });
}

function message(spec, declared) {
  const { name, title, summary, payload, examples } = resolved(spec, declared);
  return element(
    "details",
    { id: `message-${name}` },
    element("summary", {}, element("code", {}, name), element("span", {}, title)),
    element(
      "div",
      { class: "body" },
      ...paragraphs(summary),
      table(["Field", "Type", "Description"], fields(spec, resolved(spec, payload))),
      ...examples.map((example) =>
        element("pre", { tabindex: "0", "aria-label": `Example: ${name}` }, JSON.stringify(example.payload, null, 2)),
      ),
    ),
  );
}

function feed(spec) {
  const channel = spec.channels.feed;
  const query = resolved(spec, channel.bindings.ws.query);
  return [
    element("p", {}, element("code", {}, `GET ${channel.address}`)),
    ...paragraphs(spec.info.description.replace(/\[([^\]]+)\]\([^)]+\)/g, "$1")),
    ...paragraphs(channel.description),
    element("h3", {}, "Query parameters"),
    table(["Name", "Type", "Description"], fields(spec, query)),
    element("h3", {}, "Messages from the server"),
    ...Object.values(spec.operations).flatMap((operation) => [
      ...paragraphs(`${operation.summary}. ${operation.description ?? ""}`),
      ...operation.messages.map((declared) => message(spec, declared)),
    ]),
    element("h3", {}, "Close codes"),
    table(["Code", "Description"], Object.entries(channel["x-close-codes"]).map(([code, meaning]) => [`\`${code}\``, meaning])),
  ];
}

const section = document.querySelector(".feed");
try {
  const response = await fetch("asyncapi.json");
  if (!response.ok) throw new Error(`the server responded with status ${response.status}`);
  section.append(...feed(await response.json()));
} catch (error) {
  section.append(element("p", { role: "alert" }, `Couldn't load the WebSocket reference: ${error.message}`));
}
