// Puts the address of this server into the commands of the vendor's guide, so that they run as they are.

for (const place of document.querySelectorAll("[data-origin]")) place.textContent = location.origin;
