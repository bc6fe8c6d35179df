"""Where recordings are kept: Cloudflare R2 or a directory, behind one protocol (`protocol.RecordingStore`)."""
