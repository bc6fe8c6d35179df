"""Recordings: taken from a request, stored in Cloudflare R2 or a directory (`store.RecordingStore`), and decoded."""
