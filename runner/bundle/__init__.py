"""A run in one file, replayed on another machine."""
