"""Plain `python -m pytest` proves the course: modules, doctests and notebooks."""

pytest_plugins = ["notebook_proof", "pytester"]

# A sitecustomize of the notebooks' kernels, not of ours
collect_ignore = ["authoring/in_kernel"]
