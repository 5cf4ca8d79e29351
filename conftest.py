"""Plain `python -m pytest` proves the course: modules, doctests and notebooks."""

pytest_plugins = ["notebook_proof", "pytester"]

# A sitecustomize of the notebooks' kernels, not of ours; programs that are run, never
# imported: some start processes, some hang
collect_ignore = ["authoring/in_kernel", "lessons_src/listings"]
