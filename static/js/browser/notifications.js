// The two ways to reach somebody who looks elsewhere: a short sound, made here so that no file is needed, and the system's
// own notification.

let audio = null;

/** Two soft notes. A browser that has not been clicked yet keeps silent. */
export function chime() {
  audio ??= new AudioContext();
  const start = audio.currentTime;
  for (const [note, after] of [
    [660, 0],
    [880, 0.13],
  ]) {
    const [tone, volume] = [audio.createOscillator(), audio.createGain()];
    tone.frequency.value = note;
    volume.gain.setValueAtTime(0, start + after);
    volume.gain.linearRampToValueAtTime(0.12, start + after + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.001, start + after + 0.35);
    tone.connect(volume).connect(audio.destination);
    tone.start(start + after);
    tone.stop(start + after + 0.4);
  }
}

/** @returns {Promise<boolean>} whether notifications may be shown; asks when nobody has said. */
export async function mayNotify() {
  if (!("Notification" in globalThis)) return false;
  return (Notification.permission === "default" ? await Notification.requestPermission() : Notification.permission) === "granted";
}

/** Shows one; a click on it brings the page back at `href`. */
export function notify(title, { href, ...options }) {
  if (!("Notification" in globalThis) || Notification.permission !== "granted") return;
  const shown = new Notification(title, options);
  shown.onclick = () => {
    window.focus();
    location.hash = href;
    shown.close();
  };
}
