"""What a worker may not do: one file for each kernel facility, `apply` for their order, `policy` for the plain data."""
