"""The voice front end: people speak, tasks run, milestones are spoken."""
