"""Scripted visitors on a real server, for as long as one likes: ``python -m tests.soak --minutes 60``."""
