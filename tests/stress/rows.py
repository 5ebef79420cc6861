"""The rows of the table, by their names: the file of each has a ``TITLE``, and ``run(trial, place, fast)``."""

NUMBERS = {
    "bad_inputs": 1,
    "fuzzing": 2,
    "bit_flips": 3,
    "kills": 4,
    "failing_calls": 5,
    "determinism": 6,
    "odd_numbers": 7,
    "collapse": 8,
    "several_processes": 9,
    "names": 10,
    "size": 11,
    "streams": 12,
}
"""What each is in the README's table."""

SHORT = {"failing_calls": 8, "fuzzing": 20, "kills": 4, "bad_inputs": 30}
"""Rows of a short run, and cases of each."""
