// Putting text on the clipboard, and into a file.

/** @returns {Promise<boolean>} false when this browser allows neither of the two ways. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // a page that came by plain HTTP has no clipboard of its own
  }
}

function copyBySelection(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  const { activeElement } = document;
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  activeElement?.focus();
  return isDone;
}

/** Saves text as a file. */
export function saveText(text, name) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  follow(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Saves what is at an address; one of another origin opens in a tab of its own instead. */
export function follow(url, name) {
  const link = Object.assign(document.createElement("a"), { href: url, download: name, rel: "noopener" });
  if (new URL(url, location.href).origin !== location.origin) link.target = "_blank";
  link.click();
}
