// Puts the address of this server into the commands of the vendor's guide, so that they run as they are.

const server = new URL("..", location.href).href.slice(0, -1); // this page is /docs/vendor below it
for (const place of document.querySelectorAll("[data-origin]")) place.textContent = server;
