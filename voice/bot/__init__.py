"""One call: what was heard, what it means, what is done about it, and what is said."""
