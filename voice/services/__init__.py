"""Offline speech: what was said (Whisper), what to say (Piper), and where their weights come from."""
