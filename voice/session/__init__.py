"""One call from connect to close: its record in the store, its pipeline, and the one way it ends."""
