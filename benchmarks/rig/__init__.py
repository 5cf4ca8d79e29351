"""What the benchmarks of the runner share; the scripts are one folder up."""
