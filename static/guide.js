// Puts the address of this server into the commands of the documentation, so that they run as they are.

const server = import.meta.url.replace(/\/static\/([^/]+\/)?guide\.js$/, "");
for (const place of document.querySelectorAll("[data-origin]")) place.textContent = server;
