"""Who Ran When: the importable side of the course, so that spawned workers find it."""
