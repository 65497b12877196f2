"""Interpreters and packages. The only folder that runs uv."""
