"""Benchmarks, run by `make bench`: what governance of a call costs, beside an application that does nothing."""
