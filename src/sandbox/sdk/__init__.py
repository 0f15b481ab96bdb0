"""What a user holds. Written once, asynchronous; `sandbox.sync` is generated from it by tools/generate_sync.py."""
