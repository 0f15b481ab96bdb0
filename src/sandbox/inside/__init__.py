"""Everything that a worker's memory holds: standard library only, no secrets.

A worker is a fork of the zygote without an exec, so whatever the zygote has imported can be read and called by
the code that runs in it. One folder and one rule make that visible: files below it import the standard library
and each other, nothing else (`tests/test_imports.py`). In the zygote this package is named `sandbox_inside` and
none of the host's code is in memory. Host code may import `wire` and `contain.policy` from here, no more.
"""
