// Saves text or an address as a file.

export function downloadText(text, name) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  downloadUrl(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Saves the file at `url`. One of another origin must be sent as an attachment: browsers ignore the name for it. */
export function downloadUrl(url, name) {
  Object.assign(document.createElement("a"), { href: url, download: name, rel: "noopener" }).click();
}
