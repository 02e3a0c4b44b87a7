"""Thousands of runs while everything that works on them is killed, and a judge of what came of it."""
