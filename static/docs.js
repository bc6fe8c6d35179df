// The page at /docs: Swagger UI shows openapi.json; what it has no notion of, the WebSocket, is shown below from asyncapi.json.

/* global SwaggerUIBundle */

// Modules run after deferred scripts that stand before them, so the bundle is there.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#http",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  persistAuthorization: false,
  // Without this a server that is not on localhost would send its address to a validator on the internet.
  validatorUrl: null,
});

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Text with `code` in it, as the documents are written, as nodes.
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

function resolved(contract, node) {
  let found = node;
  while (found.$ref) {
    found = found.$ref
      .slice(2)
      .split("/")
      .reduce((inside, step) => inside[step], contract);
  }
  return found;
}

function kind(schema) {
  if (schema.enum) return schema.enum.join(" or ");
  const type = [schema.type].flat().join(" or ");
  return schema.format ? `${type} (${schema.format})` : type;
}

// Every field of a message, those of `data` with their path, as [name, type, description].
function fields(contract, schema, prefix = "") {
  return Object.entries(schema.properties).flatMap(([name, property]) => {
    const inner = resolved(contract, property);
    if (inner.properties) return fields(contract, inner, `${prefix}${name}.`);
    return [[`\`${prefix}${name}\``, kind(inner), inner.description ?? ""]];
  });
}

function message(contract, declared) {
  const { name, title, summary, payload, examples } = resolved(contract, declared);
  return element(
    "details",
    { id: `message-${name}` },
    element("summary", {}, element("code", {}, name), element("span", {}, title)),
    element(
      "div",
      { class: "body" },
      ...paragraphs(summary),
      table(["Field", "Type", "Meaning"], fields(contract, resolved(contract, payload))),
      ...examples.map((example) =>
        element("pre", { tabindex: "0", "aria-label": `Example of ${name}` }, JSON.stringify(example.payload, null, 2)),
      ),
    ),
  );
}

function feed(contract) {
  const channel = contract.channels.feed;
  const query = resolved(contract, channel.bindings.ws.query);
  return [
    element("p", {}, element("code", {}, `GET ${channel.address}`)),
    ...paragraphs(contract.info.description.replace(/\[([^\]]+)\]\([^)]+\)/g, "$1")),
    ...paragraphs(channel.description),
    element("h3", {}, "Query"),
    table(["Name", "Type", "Meaning"], fields(contract, query)),
    element("h3", {}, "Messages from the server"),
    ...Object.values(contract.operations).flatMap((operation) => [
      ...paragraphs(`${operation.summary}. ${operation.description ?? ""}`),
      ...operation.messages.map((declared) => message(contract, declared)),
    ]),
    element("h3", {}, "Close codes"),
    table(["Code", "Meaning"], Object.entries(channel["x-close-codes"]).map(([code, meaning]) => [`\`${code}\``, meaning])),
  ];
}

const section = document.getElementById("websocket");
try {
  const response = await fetch("/asyncapi.json");
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  section.append(...feed(await response.json()));
} catch (error) {
  section.append(element("p", { role: "alert" }, `The WebSocket's contract could not be read: ${error.message}`));
}
