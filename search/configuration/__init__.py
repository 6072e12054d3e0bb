"""Configurations that leave and arrive: what is exported and how, by what two differ, the platform's as a sweep."""
