"""Verbs: one use case a file, working through ports."""
