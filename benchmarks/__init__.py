"""What it costs, each figure beside a floor measured in the same run. `python -m benchmarks.NAME`."""
