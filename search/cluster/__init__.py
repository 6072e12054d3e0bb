"""Sweeps on a cluster: sent to its head as jobs, and followed and steered from here."""
