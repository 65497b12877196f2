"""A run on disk: what defines it and where it is stored."""
