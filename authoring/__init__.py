"""Commands for those who write lessons: `python -m authoring --help`."""
