"""Keep pytest from importing the listings: some start processes, some hang."""

collect_ignore_glob = ["*.py"]
