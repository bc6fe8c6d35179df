// Saves text or an address as a file.

export function downloadText(text, name) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  downloadUrl(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Saves the file at `url`. One of another origin is asked for in a new tab, which closes if that origin has it saved. */
export function downloadUrl(url, name) {
  const link = Object.assign(document.createElement("a"), { href: url, download: name, rel: "noopener" });
  if (new URL(url, location.href).origin !== location.origin) link.target = "_blank";
  link.click();
}
