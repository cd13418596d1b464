"""Files → campaigns, or every mistake with its place; and what `check` says beyond that."""
