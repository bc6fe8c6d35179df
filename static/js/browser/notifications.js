// Desktop notifications, and a sound that is synthesized, so that no audio file is needed.

let audio = null;

/** Plays two soft notes. Browsers play nothing before the first click on the page. */
export function playSound() {
  audio ??= new AudioContext();
  const start = audio.currentTime;
  for (const [hertz, delayS] of [
    [660, 0],
    [880, 0.13],
  ]) {
    const [tone, volume] = [audio.createOscillator(), audio.createGain()];
    tone.frequency.value = hertz;
    volume.gain.setValueAtTime(0, start + delayS);
    volume.gain.linearRampToValueAtTime(0.12, start + delayS + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.001, start + delayS + 0.35);
    tone.connect(volume).connect(audio.destination);
    tone.start(start + delayS);
    tone.stop(start + delayS + 0.4);
  }
}

/** Asks for permission unless the user has decided already. @returns {Promise<boolean>} true if notifications are allowed */
export async function requestPermission() {
  if (!("Notification" in globalThis)) return false;
  return (Notification.permission === "default" ? await Notification.requestPermission() : Notification.permission) === "granted";
}

/** Shows a notification. A click on it opens `href` in this page. */
export function showNotification(title, { href, ...options }) {
  if (!("Notification" in globalThis) || Notification.permission !== "granted") return;
  const shown = new Notification(title, options);
  shown.onclick = () => {
    window.focus();
    location.hash = href;
    shown.close();
  };
}
