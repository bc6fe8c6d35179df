// The keys of keyboards and headsets, and the controls on a lock screen.

const SKIP_S = 10;

/** Has them control a playback. @returns {() => void} stops */
export function followMediaKeys(playback, title) {
  const session = navigator.mediaSession;
  if (!session) return () => {};
  const actions = {
    play: () => playback.isPlaying || playback.toggle(),
    pause: () => playback.isPlaying && playback.toggle(),
    seekbackward: ({ seekOffset }) => playback.skip(-(seekOffset ?? SKIP_S)),
    seekforward: ({ seekOffset }) => playback.skip(seekOffset ?? SKIP_S),
    seekto: ({ seekTime }) => playback.seek(seekTime),
  };
  session.metadata = new MediaMetadata({ title });
  for (const [name, run] of Object.entries(actions)) session.setActionHandler(name, run);
  return () => {
    session.metadata = null;
    for (const name of Object.keys(actions)) session.setActionHandler(name, null);
  };
}
