"""The MCP server: sandboxes as tools for AI assistants. It is made of the public SDK alone."""
