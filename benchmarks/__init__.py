"""Benchmarks: how fast the shop is, as ratios against floors that are measured in the same run."""
