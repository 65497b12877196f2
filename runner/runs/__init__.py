"""Runs on disk: their folders, their files, their keys, and the registry that finds them."""
