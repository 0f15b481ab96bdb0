"""E2B's API, for its clients: the control plane, the code interpreter and what runs in each of its sandboxes (envd).

In the original these are three servers with hosts of their own. Their clients can be told to send everything to one URL
(`E2B_API_URL` and `E2B_SANDBOX_URL`); headers then say which sandbox a request is for. docs/compatibility.md says what
works and what does not.
"""
