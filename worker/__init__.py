"""The leaderless node: takes tasks, runs them in containers, puts the outputs back."""
