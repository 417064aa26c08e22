"""The model room: build it from a configuration, train it exactly, save and load it safely.

It knows nothing of sources, reports, trackers or releases.
"""
