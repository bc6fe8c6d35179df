// What this browser can play.

/** @returns {boolean} false if the browser says that it cannot play a content type; it never promises that it can */
export const canPlay = (contentType) => !contentType || document.createElement("audio").canPlayType(contentType) !== "";
