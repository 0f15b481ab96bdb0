# Two commands do everything on a fresh Debian 12 with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo demo-mcp demo-server demo-node test test-here test-bench test-newest soak fuzz check sync bench bench-server clean

setup: $(VENV)/complete

$(VENV)/complete: pyproject.toml scripts/install scripts/system
	PYTHON=$(PYTHON) VENV=$(VENV) scripts/install
	touch $@

demo: setup
	$(BIN)/python examples/demo.py

# What an AI assistant does with the MCP server, call by call.
demo-mcp: setup
	$(BIN)/python examples/assistant.py

# A server and a remote session: a plot, a kill of the server, a roll back.
demo-server: setup
	$(BIN)/python examples/remote.py

# A session in JavaScript: a chart, a package of the workspace, a kill and its restore.
demo-node: setup
	$(BIN)/python examples/node.py

# The suite as this user; for root, what depends on users also as an ordinary user; and at level `landlock`.
test: setup
	VENV=$(VENV) scripts/test

# One run of the suite, as whoever calls, at whatever SANDBOX_ISOLATION says.
test-here: setup
	$(BIN)/python -m pytest

# Every benchmark runs, briefly.
test-bench: setup
	$(BIN)/python -m pytest tests/benchmarks

# What depends on the version of Python, on the newest one that is installed here.
test-newest: setup
	VENV=$(VENV) scripts/test-newest

# Sessions of all kinds for thirty minutes, and nothing grows; then a session restarted a thousand times, many kills of
# whoever saves, many random sessions and programs: some twenty minutes more.
soak: setup
	SANDBOX_SOAK_SECONDS=1800 $(BIN)/python -m pytest tests/soak
	SANDBOX_SOAK=34 $(BIN)/python -m pytest tests/faults/test_restarts.py tests/faults/test_killed_while_saving.py \
	    tests/properties/test_sessions.py tests/properties/test_same_as_python.py

# The parsers of what the host is sent, under libFuzzer: SECONDS for each of some seventeen.
SECONDS ?= 300
fuzz: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group fuzz
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

check: setup
	VENV=$(VENV) scripts/check

# Write sandbox.sync anew from the asynchronous sources.
sync: setup
	$(BIN)/python tools/generate_sync.py

bench: setup
	VENV=$(VENV) scripts/bench

# What a server does with many clients, large files and thousands of sandboxes: some ten minutes.
bench-server: setup
	VENV=$(VENV) scripts/bench remote clients transfer parked --out benchmarks/server

clean:
	rm -rf $(VENV) .venv-newest .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-output dist
